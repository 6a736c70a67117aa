/* Variables: any word, as one and split; the place of what fails lies in it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/substitute.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* "A" is the first line, "B" not set, others empty. */
static const char *
get(void *arg, const char *name)
{
	return strcmp(name, "B") == 0 ? NULL : strcmp(name, "A") == 0 ? arg : "";
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = buf_dup((const char *)data, size);
	struct subst_lookup lookup = { get, text };
	char *word;

	if (text == NULL || size > 4096 || (word = strchr(text, '\n')) == NULL)
		return 0;
	*word++ = '\0';
	for (unsigned flags = 0; flags <= SUBST_TEXT; flags++) {
		AUTO_FINI(buf) struct buf out = BUF_INIT(64 * 1024);
		struct err e = ERR_INIT;
		size_t at = 0;

		if (subst_word(word, '\\', flags, &lookup, &out, &at, &e) < 0 &&
		    (e.msg[0] == '\0' || at > strlen(word)))
			abort();
	}
	AUTO_FINI(strv) struct strv v = STRV_INIT(256);
	struct err e = ERR_INIT;

	if (subst_words(word, '\\', &lookup, &v, NULL, &e) < 0 && e.msg[0] == '\0')
		abort();
	return 0;
}
