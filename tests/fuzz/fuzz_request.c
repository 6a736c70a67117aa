/* Request targets and headers: no part of a path gets out of its grammar, no range beyond its content. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "registry/path.h"
#include "registry/range.h"

/* Not assert(): it must hold in a release build, too. */
#define expect(c)                \
	do {                     \
		if (!(c))        \
			abort(); \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_path(const char *text)
{
	struct path p;
	struct query q;
	struct err e = ERR_INIT;

	if (path_parse(text, &p, &q, &e) == 0) {
		expect(p.kind < PATH_KINDS && strlen(p.repo) <= REPO_NAME_MAX &&
		    strlen(p.rest) <= PATH_REST_MAX);
		expect(p.repo_valid ==
			(p.kind != PATH_NONE && p.repo[0] != '\0' && repo_name_is_valid(p.repo)) ||
		    p.kind == PATH_NONE || strlen(p.repo) == REPO_NAME_MAX);
		if (p.repo_valid)
			expect(
			    strstr(p.repo, "..") == NULL && p.repo[0] != '/' && strstr(p.repo, "//") == NULL);
		if (p.kind != PATH_CLASSIC)
			expect(strchr(p.rest, '/') == NULL);
		expect(strpbrk(p.rest, "%\\\r\n") == NULL && strcmp(p.rest, "..") != 0);
		for (size_t i = 0; i < q.n; i++)
			expect(query_get(&q, q.v[i].key) != NULL);
	}
	query_fini(&q);
}

static void
check_range(const char *text)
{
	uint64_t first = 0, length = 0, last = 0;

	for (uint64_t size = 0; size < 3000; size += 999) {
		if (range_parse(text, size, &first, &length) == RANGE_PART)
			expect(length > 0 && first < size && length <= size - first);
	}
	if (chunk_range_parse(text, &first, &last))
		expect(first <= last);
	(void)etag_matches(text, "\"x\"");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	check_path(text);
	check_range(text);
	(void)tag_is_valid(text);
	free(text);
	return 0;
}
