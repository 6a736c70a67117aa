/* Names, host names, signals and attributes from whatever people type. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "model/attr.h"
#include "model/name.h"
#include "model/signame.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
attributes(const char *value)
{
	for (size_t i = 0; i < attr_count; i++) {
		struct err e = ERR_INIT;
		AUTO_FREE char *once = attr_normalize(&attr_table[i], value, &e), *twice = NULL;

		if (once == NULL) {
			if (e.msg[0] == '\0')
				abort();
			continue;
		}
		twice = attr_normalize(&attr_table[i], once, &e);
		if (twice == NULL || strcmp(once, twice) != 0)
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = malloc(size + 1);
	struct err e = ERR_INIT;
	char host[65];

	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (name_check(text, "pot", &e) == 0 &&
	    (strchr(text, '/') != NULL || text[0] == '.' || text[0] == '-' || strlen(text) > POT_NAME_MAX))
		abort();
	if (name_check_base(text, &e) == 0 && (strchr(text, '/') != NULL || text[0] == '.'))
		abort();
	if (name_check_tag(text, &e) < 0 && (e.msg[0] == '\0' || strpbrk(e.msg, "\n\r\x1b") != NULL))
		abort();
	name_hostname(text, text, host);
	if (!name_is_hostname(host) || strlen(host) > 63)
		abort();
	if (signame_parse(text, &e) == 0)
		abort();
	attr_find(text, &e);
	attributes(text);
	return 0;
}
