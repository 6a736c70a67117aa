/* What a build shows while it works: pot build. */
#ifndef CLI_IMAGE_STEPS_H
#define CLI_IMAGE_STEPS_H

#include <pot/build.h>

#include "cli/cli.h"

enum steps_mode { STEPS_PLAIN, STEPS_TTY, STEPS_JSON, STEPS_QUIET };

#define STEPS_TAIL 65536

/* A stage, as far as it is shown. */
struct steps_stage {
	bool running;
	int64_t since_ms;
	char line[256];  /* of the step under way, without its time */
	char last[160];  /* line of its output */
	struct buf tail; /* of its output, in case it fails */
	bool in_line;    /* plain: the output has not ended its line */
};

struct steps {
	struct cli *cli;
	enum steps_mode mode;
	struct steps_stage *v;
	size_t n;
	struct live live;
	bool drawn;
	int64_t drawn_ms;
};

void steps_init(struct steps *, struct cli *, enum steps_mode);
void steps_fini(struct steps *);
/* A pot_build_fn; arg: struct steps *. */
void steps_tell(void *arg, const struct pot_build_event *);
/* Takes away what is drawn over itself. */
void steps_clear(struct steps *);
DEFINE_AUTO_FINI(steps, struct steps)

#endif
