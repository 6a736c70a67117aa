/* What a node notes about its images: taken whole or refused, and what is taken prints to what reads back. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/imgrecord.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
check_ref(const char *text, size_t len)
{
	AUTO_FINI(buf) struct buf out = BUF_INIT(1 << 20);
	struct img_ref_record r, again;
	struct err e = ERR_INIT;

	if (img_ref_record_parse(&r, text, len, "fuzz", &e) < 0) {
		if (e.msg[0] == '\0' || strpbrk(e.msg, "\n\x1b") != NULL)
			abort();
		return;
	}
	if (img_ref_record_print(&r, &out, &e) < 0 ||
	    img_ref_record_parse(&again, buf_cstr(&out), out.len, "back", &e) < 0 ||
	    strcmp(r.manifest, again.manifest) != 0 || strcmp(r.digest, again.digest) != 0 ||
	    r.created_ns != again.created_ns || r.set_ns != again.set_ns)
		abort();
}

static void
check_ready(const char *text, size_t len)
{
	AUTO_FINI(buf) struct buf out = BUF_INIT(2 * KV_FILE_MAX);
	AUTO_FINI(buf) struct buf path = BUF_INIT(4096);
	struct img_ready_record r, again;
	struct err e = ERR_INIT;

	if (img_ready_record_parse(&r, text, len, "fuzz", &e) < 0) {
		if (e.msg[0] == '\0' || strpbrk(e.msg, "\n\x1b") != NULL)
			abort();
		img_ready_record_fini(&r);
		return;
	}
	/* Paths are made of these. */
	if (strchr(r.fs, '/') != NULL || strchr(r.manifest, '/') != NULL || r.fs[0] == '.')
		abort();
	if (img_ready_path(r.manifest, &path, &e) < 0 || strstr(buf_cstr(&path), "..") != NULL)
		abort();
	if (img_ready_record_print(&r, &out, &e) < 0)
		abort();
	if (img_ready_record_parse(&again, buf_cstr(&out), out.len, "back", &e) < 0 ||
	    again.settings.n > r.settings.n || strcmp(again.fs, r.fs) != 0)
		abort();
	img_ready_record_fini(&again);
	img_ready_record_fini(&r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = malloc(size > 0 ? size : 1);

	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	check_ref(text, size);
	check_ready(text, size);
	return 0;
}
