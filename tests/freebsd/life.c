/*
 * The life of a pot on a FreeBSD kernel: start, exit status, log, exec,
 * signals, what is left behind by which death, and that nothing is.
 */
#include "lab.h"

#include <sys/param.h>
#include <sys/stat.h>
#include <sys/sysctl.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- inside */

static int
in_hello(const char *arg)
{
	char host[256] = "";
	int jailed = 0;
	size_t n = sizeof(jailed);

	sysctlbyname("security.jail.jailed", &jailed, &n, NULL, 0);
	gethostname(host, sizeof(host));
	printf("jailed %d host %s who %s uid %d\n", jailed, host, getenv("WHO"), (int)getuid());
	fprintf(stderr, "to stderr\n");
	return arg != NULL ? (int)strtol(arg, NULL, 10) : 0;
}

static int
in_wait(const char *arg)
{
	printf("waiting\n");
	fflush(stdout);
	for (;;)
		pause();
}

/* Catches TERM and ends with 42: a signal reached the command. */
static int
in_term(const char *arg)
{
	sigset_t set;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	printf("ready\n");
	fflush(stdout);
	sigwait(&set, &sig);
	return 42;
}

/* Leaves a process that has nothing to do with anybody, and ends. */
static int
in_daemon(const char *arg)
{
	if (fork() == 0) {
		setsid();
		if (fork() == 0)
			for (;;)
				pause();
		_exit(0);
	}
	(void)!wait(NULL);
	return 5;
}

