/*
 * References to images: `[HOST[:PORT]/]NAME[:TAG][@DIGEST]`. The first
 * component is a host when it has a dot or a port, is "localhost" or stands in
 * brackets; anything else is an image of this node. Names and tags are those
 * of the OCI distribution specification, a digest is sha256 or sha512.
 */
#ifndef MODEL_REFERENCE_H
#define MODEL_REFERENCE_H

#include <stdbool.h>
#include "base/err.h"

#define REF_HOST_MAX 261 /* "HOST:PORT" */
#define REF_NAME_MAX 255 /* of the name, and of host and name together as many registries want */
#define REF_TAG_MAX 128
#define REF_DIGEST_MAX 135 /* "sha512:" and 128 digits */
#define REF_TEXT 800

struct reference {
	char host[REF_HOST_MAX + 1];     /* lower case, with its port; "": an image of this node */
	char name[REF_NAME_MAX + 1];     /* "library/nginx" */
	char tag[REF_TAG_MAX + 1];       /* "" when not given */
	char digest[REF_DIGEST_MAX + 1]; /* "sha256:…", "" when not given */
};

/* E_INVAL naming the part that is wrong. */
int ref_parse(const char *, struct reference *, struct err *) MUST_CHECK;
/* The tag becomes "latest" where neither tag nor digest stands. */
void ref_default_tag(struct reference *);
/* As ref_parse reads it. */
void ref_print(const struct reference *, char out[static REF_TEXT]);
/* `HOST/NAME` or `NAME`: what all tags of a repository share. */
void ref_print_name(const struct reference *, char out[static REF_TEXT]);
bool ref_equal(const struct reference *, const struct reference *);

/* "HOST[:PORT]" into lower case; what login and --insecure take. E_INVAL. */
int ref_parse_host(const char *, char out[static REF_HOST_MAX + 1], struct err *) MUST_CHECK;
/* localhost, 127.0.0.0/8, ::1, with or without a port. */
bool ref_host_is_loopback(const char *host);
bool ref_is_name(const char *);
bool ref_is_tag(const char *);
bool ref_is_digest(const char *);

#endif
