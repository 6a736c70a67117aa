/* A process in a running pot, with our terminal or our descriptors: what exec and term share. */
#include <fcntl.h>

#include "cli/cli.h"

/* Opens /dev/null for those of the three that are not passed. */
static int
choose_fds(struct pot_exec_args *x, bool with_stdin, bool detach, int *null, struct err *e)
{
	*null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (*null < 0)
		return err_sys(e, "cannot open /dev/null");
	x->fds[0] = with_stdin && !detach ? STDIN_FILENO : *null;
	x->fds[1] = detach ? *null : STDOUT_FILENO;
	x->fds[2] = detach ? *null : STDERR_FILENO;
	return 0;
}

int
run_in_pot(
    struct cli *cli, const char *name, struct pot_exec_args *x, bool with_stdin, bool detach, struct err *e)
{
	struct pot_process proc = { 0, -1 };
	AUTO(fd) int null = -1;
	int status = 0, rc;

	if (x->tty)
		tty_size(&x->rows, &x->cols);
	rc = choose_fds(x, with_stdin, detach, &null, e);
	if (rc == 0)
		rc = pot_exec(cli->ctx, name, x, &proc, e);
	if (rc != 0 || detach)
		return rc;
	if (x->tty) {
		rc = tty_run(&proc, with_stdin, &status, e);
	} else {
		signals_to_child(proc.pid);
		rc = pot_exec_wait(&proc, &status, e);
	}
	signals_to_child(0);
	return rc != 0 ? rc : status;
}