/* How many fds are open, besides 0, 1, 2. */
static int
in_fds(const char *arg)
{
	int n = 0;

	for (int fd = 3; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static int
in_exit(const char *arg)
{
	return (int)strtol(arg, NULL, 10);
}

static int
in_tty(const char *arg)
{
	return isatty(0) && isatty(1) && ttyname(0) != NULL && tcgetpgrp(0) == getpgrp() ? 33 : 1;
}

static int
in_readable(const char *arg)
{
	return access(arg, R_OK) == 0 ? 0 : 1;
}

static int
in_write(const char *arg)
{
	int fd = open(arg, O_WRONLY | O_CREAT, 0600);

	return fd >= 0 ? 0 : errno == EROFS ? 30 : 1;
}

static const struct inside table[] = { { "hello", in_hello }, { "wait", in_wait }, { "term", in_term },
	{ "daemon", in_daemon }, { "fds", in_fds }, { "exit", in_exit }, { "tty", in_tty },
	{ "readable", in_readable }, { "write", in_write }, { NULL, NULL } };

/* ---- outside */

static void
runs_to_its_end(const char *argv0)
{
	struct err e = ERR_INIT;
	struct lab l;
	int status;
	char cleaned[96];

	lab_init(&l, argv0, "lab-end");
	lab_command(&l, "hello", "7", NULL);
	if (tap_fine(lab_start(&l, &e), &e, "a pot starts")) {
		status = lab_wait(&l);
		tap_ok(WIFEXITED(status) && WEXITSTATUS(status) == 7, "its exit status is recorded (%d)",
		    status);
		tap_ok(strstr(lab_log(&l), "jailed 1 host lab.example who lab uid 0\n") != NULL,
		    "it is in a jail with its name and environment");
		tap_ok(strstr(lab_log(&l), "to stderr\n") != NULL, "stderr is in the log");
		snprintf(cleaned, sizeof(cleaned), "%s/cleaned", l.dir);
		tap_ok(access(cleaned, F_OK) == 0, "the clean-up was executed");
		if (strstr(lab_log(&l), "jailed 1") == NULL)
			tap_note("log: %s", lab_log(&l));
	}
	lab_end(&l);
	lab_fini(&l);
}

static void
fails_to_start(const char *argv0)
{
	static char none[] = "/t/there-is-no-such-program", *argv[] = { none, NULL };
	struct err e = ERR_INIT;
	struct lab l;
	int rc;

	lab_init(&l, argv0, "lab-nocmd");
	l.spec.argv = argv;
	rc = lab_start(&l, &e);
	tap_ok(rc == -E_NOCMD, "a command that is not there is E_NOCMD (%d: %s)", rc, e.msg);
	lab_end(&l);
	lab_fini(&l);

	e = (struct err)ERR_INIT;
	lab_init(&l, argv0, "lab-attr");
	lab_command(&l, "wait", NULL);
	lab_attr(&l, "enforce_statfs", "3");
	rc = lab_start(&l, &e);
	tap_ok(rc == -E_INVAL && strstr(e.msg, "enforce_statfs") != NULL, "a bad attribute is named (%s)",
	    e.msg);
	lab_nothing_left(&l, "after a bad attribute");
	lab_fini(&l);

	e = (struct err)ERR_INIT;
	lab_init(&l, argv0, "lab-abort");
	lab_command(&l, "wait", NULL);
	if (tap_fine(lab_spawn(&l, &e), &e, "a pot stands at the gate"))
		iso_abort(&l.child);
	lab_end(&l);
	tap_ok(lab_wait(&l) == -1, "a pot that was not released leaves no exit status");
	lab_fini(&l);
}

static void
signals_and_exec(const char *argv0)
{
	char path[300], none[] = "no-such-command";
	char *argv[] = { none, NULL };
	struct iso_exec_spec s = { .argv = argv, .fds = { 0, 1, 2 } };
	struct err e = ERR_INIT;
	struct lab l;
	int status, rc, pty;
	pid_t pid;

	lab_init(&l, argv0, "lab-exec");
	lab_command(&l, "term", NULL);
	if (!tap_fine(lab_start(&l, &e), &e, "a pot that waits starts"))
		goto end;
	rc = lab_exec(&l, "exit", "9", &e);
	tap_ok(rc == 9, "exec returns the command's status (%d)", rc);
	rc = lab_exec(&l, "fds", NULL, &e);
	tap_ok(rc == 0, "exec hands no descriptor in (%d)", rc);
	tap_ok(lab_exec(&l, "readable", "/dev/null", &e) == 0, "/dev/null is there");
	tap_ok(lab_exec(&l, "readable", "/dev/mem", &e) == 1, "/dev/mem is not");
	tap_ok(lab_exec(&l, "readable", "/dev/vtbd0", &e) == 1, "no disk is there");
	s.envp = l.envp;
	rc = iso_exec(&l.ref, &s, &pid, &pty, &e);
	tap_ok(rc == -E_NOCMD, "exec of nothing is E_NOCMD (%d)", rc);
	snprintf(path, sizeof(path), "/t/%s", strrchr(l.program, '/') + 1);
	s.argv = (char *[]){ path, (char[]){ "inside" }, (char[]){ "tty" }, NULL };
	s.tty = true;
	s.rows = 24;
	s.cols = 80;
	e = (struct err)ERR_INIT;
	if (tap_fine(iso_exec(&l.ref, &s, &pid, &pty, &e), &e, "exec with a terminal")) {
		waitpid(pid, &status, 0);
		tap_ok(WIFEXITED(status) && WEXITSTATUS(status) == 33,
		    "it is one, and the command's own (%d)", status);
		tap_ok(pty >= 0, "its master is here");
		fd_close(pty);
	}
	tap_fine(iso_freeze(&l.ref, true, &e), &e, "it can be paused");
	tap_fine(iso_signal(&l.ref, SIGTERM, &e), &e, "a signal can be sent to it then");
	tap_ok(proc_id_alive(&l.ref.init), "which does not reach it");
	tap_fine(iso_freeze(&l.ref, false, &e), &e, "it goes on");
	status = lab_wait(&l);
	tap_ok(WIFEXITED(status) && WEXITSTATUS(status) == 42, "and then the signal has reached it (%d)",
	    status);
	rc = lab_exec(&l, "exit", "0", &e);
	tap_ok(rc == -E_STATE, "exec in a pot that has ended is E_STATE (%d: %s)", rc, e.msg);
end:
	lab_end(&l);
	lab_fini(&l);
}

static void
deaths(const char *argv0)
{
	struct err e = ERR_INIT;
	struct lab l;
	int status;

	lab_init(&l, argv0, "lab-daemon");
	lab_command(&l, "daemon", NULL);
	if (tap_fine(lab_start(&l, &e), &e, "a pot that leaves a process behind")) {
		status = lab_wait(&l);
		tap_ok(WIFEXITED(status) && WEXITSTATUS(status) == 5, "ends with its command (%d)", status);
	}
	lab_end(&l);
	lab_fini(&l);

	lab_init(&l, argv0, "lab-killed");
	lab_command(&l, "wait", NULL);
	if (tap_fine(lab_start(&l, &e), &e, "a pot that is killed")) {
		tap_fine(iso_signal(&l.ref, SIGKILL, &e), &e, "by SIGKILL");
		status = lab_wait(&l);
		tap_ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "has that status (%d)", status);
	}
	lab_end(&l);
	lab_fini(&l);

	lab_init(&l, argv0, "lab-client");
	lab_command(&l, "wait", NULL);
	l.spec.io = ISO_IO_ATTACH;
	if (tap_fine(lab_start(&l, &e), &e, "a pot with a client")) {
		fd_close(take_fd(l.child.client_fd));
		tap_ok(lab_exec(&l, "exit", "4", &e) == 4, "goes on when that goes");
		tap_fine(iso_signal(&l.ref, SIGKILL, &e), &e, "until it is told to end");
		(void)lab_wait(&l);
	}
	lab_end(&l);
	lab_fini(&l);

	lab_init(&l, argv0, "lab-tied");
	lab_command(&l, "wait", NULL);
	l.spec.io = ISO_IO_ATTACH;
	l.spec.tied = true;
	if (tap_fine(lab_start(&l, &e), &e, "a pot that is tied to its client")) {
		fd_close(take_fd(l.child.client_fd));
		status = lab_wait(&l);
		tap_ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "is killed when that goes (%d)",
		    status);
	}
	lab_end(&l);
	lab_fini(&l);

	lab_init(&l, argv0, "lab-shim");
	lab_command(&l, "wait", NULL);
	if (tap_fine(lab_start(&l, &e), &e, "a pot whose shim is killed")) {
		tap_fine(proc_id_kill(&l.child.shim, SIGKILL, &e), &e, "by SIGKILL");
		tap_fine(proc_id_wait(&l.child.init, 60000, &e), &e, "ends with it");
	}
	lab_end(&l);
	lab_fini(&l);

	lab_init(&l, argv0, "lab-stays");
	lab_command(&l, "hello", "3", NULL);
	l.spec.persistent = true;
	if (tap_fine(lab_start(&l, &e), &e, "a persistent pot")) {
		while (strstr(lab_log(&l), "to stderr") == NULL)
			(void)!poll(NULL, 0, 50);
		tap_ok(proc_id_alive(&l.ref.init), "stays when its command has ended");
		tap_ok(lab_exec(&l, "exit", "4", &e) == 4, "and can be joined");
		tap_fine(iso_signal(&l.ref, SIGTERM, &e), &e, "until it is told to end");
		status = lab_wait(&l);
		tap_ok(
		    WIFEXITED(status) && WEXITSTATUS(status) == 3, "with the command's status (%d)", status);
	}
	lab_end(&l);
	lab_fini(&l);
}

