/*
 * What of its walls a pot is told to do without, or to have besides: names of
 * settings as options have them, their texts in pot.conf and what these mean.
 * Pure; what a wall is made of in the kernel is isolation's.
 */
#ifndef MODEL_WALLS_H
#define MODEL_WALLS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "model/potconf.h"

/* One setting by its name. */
struct walls_row {
	const char *name; /* of the option: "cap-add" */
	const char *key;  /* in pot.conf */
	bool repeated;
	int (*check)(const char *value, struct err *); /* of one value as pot.conf has it */
};
extern const struct walls_row walls_rows[];
extern const size_t walls_nrows;
const struct walls_row *walls_find(const char *name, struct err *); /* E_INVAL */
const struct walls_row *walls_find_key(const char *key);

/*
 * Sets one, checked and in the form that pot.conf has: one value more of a repeated one, instead of
 * that for the same thing. "default" takes it (all of a repeated one) away.
 */
int walls_set(struct potconf *, const char *name, const char *value, struct err *) MUST_CHECK;

#define PC_CAP_ADD "pot.cap.add"   /* repeated: a capability, or "all" */
#define PC_CAP_DROP "pot.cap.drop" /* repeated: a capability, or "all" */
#define PC_DEVICE "pot.device"     /* repeated: HOST:TARGET */
#define PC_SYSCTL "pot.sysctl"     /* repeated: name=value */
#define PC_TMPFS "pot.tmpfs"       /* repeated: PATH[:OPTION,…] */
#define PC_PRIVILEGED "pot.privileged"
#define PC_READONLY "pot.read-only"
#define PC_SECCOMP "pot.seccomp" /* default | unconfined | custom (file seccomp.json beside) */
#define PC_USERNS "pot.userns"   /* auto | on | off */
#define PC_SHM_SIZE "pot.shm-size"

/* The capabilities of its root: the default ones or, with privileged, all; what is dropped by name stays dropped. */
int walls_caps(const struct potconf *, uint64_t *caps, struct err *) MUST_CHECK;
/* Is a setting that is YES or NO on? */
bool walls_is(const struct potconf *, const char *key);

struct walls_device {
	char host[PATH_MAX], target[256]; /* absolute; target is below /dev */
};
int walls_device(const char *text, struct walls_device *, struct err *) MUST_CHECK;

struct walls_tmpfs {
	char path[PATH_MAX];
	uint64_t size; /* 0: the kernel's default */
	uint32_t mode;
	bool read_only, exec;
};
int walls_tmpfs(const char *text, struct walls_tmpfs *, struct err *) MUST_CHECK;

struct walls_sysctl {
	char path[128]; /* below /proc/sys: "net/ipv4/ip_forward" */
	const char *value;
	bool net; /* belongs to the network */
};
/* Only parameters that each namespace has for itself. */
int walls_sysctl(const char *text, struct walls_sysctl *, struct err *) MUST_CHECK;

#endif
