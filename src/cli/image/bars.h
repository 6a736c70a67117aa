/* Inside of pot-image: several things under way at a time, shown. */
#ifndef CLI_IMAGE_BARS_H
#define CLI_IMAGE_BARS_H

#include "cli/cli.h"

#define BARS_MAX 32 /* more layers than that share no line each */

struct bars {
	struct bar {
		char what[48];
		unsigned long long done, total;
		bool told; /* that it is done */
	} v[BARS_MAX];
	size_t n, shown;
	int64_t begun_ms, drawn_ms;
	struct cli *cli;
};

/* On a terminal a bar per layer, else a line when one is done; with --format json an object per event. */
void bars_begin(struct bars *, struct cli *);
void bars_end(struct bars *);

#endif
