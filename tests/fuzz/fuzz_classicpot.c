/* The shell framework's files: whatever they say, sources and targets are absolute and a pot that is read has a root. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "model/classicpot.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
check(const struct classic_pot *p)
{
	if (p->root[0] == '\0' || p->nmounts > CLASSIC_MOUNTS)
		abort();
	for (size_t i = 0; i < p->nmounts; i++)
		if (p->mounts[i].source[0] != '/' || p->mounts[i].target[0] != '/' ||
		    p->mounts[i].target[1] == '\0')
			abort();
}

/* The first line's end divides pot.conf (its lines separated by '|') from the other files. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct classic_place at = CLASSIC_PLACE_INIT;
	struct classic_pot *p = malloc(sizeof(*p));
	AUTO_FREE char *text = malloc(size + 1);
	struct err e = ERR_INIT;
	char *second;

	if (p == NULL || text == NULL) {
		free(p);
		return 0;
	}
	memcpy(text, data, size);
	text[size] = '\0';
	second = memchr(text, '\n', size);
	classic_pot_init(p);
	if (classic_place_read(&at, text, size, "place", &e) == 0 &&
	    (at.fs_root[0] != '/' || at.zfs_root[0] == '-'))
		abort();
	if (second != NULL) {
		size_t first = (size_t)(second - text);

		for (size_t i = 0; i < first; i++)
			if (text[i] == '|')
				text[i] = '\n';
		at = (struct classic_place)CLASSIC_PLACE_INIT;
		if (classic_pot_conf(p, text, first, "pot.conf", &e) == 0 &&
		    classic_pot_fscomp(p, &at, "www", second + 1, size - first - 1, "fscomp.conf", &e) == 0)
			check(p);
		else if (e.msg[0] == '\0')
			abort();
	}
	classic_pot_fini(p);
	free(p);
	return 0;
}
