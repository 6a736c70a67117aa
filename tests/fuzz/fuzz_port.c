/* Published ports: what is read prints to text that reads the same, and nothing is written past the maximum. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "model/port.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
check(const struct port_map *m)
{
	struct port_map again[1];
	char text[PORT_TEXT];
	struct err e = ERR_INIT;
	size_t n = 0;

	port_print(m, text);
	if (m->pot == 0 || port_parse(text, again, &n, &e) < 0 || n != 1 || again[0].host != m->host ||
	    again[0].pot != m->pot || again[0].proto != m->proto || !ip_equal(&again[0].addr, &m->addr))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct port_map v[PORT_MAPS_MAX];
	AUTO_FREE char *text = malloc(size + 1);
	struct err e = ERR_INIT;
	size_t n = 0;

	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (port_parse(text, v, &n, &e) < 0 && (n != 0 || e.msg[0] == '\0'))
		abort();
	if (port_parse_classic(text, v, &n, &e) < 0 && e.msg[0] == '\0')
		abort();
	for (size_t i = 0; i < n; i++)
		check(&v[i]);
	return 0;
}
