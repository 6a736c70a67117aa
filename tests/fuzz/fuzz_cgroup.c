/*
 * Where the control groups are, from mountinfo and /proc/PID/cgroup (split by
 * a NUL). Both are the kernel's, but a pot's name for a mount stands in them.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "isolation/linux/cgroup.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE struct cg_trees *t = malloc(sizeof(*t));
	AUTO_FREE char *text = malloc(size + 2);
	size_t first;

	if (t == NULL || text == NULL)
		return 0;
	memcpy(text, data, size);
	text[size] = text[size + 1] = '\0';
	first = strlen(text);
	cg_parse(text, text + (first < size ? first + 1 : first), t);
	for (int i = 0; i < CG_COUNT; i++) {
		const struct cg_tree *tree = &t->tree[i];

		if (memchr(tree->mount, 0, sizeof(tree->mount)) == NULL ||
		    memchr(tree->own, 0, sizeof(tree->own)) == NULL || tree->own[0] != '/')
			abort();
	}
	return 0;
}
