/*
 * A pot's state on disk: the file pots/NAME/state (layout in shimproto.h).
 *
 * The engine owns a ring of slots; a write goes to the oldest slot, so the
 * newest valid one always is a whole state, old or new, whatever dies when.
 * The shim alone writes the exit slot. A lock on the file, held by the
 * running pot's shim, means "alive" and vanishes with it, by any death and at
 * a reboot. Writing takes the pot's lock (pot.h here); reading takes nothing.
 */
#ifndef ENGINE_STATE_H
#define ENGINE_STATE_H

#include <stdint.h>

#include <pot.h>
#include "base/host.h"
#include "base/proc.h"
#include "isolation/isolation.h"
#include "model/shimproto.h"

/* What is under way: written before it begins, so that whoever comes next can walk it back. */
enum state_op {
	OP_NONE,
	OP_CREATE,  /* the pot does not exist yet */
	OP_DESTROY, /* the pot does not exist any more */
	OP_RENAME,  /* arg: the new name */
	OP_FREEZE,  /* pause or unpause of a running pot */
	OP_MOUNT,   /* mount-in or mount-out of a running pot; arg: the mount point */
	OP_STORAGE, /* snapshot, rollback, purge: the storage repairs itself */
	OP_LIMITS,  /* of a running pot: what pot.conf lists counts */
	OP_PORTS,   /* host ports are being reserved: what pot.conf lists counts */
};

struct state_rec {
	uint32_t magic, version;
	uint64_t seq;
	uint8_t boot[HOST_BOOT_ID_LEN]; /* of the last start */
	uint32_t state;                 /* enum pot_state */
	uint32_t op;                    /* enum state_op */
	uint32_t steps;                 /* bit i: step i of the start is up, or was begun */
	uint32_t crashed;               /* the last run did not end by itself or by stop */
	uint64_t run_id, runs;
	struct proc_id init, shim;
	int64_t created_ns, started_ns, stopped_ns, exit_ns;
	int32_t status, signal;     /* of the last end; status -1: none */
	uint32_t paused, oom_kills; /* of the last run: kills for want of memory */
	char base[64];
	char network[24];
	char cgroup[ISO_CGROUP_MAX];
	char reason[192];
	char arg[256];
	char id[24];         /* of the pot: its leases are found by it when pot.conf is damaged */
	char ip[120];        /* its addresses, separated by blanks, for lists */
	char ports[512];     /* what it publishes, separated by ", ", for lists; "…" at the end: not all */
	uint32_t flags, crc; /* STATE_BUILD */
};

/*
 * A builder's, for one command: its root is a half-made layer, STOR_IMAGE of the pot's name, and whoever
 * made it holds that layer's lock (model/imgrecord.h). Without that holder the pot is a killed one's: it is
 * ended and removed by whoever comes by.
 */
#define STATE_BUILD 1u

struct state {
	int fd;
	unsigned slot; /* of rec */
	struct state_rec rec;
};
#define STATE_INIT        \
	{                 \
		-1, 0,    \
		{         \
			0 \
		}         \
	}

/* Makes the file of a new pot below dirfd, in state rec. */
int state_create(struct state *, int dirfd, const struct state_rec *, struct err *) MUST_CHECK;
/* Opens and reads. E_NOENT: no file; E_CORRUPT: no valid slot (fd is open, rec zero). */
int state_open(struct state *, int dirfd, struct err *) MUST_CHECK;
/* Reads again (another process may have written). */
int state_reload(struct state *, struct err *) MUST_CHECK;
/* Writes rec; durable: on the disk when it returns. Without, a killed process loses nothing, a power cut may. */
int state_write(struct state *, bool durable, struct err *) MUST_CHECK;
/* The shim's record of this run: 1 there, 0 not. */
int state_exit(const struct state *, struct shim_exit *, struct err *) MUST_CHECK;
/* Is a shim holding the file? */
bool state_alive(const struct state *);
bool state_is_active(const struct state_rec *); /* starting, running, paused, stopping */
void state_fini(struct state *);

DEFINE_AUTO_FINI(state, struct state)

#endif
