/*
 * What the engine sees (seccomp.h): the filter that was made when pot was
 * built, and having another one made by pot-seccomp. Loads nothing itself.
 */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/proc.h"
#include "seccomp/linux/default_program.h"
#include "seccomp/linux/exit.h"
#include "seccomp/seccomp.h"

#define COMPILE_MS 30000

int
seccomp_default(const void **prog, size_t *len, struct err *e)
{
	*prog = sec_default_program;
	*len = sec_default_len * sizeof(sec_default_program[0]);
	return seccomp_check(*prog, *len, e);
}

bool
seccomp_default_fits(uint64_t caps)
{
	return (caps & sec_default_opening) == 0;
}

/* The first line that pot-seccomp says is the message. */
static int
compile_failed(int status, const struct buf *said, struct err *e)
{
	static const enum err_code codes[] = {
		[SEC_EXIT_INVALID] = E_INVAL,
		[SEC_EXIT_LIMIT] = E_LIMIT,
		[SEC_EXIT_NOTSUP] = E_NOTSUP,
	};
	const char *text = buf_cstr(said);

	if (status < SEC_EXIT_INVALID || status > SEC_EXIT_NOTSUP || text[0] == '\0')
		return -e->code;
	return err_set(e, codes[status], "%.*s", (int)strcspn(text, "\n"), text);
}

int
seccomp_compile(const struct seccomp_job *job, struct err *e)
{
	AUTO_FINI(buf) struct buf out = BUF_INIT(SECCOMP_PROG_MAX);
	AUTO_FINI(buf) struct buf said = BUF_INIT(64 * 1024);
	struct proc_spec spec = PROC_SPEC_INIT;
	struct err none = ERR_INIT;
	int rc, status = 0;
	char caps[24];
	const char *argv[] = { job->program, "-c", caps, "--", job->profile_fd < 0 ? "default" : job->what,
		NULL };

	snprintf(caps, sizeof(caps), "%llx", (unsigned long long)job->caps);
	/* A file of that name would be taken for the word. */
	if (job->profile_fd >= 0 && strcmp(job->what, "default") == 0)
		argv[4] = "./default";
	spec.argv = argv;
	spec.fd_in = job->profile_fd;
	spec.out = &out;
	spec.err = &said;
	spec.timeout_ms = COMPILE_MS;
	if (e == NULL)
		e = &none;
	rc = proc_run(&spec, &status, e);
	if (rc < 0)
		return compile_failed(status, &said, e);
	if ((rc = seccomp_check(out.data, out.len, e)) < 0)
		return err_wrap(e, "%s", job->program);
	return file_write_atomic(job->dirfd, job->name, 0600, out.data, out.len, e);
}

int
seccomp_check(const void *prog, size_t len, struct err *e)
{
	if (prog == NULL || len == 0 || len % sizeof(struct sock_filter) != 0 || len > SECCOMP_PROG_MAX)
		return err_set(e, E_CORRUPT, "%zu bytes are no program of a system call filter", len);
	return 0;
}
