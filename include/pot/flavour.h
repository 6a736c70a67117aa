/*
 * libpot: flavours, the recipes of pots. The conventions are those of pot.h.
 * A list `dirs` (NULL-terminated, or NULL) is looked in before the usual places.
 */
#ifndef POT_FLAVOUR_H
#define POT_FLAVOUR_H

#include <pot/build.h>

struct pot_flavour_parameter {
	const char *name, *description;
	const char *def; /* NULL: none */
	bool required;
};
/* Strings are borrowed for the call. */
struct pot_flavour_info {
	const char *name, *where;                            /* where: its directory */
	const char *title, *description, *version, *licence; /* "" where it does not say */
	const char *broken;              /* why it cannot be read, or NULL: all is said above */
	bool on_linux, on_freebsd, here; /* here: on this system */
	bool has_commands, has_script, has_description;
	const struct pot_flavour_parameter *parameters;
	size_t nparameters;
	const char *const *needs; /* flavours that are applied before it, as typed */
	size_t nneeds;
};
typedef int pot_flavour_fn(void *arg, const struct pot_flavour_info *);
/* In order of names. Of those with one name the first place wins, as when it is applied. */
int pot_flavour_list(struct pot_ctx *, const char *const *dirs, pot_flavour_fn *, void *arg, struct err *);
/* One, by its name or as a path; fn is called once. E_NOENT. */
int pot_flavour_show(
    struct pot_ctx *, const char *const *dirs, const char *name, pot_flavour_fn *, void *arg, struct err *);

struct pot_flavour_finding {
	enum pot_severity severity;
	const char *file; /* path */
	unsigned line;    /* 0: the whole */
	const char *text;
};
typedef int pot_flavour_finding_fn(void *arg, const struct pot_flavour_finding *);
/* Looks for mistakes without applying it. The worst severity, or < 0. */
int pot_flavour_lint(struct pot_ctx *, const char *const *dirs, const char *name, pot_flavour_finding_fn *,
    void *arg, struct err *);

/* ---- pots with flavours -------------------------------------------------------------------- */

struct pot_flavours {
	const char *const *names; /* "NAME[?PARAMETER=VALUE[&…]]", in order; NULL-terminated */
	const char *const *args;  /* "NAME.PARAMETER=VALUE", or NULL */
	const char *const *dirs;  /* or NULL */
	const char
	    *network;     /* of scripts: "default" (the public bridge), "none", "host"; NULL: as the pot's */
	bool no_cache;    /* everything is done again */
	pot_build_fn *fn; /* is told of each step and of what scripts say; or NULL */
	void *arg;
};
/*
 * As pot_create, with flavours. Each step is done once a node: what it gave is kept, and a change runs it and
 * what is behind it again. When one fails there is no pot; with keep it is as the last good step left it. The
 * caller must not have threads of its own meanwhile.
 */
int pot_create_flavoured(
    struct pot_ctx *, const struct pot_create_args *, const struct pot_flavours *, struct err *);

#endif
