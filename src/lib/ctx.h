/* Inside of lib/: the context, shared by its files. */
#ifndef LIB_CTX_H
#define LIB_CTX_H

#include "engine/engine.h"

struct pot_ctx {
	struct eng *eng;
};

/* E_PERM unless we are root. */
int lib_need_root(struct err *) MUST_CHECK;

/* A pot of an installation, to be changed; to be looked at. */
int lib_check(struct pot_ctx *, const char *name, struct err *) MUST_CHECK;
int lib_check_look(struct pot_ctx *, const char *name, struct err *) MUST_CHECK;

/* An absolute path of a pot; what: for the message. */
int lib_check_path(const char *path, const char *what, struct err *) MUST_CHECK;

/* What pot_create checks before anything is done. */
int lib_check_create(struct pot_ctx *, const struct pot_create_args *, struct err *) MUST_CHECK;

#endif
