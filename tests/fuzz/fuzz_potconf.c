/* A pot's configuration: what is read prints to text that reads the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/potconf.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FINI(potconf) struct potconf pc = POTCONF_INIT, again = POTCONF_INIT;
	AUTO_FINI(buf) struct buf once = BUF_INIT(4 * KV_FILE_MAX), twice = BUF_INIT(4 * KV_FILE_MAX);
	struct potconf_mount *mounts;
	struct err e = ERR_INIT;
	size_t n;

	if (potconf_parse(&pc, (const char *)data, size, "fuzz", &e) < 0) {
		if (e.msg[0] == '\0')
			abort();
		return 0;
	}
	if (potconf_mounts(&pc, &mounts, &n, &e) < 0)
		abort();
	potconf_mounts_free(mounts, n);
	for (size_t i = 0; i < attr_count; i++) {
		if (potconf_attr(&pc, attr_table[i].name) == NULL)
			abort();
	}
	kv_print(&pc.kv, &once);
	if (potconf_parse(&again, buf_cstr(&once), once.len, "again", &e) < 0)
		abort();
	kv_print(&again.kv, &twice);
	if (strcmp(buf_cstr(&once), buf_cstr(&twice)) != 0)
		abort();
	return 0;
}
