/*
 * A stage of a Potfile on its way from FROM to its last instruction: its tree,
 * its settings, what its image will be made of. Walked from the beginning each
 * time (crew.h).
 */
#ifndef BUILDER_STAGE_H
#define BUILDER_STAGE_H

#include "builder/build.h"
#include "image/image.h"

struct stage_history {
	char *by;
	int64_t created_ns;
	bool empty;
};

struct bld_stage {
	struct bld_build *build;
	size_t index;
	struct scope_stage scope;
	struct kv settings; /* IMG_SET_* with those of builders, BLD_SET_LIMIT */
	struct bld_tree tree, below_tree;
	struct img_image *below; /* the image that it stands on, or NULL */
	char below_name[REF_TEXT];
	struct img_layer *layers;
	size_t nlayers;
	struct stage_history *history;
	size_t nhistory;
	bool has_cmd; /* CMD stands in this stage */
	bool walked;  /* to its end */
	int64_t created_ns;
};

void bld_stage_init(struct bld_stage *, struct bld_build *, size_t index);
void bld_stage_fini(struct bld_stage *);
int bld_stage_walk(struct bld *, struct bld_stage *, struct err *) MUST_CHECK;

/* ---- inside: stage.c, stage_from.c, stage_run.c, stage_set.c ---- */

/* One instruction, expanded. */
struct instruction {
	const struct potfile *pf;
	const struct potfile_step *raw, *st;
	char where[96];
};
int stage_from(struct bld *, struct bld_stage *, struct err *) MUST_CHECK;
int stage_run(struct bld *, struct bld_stage *, const struct instruction *, struct err *) MUST_CHECK;
int stage_copy(struct bld *, struct bld_stage *, const struct instruction *, struct err *) MUST_CHECK;
int stage_flavour(struct bld *, struct bld_stage *, const struct instruction *, struct err *) MUST_CHECK;
/* Instructions that change settings only, and WORKDIR. */
int stage_set(struct bld *, struct bld_stage *, const struct instruction *, struct err *) MUST_CHECK;

/* A step on the stage's tree, and what it gave into layers and history. */
int stage_do(struct bld *, struct bld_stage *, const struct bld_step *, struct err *) MUST_CHECK;
int stage_note(struct bld_stage *, const char *by, bool empty, struct err *) MUST_CHECK;
/* The tree of a stage by name or number, of an image, or of "base:NAME". *what is for messages. */
int stage_tree_of(
    struct bld *, struct bld_stage *, const char *from, struct bld_tree *, struct err *) MUST_CHECK;
/* An image of this node, unpacked; pulled where it is missing. */
int stage_image(
    struct bld *, struct bld_build *, const char *ref, struct img_image **, struct err *) MUST_CHECK;
const char *stage_workdir(const struct bld_stage *);
/* One setting upon the others, by the rules of bld_settings_merge. */
int stage_put(struct bld_stage *, const char *key, const char *value, struct err *) MUST_CHECK;

#endif
