/* Flavours: command files, descriptions and names with arguments. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/flavour.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = buf_dup((const char *)data, size);
	AUTO_FINI(strv) struct strv args = STRV_INIT(4);
	struct flavour_commands fc;
	struct flavour_meta m;
	struct flavour_ref r;
	struct err e = ERR_INIT;

	if (text == NULL)
		return 0;
	strv_add(&args, "a=b c");
	strv_add(&args, "port=80");
	if (flavour_commands_parse(&fc, text, size, &args, "f", &e) < 0 && (e.msg[0] == '\0' || fc.n != 0))
		abort();
	flavour_commands_fini(&fc);
	if (flavour_ref_parse(&r, text, &e) < 0 && r.name != NULL)
		abort();
	if (flavour_meta_parse(&m, text, size, "f", &e) == 0) {
		AUTO_FINI(strv) struct strv v = STRV_INIT(64);

		if (r.name != NULL && flavour_arguments(&m, &r, &v, &e) == 0 && v.n != m.nparameters)
			abort();
		flavour_meta_fini(&m);
	}
	flavour_ref_fini(&r);
	return 0;
}
