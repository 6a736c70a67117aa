/*
 * A registry opened for work on one repository: session, credentials of this
 * installation, and whole manifests, checked against their digest.
 */
#ifndef IMAGE_REMOTE_H
#define IMAGE_REMOTE_H

#include "base/event.h"
#include "image/client.h"
#include "image/manifest.h"
#include "model/reference.h"

/* How registries are reached. Borrowed for the call it is given to. */
struct img_net {
	int rootfd;                      /* the installation: its credentials, its policy */
	const char *auth_file;           /* $REGISTRY_AUTH_FILE, or NULL */
	const char *const *insecure;     /* hosts named so, NULL-terminated, or NULL */
	const char *ca_file;             /* authorities instead of the system's, or NULL */
	unsigned stall_s;                /* 0: the default */
	const volatile bool *cancel;     /* or NULL */
	const struct pot_events *events; /* or NULL */
};

/* Was the host named as insecure? */
bool img_net_is_insecure(const struct img_net *, const char *host);

struct remote {
	struct http *http;
	struct client *client;
	char name[REF_NAME_MAX + 1];
	const struct img_net *net;
};
#define REMOTE_INIT                  \
	{                            \
		NULL, NULL, "", NULL \
	}

/* ref must name a registry: E_INVAL otherwise. Says hello. */
int remote_open(struct remote *, const struct img_net *, const struct reference *, struct err *) MUST_CHECK;
void remote_fini(struct remote *);
DEFINE_AUTO_FINI(remote, struct remote)

/* The token scope "repository:NAME:ACTIONS" into out. */
void remote_scope(const struct remote *, const char *actions, char out[static CLIENT_SCOPE_MAX]);

/* A manifest as it came, with its digest. */
struct remote_manifest {
	struct buf text;
	struct digest digest;
	char media_type[256]; /* as announced; "" when nothing usable was */
	struct img_manifest *parsed;
};
void remote_manifest_fini(struct remote_manifest *);
void remote_manifest_init(struct remote_manifest *);
DEFINE_AUTO_FINI(remote_manifest, struct remote_manifest)

/*
 * which: a tag, or a digest that the bytes must have. expected: the media type
 * that a descriptor promised, or NULL. E_NOENT, E_CORRUPT.
 */
int remote_manifest_get(struct remote *, const char *which, const char *expected, struct remote_manifest *,
    struct err *) MUST_CHECK;
/* 1: the registry has this blob, 0: not. */
int remote_blob_has(struct remote *, const struct digest *, struct err *) MUST_CHECK;
/* A small blob whole: digest and size are checked. */
int remote_blob_get(
    struct remote *, const struct digest *, uint64_t size, struct buf *out, struct err *) MUST_CHECK;

#endif
