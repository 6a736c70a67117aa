/*
 * What people type: numbers, sizes, spans, times and command lines are read
 * or refused; words that were split join to what splits the same; what is
 * escaped is printable and escapes to itself.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
check_split(const char *text)
{
	AUTO_FINI(strv) struct strv words = STRV_INIT(1000);
	AUTO_FINI(strv) struct strv again = STRV_INIT(1000);
	AUTO_FINI(buf) struct buf joined = BUF_INIT(1 << 22);
	struct err e = ERR_INIT;

	if (text_split(text, &words, &e) < 0) {
		if (words.n != 0 || e.msg[0] == '\0')
			abort();
		return;
	}
	text_join(strv_argv(&words), &joined);
	if (buf_check(&joined, "joined", &e) < 0 || text_split(buf_cstr(&joined), &again, &e) < 0)
		abort();
	if (words.n != again.n)
		abort();
	for (size_t i = 0; i < words.n; i++) {
		if (strcmp(words.v[i], again.v[i]) != 0)
			abort();
	}
}

static void
check_escape(const char *text, size_t size)
{
	AUTO_FINI(buf) struct buf once = BUF_INIT(1 << 22);
	AUTO_FINI(buf) struct buf twice = BUF_INIT(1 << 22);
	char cut[20];

	text_escape(text, size, &once);
	for (size_t i = 0; i < once.len; i++) {
		if ((unsigned char)once.data[i] < 0x20 || once.data[i] == 0x7f)
			abort();
	}
	text_escape(buf_cstr(&once), once.len, &twice);
	if (strcmp(buf_cstr(&once), buf_cstr(&twice)) != 0)
		abort();
	text_escape_into(cut, sizeof(cut), text, size);
	if (strlen(cut) >= sizeof(cut) || strncmp(cut, buf_cstr(&once), strlen(cut)) != 0)
		abort();
}

static void
check_numbers(const char *text)
{
	static const char *const names[] = { "start", "stop", "status", "snapshot", "ps" };
	char time[TEXT_TIME_LEN], size[TEXT_SIZE_LEN], age[TEXT_AGE_LEN];
	int64_t ns, back;
	uint64_t n;

	if (text_uint(text, 5, 500, &n, "n", NULL) == 0 && (n < 5 || n > 500))
		abort();
	if (text_size(text, &n, "n", NULL) == 0) {
		if (n > INT64_MAX)
			abort();
		text_size_print(n, size);
	}
	if (text_duration(text, &ns, "n", NULL) == 0 && (ns < 0 || ns > INT64_MAX / 1000000))
		abort();
	if (text_time(text, &ns, "n", NULL) == 0) {
		text_time_print(ns, true, time);
		text_age_print(ns, age);
		if (text_time(time, &back, "n", NULL) < 0 || back != ns)
			abort();
	}
	(void)text_nearest(text, names, ARRAY_LEN(names));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = buf_dup((const char *)data, size);

	if (text == NULL)
		abort();
	check_split(text);
	check_escape((const char *)data, size);
	check_numbers(text);
	return 0;
}
