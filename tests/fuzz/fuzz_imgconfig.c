/* Configs of images from anybody: what is accepted obeys its bounds, and its settings stand in a record unchanged. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/config.h"
#include "model/imgrecord.h"

/* Not assert(): it must hold in a release build, too. */
#define expect(c)                \
	do {                     \
		if (!(c))        \
			abort(); \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_settings(const struct img_config *c)
{
	struct img_ready_record rec = { .settings = KV_INIT }, again = { .settings = KV_INIT };
	struct buf b = BUF_INIT(64u * 1024 * 1024);
	struct err e = ERR_INIT;
	size_t a = 0, z = 0;

	memset(rec.fs, 'a', 64);
	snprintf(rec.manifest, sizeof(rec.manifest), "sha256:%.64s", rec.fs);
	if (img_config_settings(c, &rec.settings, &e) == 0) {
		expect(img_ready_record_print(&rec, &b, &e) == 0);
		expect(img_ready_record_parse(&again, buf_cstr(&b), b.len, "record", &e) == 0);
		for (;;) {
			const char *x = kv_next(&rec.settings, IMG_SET_ENV, &a);
			const char *y = kv_next(&again.settings, IMG_SET_ENV, &z);

			expect((x == NULL) == (y == NULL));
			if (x == NULL)
				break;
			expect(strcmp(x, y) == 0);
		}
	}
	buf_fini(&b);
	img_ready_record_fini(&again);
	img_ready_record_fini(&rec);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct img_config *c = NULL;
	struct err e = ERR_INIT;

	if (img_config_parse((const char *)data, size, &c, &e) < 0) {
		expect(e.code != E_OK && e.msg[0] != '\0');
		return 0;
	}
	expect(c->ndiffs <= IMG_LAYERS_MAX);
	(void)img_platform_fit(&c->platform);
	check_settings(c);
	img_config_free(c);
	return 0;
}
