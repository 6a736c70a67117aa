/*
 * pot-seccomp: makes the program of a system call filter that is not the
 * default one. Run when a pot is created or changed, never when it starts.
 *
 *   pot-seccomp [-c CAPABILITIES] default | NAME
 *
 * NAME: reads a profile from stdin, and NAME is what messages call it.
 * CAPABILITIES: a hexadecimal mask of what the pot is granted. stdout gets the
 * program, stderr one line when it fails and lines "note: …" when it does not.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "seccomp/linux/exit.h"
#include "seccomp/linux/profile.h"
#include "seccomp/seccomp.h"

static int
failed(enum sec_result r, const char *what, struct err *e)
{
	switch (r) {
	case SEC_OK:
		return 0;
	case SEC_TOO_LONG:
		return err_set(e, E_LIMIT,
		    "%s: its program is longer than the %d instructions that the kernel takes", what,
		    SEC_INSNS_MAX);
	case SEC_NOMEM:
		return err_nomem(e);
	case SEC_UNKNOWN:
		break;
	}
	return err_set(e, E_NOTSUP, "%s: there is no default filter for this machine's architecture", what);
}

static int
read_profile(struct sec_filter *f, const char *what, uint64_t caps, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(SECCOMP_PROFILE_MAX);
	AUTO_FINI(buf) struct buf notes = BUF_INIT(64 * 1024);
	int rc;

	if (strcmp(what, "default") == 0)
		return failed(sec_default(f, NULL, caps), what, e);
	if ((rc = fd_read_all(STDIN_FILENO, &text, e)) < 0)
		return err_wrap(e, "%s", what);
	rc = profile_read(f, buf_cstr(&text), text.len, what, caps, &notes, e);
	for (const char *p = buf_cstr(&notes); rc == 0 && *p != '\0'; p += strcspn(p, "\n") + 1)
		fprintf(stderr, "note: %.*s\n", (int)strcspn(p, "\n"), p);
	return rc;
}

static int
make(const char *what, uint64_t caps, struct sec_prog *prog, struct err *e)
{
	struct sec_filter f = { 0 };
	int rc = read_profile(&f, what, caps, e);

	if (rc == 0)
		rc = failed(sec_program(&f, prog), what, e);
	sec_filter_fini(&f);
	if (rc == 0)
		rc = fd_write_all(STDOUT_FILENO, prog->v, prog->n * sizeof(prog->v[0]), "stdout", e);
	return rc;
}

int
main(int argc, char **argv)
{
	AUTO_FREE struct sec_prog *prog = malloc(sizeof(*prog));
	struct err e = ERR_INIT;
	uint64_t caps = 0;
	char *end = NULL;
	int c;

	while ((c = getopt(argc, argv, "c:")) != -1) {
		caps = c == 'c' ? strtoull(optarg, &end, 16) : 0;
		if (c != 'c' || end == optarg || *end != '\0')
			argc = 0;
	}
	if (argc - optind != 1 || isatty(STDOUT_FILENO) == 1) {
		fprintf(stderr, "usage: pot-seccomp [-c CAPABILITIES] default | NAME <PROFILE >PROGRAM\n");
		return SEC_EXIT_USAGE;
	}
	if ((prog == NULL ? err_nomem(&e) : make(argv[optind], caps, prog, &e)) == 0)
		return SEC_EXIT_DONE;
	fprintf(stderr, "%s\n", e.msg);
	return e.code == E_INVAL ? SEC_EXIT_INVALID
	    : e.code == E_LIMIT  ? SEC_EXIT_LIMIT
	    : e.code == E_NOTSUP ? SEC_EXIT_NOTSUP
				 : SEC_EXIT_SYSTEM;
}
