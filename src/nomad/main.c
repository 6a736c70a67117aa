/*
 * The program nomad-pot-driver, which the Nomad agent starts as a plugin: the
 * handshake, signals, and the loop.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"
#include "nomad/heap.h"
#include "nomad/server.h"

/* Of go-plugin's handshake: proof that an agent has started us, and no person. */
#define COOKIE_NAME "NOMAD_PLUGIN_MAGIC_COOKIE"
#define COOKIE "e4327c2e01eabfd75a8a67adb114fb34a757d57eee7728d857a8cec6e91a7255"
#define CORE_PROTOCOL 1
#define APP_PROTOCOL "2"

/* Where a signal's handler puts a byte: it has no other place to look. */
static volatile sig_atomic_t wake_fd = -1;

static void
on_signal(int sig)
{
	int saved = errno;

	(void)!write((int)wake_fd, "", 1);
	errno = saved;
}

static void
on_wake(void *arg, short revents)
{
	struct nomad *n = arg;

	n->end(n);
}

/* Ctrl-C at the agent's terminal is meant for the agent; a log that nobody reads must not end us. */
static void
set_signals(int fd)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

	wake_fd = fd;
	sigemptyset(&sa.sa_mask);
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGCHLD, SIG_DFL);
	sigaction(SIGTERM, &sa, NULL);
}

/* Our place in a comma-separated list. */
static bool
has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	while (list != NULL && *list != '\0') {
		size_t len = strcspn(list, ",");

		if (len == n && strncmp(list, word, n) == 0)
			return true;
		list += len + (list[len] == ',');
	}
	return false;
}

static int
check_host(struct err *e)
{
	const char *cookie = getenv(COOKIE_NAME), *versions = getenv("PLUGIN_PROTOCOL_VERSIONS");

	if (cookie == NULL || strcmp(cookie, COOKIE) != 0) {
		err_set(e, E_USAGE, "this is a plugin of the Nomad agent, which starts it by itself");
		return err_hint(e, "put it into the agent's plugin_dir; see nomad-pot-driver(8)");
	}
	if (versions != NULL && !has_word(versions, APP_PROTOCOL))
		return err_set(e, E_NOTSUP,
		    "the agent speaks versions %.64s of the plugins' protocol, this is " APP_PROTOCOL,
		    versions);
	if (getenv("PLUGIN_CLIENT_CERT") != NULL)
		return err_set(
		    e, E_NOTSUP, "the host wants TLS on the plugin's socket, which Nomad does not use");
	return 0;
}

static int
shake_hands(const struct server *s, struct err *e)
{
	AUTO_FINI(buf) struct buf line = BUF_INIT(1024);

	buf_fmt(&line, "%d|" APP_PROTOCOL "|unix|%s|grpc", CORE_PROTOCOL, server_path(s));
	if (getenv("PLUGIN_MULTIPLEX_GRPC") != NULL)
		buf_str(&line, "||false");
	buf_str(&line, "\n");
	return fd_write_all(STDOUT_FILENO, line.data, line.len, "the handshake", e);
}

static int
serve(struct nomad *n, struct err *e)
{
	struct server *s = NULL;
	struct loop_io *wake = NULL;
	int fds[2], rc;

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_sys(e, "make a pipe");
	set_signals(fds[1]);
	rc = server_new(&s, n, e);
	if (rc == 0 && (wake = loop_io_new(n->loop, fds[0], POLLIN, on_wake, n)) == NULL)
		rc = err_nomem(e);
	if (rc == 0)
		rc = shake_hands(s, e);
	if (rc == 0)
		rc = loop_run(n->loop, e);
	server_free(s);
	loop_io_free(wake);
	wake_fd = -1;
	fd_close(fds[0]);
	fd_close(fds[1]);
	return rc;
}

static int
run(struct err *e)
{
	struct loop *loop = loop_new();
	struct log *log = log_new(STDERR_FILENO);
	struct nomad n;
	int rc;

	rc = loop == NULL || log == NULL ? err_nomem(e) : nomad_init(&n, loop, log, &pot_driver, e);
	if (rc == 0) {
		rc = serve(&n, e);
		nomad_fini(&n);
	}
	if (log != NULL)
		log_free(log);
	if (loop != NULL)
		loop_free(loop);
	return rc;
}

static void
print_help(void)
{
	printf("usage: nomad-pot-driver [--help | --version]\n\n"
	       "The task driver \"pot\" for Nomad. The agent starts it by itself: put it into the\n"
	       "agent's plugin_dir and name it in the agent's configuration:\n\n"
	       "  plugin \"nomad-pot-driver\" {\n"
	       "    config {\n"
	       "    }\n"
	       "  }\n\n"
	       "See nomad-pot-driver(8).\n");
}

int
main(int argc, char **argv)
{
	struct err e = ERR_INIT;
	int rc;

	if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		print_help();
		return 0;
	}
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		printf("nomad-pot-driver %s\n", pot_driver.version);
		return 0;
	}
	heap_set_up();
	rc = argc > 1 ? err_set(&e, E_USAGE, "'%.64s': it takes no arguments", argv[1]) : check_host(&e);
	if (rc == 0)
		rc = run(&e);
	if (rc == 0)
		return 0;
	fprintf(stderr, "nomad-pot-driver: %s%s%s%s\n", e.msg, e.hint[0] != '\0' ? " (" : "", e.hint,
	    e.hint[0] != '\0' ? ")" : "");
	return 1;
}
