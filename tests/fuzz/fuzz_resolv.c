/*
 * A host's resolv.conf. Whatever stands in it: at most three servers come out,
 * none of them on loopback, and what else is kept has no line of a name server.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "network/resolvtext.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(1 << 20);
	struct resolv all = { .rest = BUF_INIT(1 << 21) }, servers = { .rest = BUF_INIT(16) };

	buf_add(&text, data, size);
	if (buf_check(&text, "input", NULL) < 0)
		return 0;
	resolv_parse(&all, buf_cstr(&text), false);
	resolv_parse(&servers, buf_cstr(&text), true);
	if (all.n > RESOLV_SERVERS_MAX || all.n != servers.n || servers.rest.len != 0)
		abort();
	for (size_t i = 0; i < all.n; i++)
		if (ip_is_loopback(&all.servers[i]) || !ip_equal(&all.servers[i], &servers.servers[i]))
			abort();
	if (all.local.family != 0 && !ip_is_loopback(&all.local))
		abort();
	if (strncmp(buf_cstr(&all.rest), "nameserver ", 11) == 0 ||
	    strstr(buf_cstr(&all.rest), "\nnameserver ") != NULL)
		abort();
	buf_fini(&all.rest);
	buf_fini(&servers.rest);
	return 0;
}
