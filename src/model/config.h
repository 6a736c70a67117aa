/*
 * The node's configuration file pot.conf (libconfuse; the classic POT_KEY=value
 * lines are read too): a table of keys, their types, defaults, classic names
 * and one-line texts. Unknown keys, wrong types and syntax errors are
 * reported as "FILE:LINE:COLUMN: why".
 */
#ifndef MODEL_CONFIG_H
#define MODEL_CONFIG_H

#include <stdint.h>
#include "base/buf.h"

enum config_type {
	CONFIG_STRING,
	CONFIG_UINT,
	CONFIG_SIZE,
	CONFIG_DURATION,
	CONFIG_BOOL,
	CONFIG_CHOICE,
	CONFIG_RANGE
};

struct config_key {
	const char *name;    /* "log_max_size" */
	const char *classic; /* "POT_ZFS_ROOT", or NULL */
	enum config_type type;
	const char *def;
	const char *choices; /* CONFIG_CHOICE: "auto|zfs|btrfs|overlay|copy" */
	const char *summary;
	uint64_t min, max; /* UINT, SIZE; DURATION in ms; RANGE: family (4, 6) and longest prefix */
};
/*
 * storage (choice auto|zfs|btrfs|overlay|copy, auto), zfs_root (POT_ZFS_ROOT), btrfs_root, cgroup_parent,
 * log_max_size (10M), log_files (3), pids_limit (4096), stop_timeout (10s), hook_timeout (60s), hostname_max,
 * network_stack (POT_NETWORK_STACK), mmdebstrap (program), mirror,
 * network (POT_NETWORK), network6, routed6 ("" or the address of a range), external_interface (POT_EXTIF),
 * isolate_pots (POT_ISOLATE_VNET_POTS)
 */
extern const struct config_key config_keys[];
extern const size_t config_nkeys;

struct config; /* immutable once loaded */

/*
 * path NULL or absent: all defaults. Caller frees with config_free.
 *
 * One "key = value" a line, '#', "//" and C comments, values with blanks or //
 * in quotes. Nothing is included, executed or replaced by variables. At most
 * 1 MiB. A classic name with an empty value counts as not set, and classic
 * names without a meaning here are passed over.
 */
int config_load(struct config **, const char *path, struct err *) MUST_CHECK;
/* The same from text in memory; file is its name in messages. */
int config_parse(struct config **, const char *text, size_t len, const char *file, struct err *) MUST_CHECK;
void config_free(struct config *);
/* Borrowed; never NULL for a key of the table; asserts on any other name. */
const char *config_get(const struct config *, const char *name);
uint64_t config_uint(const struct config *, const char *name); /* UINT, SIZE, BOOL */
int64_t config_duration_ms(const struct config *, const char *name);
/* "default", or "FILE:LINE". */
const char *config_origin(const struct config *, const char *name);

#endif
