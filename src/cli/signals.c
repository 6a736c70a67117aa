/*
 * Signals to this program. First they ask a long call of the library to end;
 * while a command of a pot has the terminal they are passed on to it. The
 * state is here because a handler has no other place to look.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/types.h>

#include "cli/cli.h"

static const int cancelling[] = { SIGINT, SIGTERM, SIGHUP };
static const int forwarded[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 };

static volatile bool cancelled;
static volatile sig_atomic_t cancel_signal;
static volatile sig_atomic_t child_pid;
static volatile sig_atomic_t pipe_fd = -1;

static void
on_cancel(int sig)
{
	cancel_signal = sig;
	cancelled = true;
}

static void
on_forward(int sig)
{
	int saved = errno;
	unsigned char byte = (unsigned char)sig;

	if (child_pid > 0)
		kill((pid_t)child_pid, sig);
	else if (pipe_fd >= 0 && write((int)pipe_fd, &byte, 1) < 0) {
		/* Full: hundreds wait to be read already. */
	}
	errno = saved;
}

static void catch (int sig, void (*fn)(int), int flags)
{
	struct sigaction old, sa = { .sa_handler = fn, .sa_flags = flags };

	/* nohup(1) and background jobs of a shell mean what they say. */
	if (sigaction(sig, NULL, &old) == 0 && old.sa_handler == SIG_IGN && sig != SIGCHLD)
		return;
	sigemptyset(&sa.sa_mask);
	sigaction(sig, &sa, NULL);
}

void
signals_catch(void)
{
	/* Whoever ignores SIGCHLD must not make our children unwaitable. */
	catch (SIGCHLD, SIG_DFL, 0);
	/* Without SA_RESTART, so that a blocking call sees the flag. */
	for (size_t i = 0; i < ARRAY_LEN(cancelling); i++)
		catch (cancelling[i], on_cancel, 0);
}

static void
on_die(int sig)
{
	signal(sig, SIG_DFL);
	raise(sig);
}

void
signals_end(int sig)
{
	fflush(stdout);
	on_die(sig);
}

void
signals_die(void)
{
	for (size_t i = 0; i < ARRAY_LEN(cancelling); i++)
		catch (cancelling[i], on_die, SA_NODEFER);
	if (cancelled)
		on_die(cancel_signal);
}

const volatile bool *
signals_cancel(void)
{
	return &cancelled;
}

static void
forward_all(void)
{
	for (size_t i = 0; i < ARRAY_LEN(forwarded); i++)
		catch (forwarded[i], on_forward, SA_RESTART);
	/* One that came while we were busy starting. */
	if (cancelled)
		on_forward(cancel_signal);
	cancelled = false;
}

int
signals_to_fd(bool tty, struct err *e)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0)
		return err_sys(e, "cannot make a pipe");
	pipe_fd = fds[1];
	if (tty) {
		catch (SIGWINCH, on_forward, SA_RESTART);
		catch (SIGCHLD, on_forward, SA_RESTART);
		catch (SIGTSTP, on_forward, SA_RESTART);
	}
	forward_all();
	return fds[0];
}

void
signals_to_child(pid_t pid)
{
	child_pid = (sig_atomic_t)pid;
	if (pid > 0)
		forward_all();
}
