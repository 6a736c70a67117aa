/* A key=value file: what is accepted prints to something that reads back the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/kv.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
expect_same(const struct kv *a, const struct kv *b)
{
	if (a->n != b->n)
		abort();
	for (size_t i = 0; i < a->n; i++) {
		if (strcmp(a->v[i].key, b->v[i].key) != 0 || strcmp(a->v[i].value, b->v[i].value) != 0)
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FINI(kv) struct kv kv = KV_INIT;
	AUTO_FINI(kv) struct kv back = KV_INIT;
	AUTO_FINI(buf) struct buf text = BUF_INIT(2 * KV_FILE_MAX);
	struct err e = ERR_INIT;

	if (kv_parse(&kv, (const char *)data, size, "fuzz", &e) < 0) {
		if (kv.n != 0 || strncmp(e.msg, "fuzz:", 5) != 0)
			abort();
		return 0;
	}
	kv_print(&kv, &text);
	if (buf_check(&text, "text", &e) < 0 || kv_parse(&back, buf_cstr(&text), text.len, "back", &e) < 0)
		abort();
	expect_same(&kv, &back);
	if (kv.n > 0) {
		const char *key = back.v[0].key;

		if (kv_set(&kv, key, "x", &e) < 0 || strcmp(kv_get(&kv, key), "x") != 0 ||
		    kv_set(&kv, key, NULL, &e) < 0 || kv_get(&kv, key) != NULL)
			abort();
	}
	return 0;
}
