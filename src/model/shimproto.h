/*
 * What the shim and the rest agree on: fds, arguments, the exit slot in the
 * state file, frames to an attached client, the log's line format. Plain C
 * without libc, so that the shim stays tiny.
 *
 *   pot-shim run PID RUNID LOGMAX LOGFILES -- CLEANUP…            (argv[0] "pot-shim NAME")
 *   pot-shim init FLAGS UID GID GROUPS WORKDIR CAPS -- COMMAND…   (argv[0] "pot-init NAME")
 *
 * LOGFILES 0: one, and the pot is killed when its client goes.
 *
 * GROUPS is "-" or numbers with commas.  UID "-": the identity stays (tests
 * without root).  CAPS: the capabilities that the command may have, a decimal
 * number whose bit N is capability N; "-": they stay as they are.
 *
 * Who cleans up: the shim executes CLEANUP and fills the exit slot exactly
 * when the command was executed, which it learns from SHIM_FD_RESULT.  When
 * set-up or exec failed, or the gate was closed unopened, it just ends: the
 * caller (or, if that died too, the next command, by the journal) undoes.
 */
#ifndef MODEL_SHIMPROTO_H
#define MODEL_SHIMPROTO_H

#include <stdint.h>

/* fds of `run`; those not used are closed. 0, 1, 2 are /dev/null. */
enum {
	SHIM_FD_STATE = 3, /* state file; its lock means "alive" */
	SHIM_FD_LOGDIR = 4,
	SHIM_FD_OUT = 5, /* read end; stdout, or both when SHIM_FD_ERR is closed */
	SHIM_FD_ERR = 6,
	SHIM_FD_CLIENT = 7, /* SOCK_SEQPACKET */
	SHIM_FD_MNTNS = 8,  /* held so that the exit is told before the mounts go */
	SHIM_FD_RESULT = 9  /* read end of INIT_FD_RESULT */
};

/* fds of `init`; 0, 1, 2 are the main process's. */
enum {
	INIT_FD_GATE = 3,   /* one byte opens it, end of file ends the pot */
	INIT_FD_STATUS = 4, /* struct shim_failure: sys 0 when executed */
	INIT_FD_RESULT = 5, /* struct init_result, to the shim */
	INIT_FD_FILTER = 6  /* with INIT_FLAG_FILTER: a pipe with the command's system call filter */
};

/*
 * On FreeBSD the shim is an ordinary program of libc, and the pot's first
 * process is its child, not another program:
 *
 *   pot-shim run JID JAIL FLAGS RUNID LOGMAX LOGFILES UID GID GROUPS WORKDIR NCLEANUP CLEANUP… COMMAND…
 *
 * The environment is the command's, fds 3 to 7 are as above. JAIL is the jail's
 * name in rules of rctl(8): of each "devctl" rule about its memory that the
 * kernel tells at FREEBSD_FD_EVENTS, a byte goes to FREEBSD_FD_KILLS, and with
 * SHIM_FLAG_OOM_ENDS the pot ends. The child enters
 * the jail, says so (SHIM_STEP_READY), waits at the gate and becomes the
 * command; with INIT_FLAG_PERSISTENT it stays in the jail as a reaper and the
 * command is its child.
 */
enum {
	FREEBSD_FD_JAIL = 8, /* owns the jail (FreeBSD 15), or is closed */
	FREEBSD_FD_GATE = 9,
	FREEBSD_FD_STATUS = 10,
	FREEBSD_FD_STDIN = 11,  /* and 12, 13: the command's */
	FREEBSD_FD_EVENTS = 14, /* nlsysevent(4): struct nlmsghdr …; or closed */
	FREEBSD_FD_KILLS = 15,  /* to be added to */
	FREEBSD_FD_COUNT = 16
};
#define SHIM_FLAG_OOM_ENDS 'o' /* FLAGS of `run`, beside those of `init` */

/* FLAGS of `init`: letters after a "-". */
#define INIT_FLAG_PERSISTENT 'p' /* stays after the command's end until SIGTERM */
#define INIT_FLAG_DIRECT 'd'     /* the command becomes PID 1 itself */
#define INIT_FLAG_FILTER 'f'     /* there is INIT_FD_FILTER */
#define INIT_FILTER_MAX 32768

/*
 * What PID 1 tells the shim.  A PID 1 cannot end by a signal of its own, so
 * the command's true wait status goes this way; PID 1's own status counts only
 * when it was killed before (or is the command, direct).  Executed means: an
 * EXECUTED was sent and no FAILED.
 */
