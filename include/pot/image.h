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

/* A classic image (NAME_TAG.xz, .meta, .skein, .skein.sig) as a pot. Only on zfs. */
/*
 * A pot of the shell framework becomes one of this installation, on the same ZFS pool and without a copy. The
 * classic one stays as it was. E_NOTSUP where the storage cannot.
 */
struct pot_adopt_args {
	const char *name;   /* of the classic pot */
	const char *as;     /* here; NULL: the same, with '_' for dots */
	const char *config; /* the framework's pot.conf; NULL: zroot/pot at /opt/pot */
	bool dry_run;       /* only read, and tell */
};
int pot_adopt(struct pot_ctx *, const struct pot_adopt_args *, char made[64], struct err *);

/*
 * A base of a release of FreeBSD, args->release: "14.3", "freebsd:15.0-RC2". Its set comes from the mirror and
 * must have the sum that the list of sets says; what was fetched before is not fetched again.
 */
int pot_base_release(struct pot_ctx *, const struct pot_base_args *, struct err *);

struct pot_import_args {
	const char *name, *tag;
	const char *from; /* a directory, or the http(s) URL below which the files are */
	const char *key;  /* file of the public key that must have signed it; NULL: the sum alone counts */
	const char *pot;  /* NULL: NAME_TAG with '_' for each '.' */
	bool insecure;    /* plain http without a signature, and certificates that are not good */
	unsigned stall_s; /* give up when nothing came for so long; 0: 60 */
};
/*
 * made: the name of the pot. What a layered image stands on is imported first from the same place when it is not
 * here, and stays also when the image itself cannot be. What was fetched of an interrupted one is kept for the next
 * try. E_EXIST; E_NOENT: the place does not have it; E_CORRUPT, E_PERM: sum or signature are wrong.
 */
int pot_image_import(struct pot_ctx *, const struct pot_import_args *, char made[64], struct err *);

/* ---- registries --------------------------------------------------------------- */

/* How registries are reached; may be all zero. Proxies come from the environment as libcurl reads it. */
struct pot_net {
	const char *const *insecure; /* "HOST[:PORT]" that may speak plain HTTP and are not verified */
	const char *ca_file;         /* PEM of the authorities to trust instead of the system's, or NULL */
	const char *auth_file;       /* further credentials, in the form of Docker's config.json, or NULL */
	unsigned stall_s;            /* give up when nothing came for so long; 0: 60 */
};

/* Layers that a registry offers as streams of zfs or btrfs, too: whether they are taken where the storage is that one. */
enum pot_streams {
	POT_STREAMS_CONFIGURED, /* as pull_streams in pot.conf says */
	POT_STREAMS_NEVER,
	POT_STREAMS_AUTO,  /* those that were signed as policy.conf wants the image to be */
	POT_STREAMS_ALWAYS /* also where it asks for no signatures */
};
struct pot_pull_args {
	const char *name;  /* names a registry */
	const char *as;    /* name on this node, NULL: the same */
	uint64_t max_size; /* of a layer's files, 0: 64 GiB */
	bool verify;       /* a good signature is demanded even where no policy does */
	bool older;        /* an image signed earlier than the last one of this name is taken */
	enum pot_streams streams;
	struct pot_net net;
};
struct pot_transfer {
	char digest[POT_DIGEST_LEN]; /* of what the name names */
	char id[POT_DIGEST_LEN];     /* pull: the manifest of this platform */
	uint64_t bytes;              /* moved */
	unsigned blobs, moved, mounted;
	unsigned streams;    /* layers that were made of streams, or are offered as such */
	bool changed;        /* pull: the name meant something else before */
	char signed_by[256]; /* pull: keys whose signatures counted; "" when none was asked for */
};
/*
 * Progress comes as events, one text per layer. What an interrupted pull got
 * stays for the next one; the name means the new image only when it is whole.
 */
int pot_image_pull(struct pot_ctx *, const struct pot_pull_args *, struct pot_transfer *, struct err *);

