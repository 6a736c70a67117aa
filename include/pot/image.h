/*
 * libpot's second half: images. Apart from pot.h because it needs libraries
 * that starting and stopping pots does not. The conventions are those of
 * pot.h; names are references ("NAME:TAG", "HOST/NAME:TAG", "…@DIGEST").
 */
#ifndef POT_IMAGE_H
#define POT_IMAGE_H

#include <pot.h>

#define POT_REF_LEN 800
#define POT_DIGEST_LEN 136

struct pot_image_info {
	char name[POT_REF_LEN];
	char id[POT_DIGEST_LEN];     /* digest of the manifest for this platform */
	char digest[POT_DIGEST_LEN]; /* of what the name names: the same, or an index */
	char os[32], arch[32];
	int64_t created_ns; /* when the image was made; 0: not told */
	int64_t set_ns;     /* when it got this name here */
	unsigned layers, pots;
	uint64_t size;     /* bytes of its blobs, compressed */
	uint64_t own;      /* of these, the ones that no other image here has */
	uint64_t shared;   /* and the others: size - own */
	uint64_t unpacked; /* bytes of its files in all layers; 0: not unpacked */
	bool ready;        /* pots can be made from it */
};
typedef int pot_image_fn(void *arg, const struct pot_image_info *);
/* In order of names. */
int pot_image_list(struct pot_ctx *, pot_image_fn *, void *arg, struct err *);
int pot_image_info(struct pot_ctx *, const char *name, struct pot_image_info *, struct err *);
enum pot_image_part { POT_IMAGE_MANIFEST, POT_IMAGE_CONFIG };
/* The JSON as it is stored; malloc'ed. */
int pot_image_text(struct pot_ctx *, const char *name, enum pot_image_part, char **text, struct err *);

struct pot_image_step {
	int64_t created_ns;                        /* 0: not told */
	const char *created_by, *comment, *author; /* "" when not told */
	uint64_t size;                             /* of its layer, compressed; 0: it has none */
	const char *layer;                         /* digest of the layer's blob, "" */
};
typedef int pot_image_step_fn(void *arg, const struct pot_image_step *);
/* The newest first. */
int pot_image_history(struct pot_ctx *, const char *name, pot_image_step_fn *, void *arg, struct err *);

struct pot_commit_args {
	const char *pot;              /* stopped, unless snapshot is given */
	const char *snapshot;         /* or NULL */
	const char *name;             /* of the image; the tag is "latest" where it has none */
	const char *message, *author; /* or NULL */
};
/* id gets the digest. Only the difference to the image or base that the pot was made from is stored. */
int pot_image_commit(struct pot_ctx *, const struct pot_commit_args *, char id[POT_DIGEST_LEN], struct err *);

int pot_image_tag(struct pot_ctx *, const char *name, const char *newname, struct err *);

struct pot_image_gone {
	unsigned blobs, layers;
	uint64_t bytes; /* of blobs */
};
/* Removes a name and what nothing else needs then. E_BUSY naming the pots made from it, unless force. */
int pot_image_remove(struct pot_ctx *, const char *name, bool force, struct pot_image_gone *, struct err *);
struct pot_image_prune_args {
	bool all; /* also images that no pot was made from */
	bool dry_run;
};
/* fn is called with the names that go (all); what no name needs goes always. */
int pot_image_prune(struct pot_ctx *, const struct pot_image_prune_args *, pot_name_fn *, void *arg,
    struct pot_image_gone *, struct err *);

/* One or more images as an OCI archive. */
int pot_image_save(struct pot_ctx *, const char *const *names, int fd, struct err *);
/* OCI archives and Docker's, compressed or not. name: what to call the only image in it; or NULL. */
int pot_image_load(struct pot_ctx *, int fd, const char *name, pot_name_fn *loaded, void *arg, struct err *);

#endif