enum { INIT_EXECUTED = 1, INIT_FAILED = 2, INIT_ENDED = 3 };
struct init_result {
	uint32_t kind;
	int32_t wait_status; /* INIT_ENDED: of the command, as waitpid(2) gives it */
};

struct shim_failure {
	int32_t sys;    /* errno */
	uint32_t step;  /* enum iso_step of isolation/linux, or SHIM_STEP_EXEC */
	char what[248]; /* path or name, NUL-terminated */
};
#define SHIM_STEP_EXEC 0xffffffffu
#define SHIM_STEP_WORKDIR 0xfffffffeu
#define SHIM_STEP_USER 0xfffffffdu
#define SHIM_STEP_CAPS 0xfffffffbu
#define SHIM_STEP_FILTER 0xfffffffau
#define SHIM_STEP_JAIL 0xfffffff9u   /* FreeBSD: entering the jail */
#define SHIM_STEP_READY 0xfffffff8u  /* FreeBSD: sys 0, in the jail and at the gate; what: "SHIM-PID PID" */
#define SHIM_STEP_DIRECT 0xfffffffcu /* sys 0, with INIT_FLAG_DIRECT: end of file after this means executed */

/*
 * The state file: a header, the slot that only the shim writes, then slots of
 * the engine (engine/state.c). Numbers in host byte order: the file never
 * leaves the machine.
 */
#define STATE_SLOT_SIZE 2048
#define STATE_EXIT_OFF 1024
#define STATE_RING_OFF 2048
#define STATE_RING_SLOTS 6
#define STATE_FILE_SIZE (STATE_RING_OFF + STATE_RING_SLOTS * STATE_SLOT_SIZE)

#define SHIM_EXIT_MAGIC 0x54584550u /* "PEXT" */
struct shim_exit {
	uint32_t magic, version; /* version 1 */
	uint64_t run_id;
	int32_t wait_status; /* of the command (of PID 1 when that was killed), as waitpid(2) gives it */
	uint32_t flags;      /* 0 */
	int64_t time_ns;     /* since the epoch */
	uint64_t log_lost;   /* bytes of output that could not be kept (full disk) */
	uint32_t zero, crc;  /* CRC-32 (IEEE) of all bytes before */
};

/* What four bits do to the sum. */
static inline uint32_t
shim_crc32_nibble(uint32_t bits)
{
	static const uint32_t table[16] = { 0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190,
		0x6b6b51f4, 0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c };

	return table[bits & 15];
}

/* Four bits at a time: the table fits a cache line, and no pot touches a page for it. */
static inline uint32_t
shim_crc32(const void *data, unsigned long len)
{
	const unsigned char *p = data;
	uint32_t crc = 0xffffffffu;

	while (len-- > 0) {
		crc ^= *p++;
		crc = (crc >> 4) ^ shim_crc32_nibble(crc);
		crc = (crc >> 4) ^ shim_crc32_nibble(crc);
	}
	return ~crc;
}

/* Frames to an attached client: one type byte, then the payload (at most SHIM_FRAME_MAX). */
#define SHIM_FRAME_OUT 'o' /* bytes for stdout */
#define SHIM_FRAME_ERR 'e'
#define SHIM_FRAME_EXIT 'x' /* struct shim_exit; the socket is closed when clean-up is done */
/*
 * After the exit: "clean up, you have everything in memory". The client
 * answers with the byte SHIM_CLEANED when it has; without it the shim executes
 * the clean-up verb as for anybody else. The mounts go behind that, because
 * the kernel writes the file system below them to the disk first; the lock
 * that means "alive" goes after them.
 */
#define SHIM_FRAME_CLEAN 'c'
#define SHIM_CLEANED 'C'
#define SHIM_FRAME_MAX 16384

/*
 * A line of the log: "SECONDS.NANOSECONDS SF TEXT\n", the time with nine
 * digits, S 'o' (stdout, or both) or 'e', F 'F' (the line ended here) or 'P' (it goes
 * on in the next record of the stream, or the output ended without a newline). Files
 * are "log", then "log.1" (older) …; "log" appears with the first record and is
 * absent for a moment while files rotate.  A 'P' is written when SHIM_LOG_LINE bytes
 * have come without a newline, when nothing followed for SHIM_LOG_IDLE_MS (so that a
 * follower sees prompts), and at the end.
 */
#define SHIM_LOG_IDLE_MS 100
#define SHIM_LOG_LINE 8192

#endif