struct pot_sign_key {
	const char *file;       /* secret key in signify's form */
	const char *passphrase; /* or NULL */
};
struct pot_push_args {
	const char *name;               /* on this node */
	const char *dest;               /* names a registry; NULL: name does */
	const struct pot_sign_key *key; /* sign what was sent, or NULL */
	bool streams;                   /* offer the layers as streams of the storage, too */
	struct pot_net net;
};
int pot_image_push(struct pot_ctx *, const struct pot_push_args *, struct pot_transfer *, struct err *);

struct pot_login_args {
	const char *host, *user, *password;
	struct pot_net net;
};
/* Proves the credentials, then keeps them. realm gets the host that gives out tokens, or "". */
int pot_login(struct pot_ctx *, const struct pot_login_args *, char realm[256], struct err *);
/* E_NOENT: there were none. */
int pot_logout(struct pot_ctx *, const char *host, struct err *);

/* ---- signatures: Ed25519 in the formats of signify(1) ------------------------------ */

/* Makes a pair of keys; neither file may exist. passphrase NULL: the secret key is not locked. */
int pot_keygen(const char *public_file, const char *secret_file, const char *passphrase, const char *comment,
    struct err *);
int pot_key_is_locked(const char *secret_file, bool *locked, struct err *);
/* Signs digest, name and tag of an image in a registry; digest (of what was signed) is filled. */
int pot_image_sign(struct pot_ctx *, const char *name, const struct pot_sign_key *, const struct pot_net *,
    char digest[POT_DIGEST_LEN], struct err *);

struct pot_verdict {
	char digest[POT_DIGEST_LEN];
	char rule[512];      /* of policy.conf; "" when keys were given */
	char signed_by[256]; /* whose signatures counted */
	unsigned good, need;
	int64_t time_ns; /* when the last one needed was made */
};
/*
 * Asks the registry what the name means now and who signed that. keys: files
 * of public keys, NULL-terminated, all of which must have; NULL: what
 * policy.conf asks for. E_PERM.
 */
int pot_image_verify(struct pot_ctx *, const char *name, const char *const *keys, const struct pot_net *,
    struct pot_verdict *, struct err *);

/* ---- files for elsewhere ------------------------------------------------------- */

struct pot_export_args {
	const char *pot;
	const char *tag; /* NULL: the snapshot's */
	const char *dir; /* for the files */
	bool classic;    /* the set of the shell framework, where the storage is ZFS; else an OCI archive */
	bool
	    automatic; /* takes a snapshot when there is none, removes all but the last when there are several */
	bool several;                   /* exports the last one when there are several */
	bool versions;                  /* tags may only rise, and mean one snapshot each */
	int level;                      /* classic: of xz, 0 to 9, -1: 6 */
	const struct pot_sign_key *key; /* classic: signs it; or NULL */
	bool
	    whole; /* classic: with what the pot is a clone of in it, where else that would have to be imported first */
};
#define POT_EXPORT_LEN 256
/*
 * made: the file in dir, POT_TAG.tar or POT_TAG.xz. E_NOENT: there is no snapshot, E_EXIST: several, E_STATE: what
 * the pot is a clone of was not exported.
 */
int pot_image_export(
    struct pot_ctx *, const struct pot_export_args *, char made[POT_EXPORT_LEN], struct err *);

#define POT_PREPARE_OCI "oci://"
struct pot_prepare_args {
	const char *name, *tag; /* of the image */
	const char *from;       /* as for an import, or "oci://HOST[/PATH]"; NULL: it is here */
	const char *key;        /* as for an import */
	bool insecure;
	const char *allocation; /* end of the pot's name */
	const char *as;         /* its beginning; NULL: NAME_TAG */
	const struct pot_create_args
	    *create; /* network, ports, command; its name and source are not looked at */
	struct pot_net net;
};
/*
 * Brings an image when it is not here and makes a pot of it for an orchestrator, not started. made: its name,
 * with '_' for each '.'. E_EXIST. Nothing is left of a pot when something fails; the image stays.
 */
int pot_image_prepare(struct pot_ctx *, const struct pot_prepare_args *, char made[64], struct err *);

#endif
