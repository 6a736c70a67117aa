/*
 * The zfs command: running it, reading its answers, turning its words into
 * error codes. The only place that knows what its messages look like; they
 * are those of OpenZFS and of the older zfs-fuse, which lacks -p of `zfs
 * list`, so that everything is asked by `zfs get`.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/proc.h"
#include "base/text.h"
#include "storage/zfs.h"

#define WORDS_MAX 24
#define OUT_MAX (64u << 20)
#define COMMAND_TIMEOUT_MS (10 * 60 * 1000)
#define BUSY_MS 5000
#define BUSY_STEP_MS 20

static const struct {
	const char *words;
	int code;
} meanings[] = {
	/* clang-format off */
	{ "has dependent clones", ZFS_HAS_CLONES },
	{ "clones of previous snapshots exist", ZFS_HAS_CLONES },
	{ "property is set to 'off'", ZFS_CANMOUNT_OFF },
	{ "more recent snapshots", ZFS_HAS_LATER },
	{ "does not exist", E_NOENT },
	{ "no such", E_NOENT },
	{ "already exists", E_EXIST },
	{ "is busy", E_BUSY },
	{ "out of space", E_NOSPC },
	{ "No space left", E_NOSPC },
	{ "quota exceeded", E_NOSPC },
	{ "size is less than current used", E_INVAL },
	{ "ermission denied", E_PERM },
	{ "name is too long", E_INVAL },
	{ "daemon is running", E_STATE },
	{ "modules are not loaded", E_STATE },
	{ "modules cannot be", E_STATE },
	{ "/dev/zfs and /proc/self", E_NOTSUP },
	/* clang-format on */
};

/* Sets the error that the first line of zfs's own says; what is in e stays when it said nothing. */
static int
explain(const struct buf *said, struct err *e, int rc)
{
	const char *text = buf_cstr(said);
	size_t len = strcspn(text, "\n");
	AUTO_FINI(buf) struct buf line = BUF_INIT(512);
	enum err_code code = E_SYS;

	if (len == 0 || rc == -E_NOCMD || rc == -E_NOEXEC || rc == -E_TIMEOUT || rc == -E_INTR)
		return rc;
	text_escape(text, len < 400 ? len : 400, &line);
	for (size_t i = 0; i < ARRAY_LEN(meanings); i++) {
		if (strstr(text, meanings[i].words) == NULL)
			continue;
		if (meanings[i].code > E_COUNT) {
			err_set(e, E_STATE, "zfs: %s", buf_cstr(&line));
			return -meanings[i].code;
		}
		code = (enum err_code)meanings[i].code;
		break;
	}
	return err_set(e, code, "zfs: %s", buf_cstr(&line));
}

static int
run_words(const char *const *argv, struct buf *out, struct err *e)
{
	AUTO_FINI(buf) struct buf said = BUF_INIT(64 * 1024);
	struct proc_spec spec = PROC_SPEC_INIT;
	int rc;

	spec.argv = argv;
	spec.out = out;
	spec.err = &said;
	spec.timeout_ms = COMMAND_TIMEOUT_MS;
	rc = proc_run(&spec, NULL, e);
	return rc < 0 ? explain(&said, e, rc) : 0;
}

/* "zfs", then the words of the list. */
static void
gather(const char *argv[static WORDS_MAX + 2], va_list ap)
{
	size_t n = 0;

	argv[n++] = "zfs";
	while (n <= WORDS_MAX && (argv[n] = va_arg(ap, const char *)) != NULL)
		n++;
	argv[n] = NULL;
}

int
zfs_run(struct buf *out, struct err *e, ...)
{
	const char *argv[WORDS_MAX + 2];
	va_list ap;

	va_start(ap, e);
	gather(argv, ap);
	va_end(ap);
	return run_words(argv, out, e);
}

/* A rollback that meets zfs-fuse's daemon amid the end of a mount is told of an I/O error. */
static bool
may_pass(int rc, const struct err *e)
{
	return rc == -E_BUSY || (rc == -E_SYS && e != NULL && strstr(e->msg, "I/O error") != NULL);
}

int
zfs_run_patiently(struct err *e, ...)
{
	const char *argv[WORDS_MAX + 2];
	int64_t end = text_monotonic_ms() + BUSY_MS;
	va_list ap;
	int rc;

	va_start(ap, e);
	gather(argv, ap);
	va_end(ap);
	/*
	 * A dataset stays busy for a moment after its last use (an unmount over
	 * FUSE, a removed jail), and ZFS has no event for the end of it.
	 */
	while (may_pass(rc = run_words(argv, NULL, e), e) && text_monotonic_ms() < end)
		(void)poll(NULL, 0, BUSY_STEP_MS);
	return rc;
}

/*
 * zfs-fuse's command mounts clones again that it unmounted first. One in use
 * cannot be, and the command fails though the new name is there: then the
 * next attempt finds the old name gone.
 */
int
zfs_run_rename(const char *from, const char *to, struct err *e)
{
	const char *const argv[] = { "zfs", "rename", from, to, NULL };
	int64_t end = text_monotonic_ms() + BUSY_MS;
	int rc = run_words(argv, NULL, e);

	if (!may_pass(rc, e))
		return rc;
	do {
		(void)poll(NULL, 0, BUSY_STEP_MS);
		rc = run_words(argv, NULL, e);
	} while (may_pass(rc, e) && text_monotonic_ms() < end);
	return rc == -E_NOENT ? 0 : rc;
}

/* Cuts one tab-separated field off *p. */
static const char *
next_field(char **p)
{
	char *field = *p, *tab = strchr(field, '\t');

	if (tab != NULL)
		*tab++ = '\0';
	*p = tab != NULL ? tab : field + strlen(field);
	return field;
}

int
zfs_get(const char *dataset, const char *depth, const char *props, zfs_value_fn *fn, void *arg, struct err *e)
{
	static const char columns[] = "name,property,value,source";
	AUTO_FINI(buf) struct buf out = BUF_INIT(OUT_MAX);
	char *line, *rest;
	int rc;

	if (depth != NULL)
		rc = zfs_run(&out, e, "get", "-H", "-p", "-d", depth, "-o", columns, props, dataset, NULL);
	else
		rc = zfs_run(&out, e, "get", "-H", "-p", "-o", columns, props, dataset, NULL);
	if (rc == 0)
		rc = buf_check(&out, "zfs: list", e);
	rest = out.data;
	while (rc == 0 && rest != NULL && (line = strsep(&rest, "\n")) != NULL && *line != '\0') {
		struct zfs_value v;

		v.dataset = next_field(&line);
		v.prop = next_field(&line);
		v.value = next_field(&line);
		v.local = strcmp(line, "local") == 0;
		rc = fn(arg, &v);
	}
	return rc;
}

int
zfs_get_one(const char *dataset, const char *prop, struct buf *value, struct err *e)
{
	int rc = zfs_run(value, e, "get", "-H", "-p", "-o", "value", prop, dataset, NULL);

	if (rc == 0)
		rc = buf_check(value, "zfs: value", e);
	if (rc == 0 && value->len > 0 && value->data[value->len - 1] == '\n')
		value->data[--value->len] = '\0';
	return rc;
}
