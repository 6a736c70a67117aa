/*
 * Pots of the shell framework, as its files say: the framework's pot.conf, and of each pot
 * conf/pot.conf and conf/fscomp.conf. Pure; what is in them may be anything.
 */
#ifndef MODEL_CLASSICPOT_H
#define MODEL_CLASSICPOT_H

#include <stdbool.h>

#include "base/buf.h"

#define CLASSIC_PATH 1024
#define CLASSIC_MOUNTS 64
#define CLASSIC_FILE_MAX (1024 * 1024)

/* Where the framework keeps things. */
struct classic_place {
	char zfs_root[256];         /* "zroot/pot" */
	char fs_root[CLASSIC_PATH]; /* its mount point: "/opt/pot" */
};
#define CLASSIC_PLACE_INIT              \
	{                               \
		"zroot/pot", "/opt/pot" \
	}
/* Reads POT_ZFS_ROOT and POT_FS_ROOT of a shell file of assignments; what it does not say stays. */
int classic_place_read(
    struct classic_place *, const char *text, size_t len, const char *what, struct err *) MUST_CHECK;

struct classic_mount {
	char source[CLASSIC_PATH]; /* absolute, on the host */
	char target[CLASSIC_PATH]; /* absolute, inside */
	bool ro;
};

struct classic_pot {
	bool multi;
	char network[24], stack[8], bridge[64];
	char memory[24], cpus[8]; /* "" : no limit */
	struct strv addrs;        /* of the type alias: "[INTERFACE|]ADDRESS" */
	struct strv ports;        /* "HOST:PORT/tcp|udp", HOST empty: to be chosen */
	struct strv hosts;        /* "NAME:ADDRESS" */
	struct strv depends;      /* other pots */
	char root[256];           /* the dataset that its root is */
	size_t nmounts;
	struct classic_mount mounts[CLASSIC_MOUNTS];
};
void classic_pot_init(struct classic_pot *);
void classic_pot_fini(struct classic_pot *);
DEFINE_AUTO_FINI(classic_pot, struct classic_pot)
/* pot.conf; the command, environment and attributes are image/classic.h's. E_INVAL "WHAT: why". */
int classic_pot_conf(
    struct classic_pot *, const char *text, size_t len, const char *what, struct err *) MUST_CHECK;
/* fscomp.conf of the pot `name`, after pot.conf. E_INVAL "WHAT:LINE: why"; E_NOTSUP for a dataset of elsewhere. */
int classic_pot_fscomp(struct classic_pot *, const struct classic_place *, const char *name, const char *text,
    size_t len, const char *what, struct err *) MUST_CHECK;

#endif