static void
mounts(const char *argv0)
{
	struct err e = ERR_INIT;
	char file[96], dir[96];
	struct lab l;
	int fd;

	lab_init(&l, argv0, "lab-mounts");
	lab_command(&l, "wait", NULL);
	snprintf(file, sizeof(file), "%s/a-file", l.dir);
	snprintf(dir, sizeof(dir), "%s/a-dir", l.dir);
	fd_close(open(file, O_WRONLY | O_CREAT, 0644));
	(void)mkdir(dir, 0755);
	lab_mount(&l, iso_bind(AT_FDCWD, file, false, false, &e), "/etc/a-file", false);
	lab_mount(&l, iso_tmpfs(1 << 20, 01777, 0, &e), "/tmp", true);
	lab_attr(&l, "fdescfs", "YES");
	lab_attr(&l, "procfs", "YES");
	l.spec.walls.read_only = true;
	if (!tap_fine(lab_start(&l, &e), &e, "a pot with mounts and a read-only root"))
		goto end;
	tap_ok(lab_exec(&l, "write", "/etc/new", &e) == 30, "its root cannot be written");
	tap_ok(lab_exec(&l, "write", "/tmp/new", &e) == 0, "its tmpfs can");
	tap_ok(lab_exec(&l, "write", "/etc/a-file", &e) == 0, "and so can a file that is mounted into it");
	tap_ok(lab_exec(&l, "readable", "/dev/fd/0", &e) == 0, "fdescfs is there");
	tap_ok(lab_exec(&l, "readable", "/proc/curproc/status", &e) == 0, "procfs is there");
	fd = iso_bind(AT_FDCWD, dir, true, false, &e);
	tap_fine(
	    iso_mount_into(&l.ref, &(struct iso_mount){ fd, "/tmp/in", true }, &e), &e, "a mount into it");
	tap_ok(lab_exec(&l, "write", "/tmp/in/x", &e) == 30, "is read-only as it was asked for");
	tap_fine(iso_unmount_from(&l.ref, "/tmp/in", &e), &e, "and can be taken out");
	fd_close(fd);
	tap_fine(iso_signal(&l.ref, SIGKILL, &e), &e, "it is killed");
	lab_wait(&l);
end:
	lab_end(&l);
	lab_fini(&l);
}

int
main(int argc, char **argv)
{
	inside_main(argc, argv, table);
	runs_to_its_end(argv[0]);
	fails_to_start(argv[0]);
	signals_and_exec(argv[0]);
	deaths(argv[0]);
	mounts(argv[0]);
	return tap_done();
}
