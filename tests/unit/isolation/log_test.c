/* Proves: output is kept in order, bounded, dated and passed on; nothing slows down or hides the end. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pot.h"

static void
order_of_both_streams(void **state)
{
	struct pot *p = *state;
	unsigned n = 0;
	const char *t;
	char *end;

	assert_int_equal(
	    pot_run(p, "i=0; while [ $i -lt 10000 ]; do echo $i; i=$((i+1)); echo $i >&2; i=$((i+1)); done"),
	    0);
	for (t = pot_text(p); *t != '\0'; t = end + 1, n++) {
		assert_int_equal(strtoul(t, &end, 10), n);
		assert_int_equal(*end, '\n');
	}
	assert_int_equal(n, 10000);
}

static void
long_lines(void **state)
{
	struct pot *p = *state;
	const char *t;
	unsigned i;

	assert_int_equal(pot_run(p, "head -c 1000000 /dev/zero | tr '\\0' x; echo; printf end"), 0);
	t = pot_log(p, "log");
	for (i = 0; strncmp(t, "oP xxxx", 7) == 0; i++)
		t = strchr(t, '\n') + 1;
	assert_int_equal(i, 1000000 / SHIM_LOG_LINE);
	assert_int_equal(strspn(t + 3, "x"), 1000000 % SHIM_LOG_LINE);
	assert_memory_equal(t, "oF ", 3);
	assert_string_equal(strchr(t, '\n'), "\noP end\n");
	t = pot_text(p);
	assert_int_equal(strspn(t, "x"), 1000000);
	assert_string_equal(t + 1000000, "\nend");
}

static void
prompts_are_shown(void **state)
{
	struct pot *p = *state;

	pot_script(p, "printf 'name? '; sleep 1000");
	pot_start(p);
	pot_until(p, "name? ");
	assert_string_equal(pot_log(p, "log"), "oP name? \n");
}

static void
binary_and_empty_lines(void **state)
{
	struct pot *p = *state;

	assert_int_equal(pot_run(p, "echo; printf 'a\\000b\\377\\n'; echo"), 0);
	pot_log(p, "log");
	int fd = openat(p->log_fd, "log", O_RDONLY | O_CLOEXEC);
	char text[512];
	ssize_t n = read(fd, text, sizeof(text));

	close(fd);
	assert_int_equal(n, 3 * 25 + 4); /* time, stream and newline are 25 bytes */
	assert_non_null(memmem(text, (size_t)n, "oF a\0b\377\n", 8));
}

static uint64_t
size_of(struct pot *p, const char *name)
{
	struct stat st;

	return fstatat(p->log_fd, name, &st, 0) == 0 ? (uint64_t)st.st_size : 0;
}

static void
rotation(void **state)
{
	struct pot *p = *state;
	unsigned last;

	p->spec.log_max = 20000;
	assert_int_equal(pot_run(p, "seq 100000 105000"), 0);
	/* 31 bytes a record: 645 of them fit, and not one more. */
	assert_true(size_of(p, "log") > 0 && size_of(p, "log") <= 20000);
	assert_int_equal(size_of(p, "log.1"), 645 * 31);
	assert_int_equal(size_of(p, "log.2"), 645 * 31);
	assert_int_equal(size_of(p, "log.3"), 0);
	/* Without a gap from the oldest to the newest. */
	last = (unsigned)strtoul(pot_log(p, "log.2") + 3, NULL, 10);
	for (const char *name = "log.2"; name != NULL; name = name[4] == '2' ? "log.1"
		 : name[3] == '.'                                            ? "log"
									     : NULL) {
		for (const char *l = pot_log(p, name); *l != '\0'; l = strchr(l, '\n') + 1)
			assert_int_equal(strtoul(l + 3, NULL, 10), last++);
		if (name[3] == '\0')
			break;
	}
	assert_int_equal(last, 105001);
}

static void
one_file(void **state)
{
	struct pot *p = *state;

	p->spec.log_max = 20000;
	p->spec.log_files = 1;
	assert_int_equal(pot_run(p, "seq 100000 105000"), 0);
	assert_true(size_of(p, "log") > 0 && size_of(p, "log") <= 20000);
	assert_int_equal(size_of(p, "log.1"), 0);
}

/* A full disk costs the output, never the pot; what is lost is counted; records stay whole. */
static void
full_disk(void **state)
{
	struct pot *p = *state;
	struct shim_exit x;
	char path[128];
	size_t kept;

	snprintf(path, sizeof(path), "%s/full", p->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(mount("none", path, "tmpfs", 0, "size=64k"), 0);
	close(p->log_fd);
	p->log_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	p->spec.log_dirfd = p->log_fd;
	int status = pot_run(p, "seq 100000 120000; exit 4");
	kept = strlen(pot_text(p));
	assert_true(pot_slot(p, &x));
	close(p->log_fd);
	p->log_fd = -1;
	assert_int_equal(umount2(path, MNT_DETACH), 0);
	assert_int_equal(status, 4 << 8);
	assert_true(kept > 0 && kept % 7 == 0);
	/* Lost is counted without newlines. */
	assert_int_equal(kept / 7 * 6 + x.log_lost, 20001 * 6);
}

static size_t
frame(struct pot *p, char *buf, char *type)
{
	ssize_t n = recv(p->child.client_fd, buf, SHIM_FRAME_MAX + 16, 0);

	assert_true(n >= 0);
	*type = n == 0 ? '\0' : buf[0];
	return n == 0 ? 0 : (size_t)n - 1;
}

static void
attached(void **state)
{
	struct pot *p = *state;
	static char out[1 << 20], err[1 << 20], buf[SHIM_FRAME_MAX + 16];
	size_t nout = 0, nerr = 0, n;
	struct shim_exit x = { 0 };
	int asked = 0;
	char type;

	p->spec.io = ISO_IO_ATTACH;
	pot_script(p, "seq 20000; seq 3 >&2; exit 6");
	pot_start(p);
	while ((n = frame(p, buf, &type)), type != '\0') {
		if (type == SHIM_FRAME_CLEAN) {
			/* Asked once, after the exit; without an answer the shim's verb does it. */
			assert_int_equal(x.magic, SHIM_EXIT_MAGIC);
			assert_int_equal(asked++, 0);
			continue;
		}
		assert_int_equal(x.magic, 0); /* nothing else comes after the exit frame */
		if (type == SHIM_FRAME_OUT)
			memcpy(out + nout, buf + 1, n), nout += n;
		else if (type == SHIM_FRAME_ERR)
			memcpy(err + nerr, buf + 1, n), nerr += n;
		else
			memcpy(&x, buf + 1, sizeof(x));
		if (type == SHIM_FRAME_EXIT) {
			struct shim_exit slot;

			/* On disk before it is told. */
			assert_int_equal(n, sizeof(x));
			assert_true(pot_slot(p, &slot));
			assert_memory_equal(&slot, &x, sizeof(x));
		}
	}
	/* The socket ends when the clean-up has been done. */
	assert_true(pot_cleaned(p));
	assert_int_equal(x.wait_status, 6 << 8);
	assert_int_equal(nout, 108894);
	assert_memory_equal(out + nout - 6, "20000\n", 6);
	assert_int_equal(nerr, 6);
	assert_memory_equal(err, "1\n2\n3\n", 6);
	assert_non_null(strstr(pot_log(p, "log"), "eF 3\n"));
}

/* Who does not read slows the pot, but not the record of its end; and still gets everything. */
static void
slow_client(void **state)
{
	struct pot *p = *state;
	static char buf[SHIM_FRAME_MAX + 16];
	struct iso_ref ref;
	size_t total = 0, n;
	char type, last = '\0';
	bool stopped = false;

	p->spec.io = ISO_IO_ATTACH;
	pot_script(p, "yes");
	pot_start(p);
	ref = pot_ref(p);
	pot_until(p, "y\ny\ny\n");
	/* The pot stands still once socket and pipe are full: asleep in a write. */
	while (!stopped) {
		char path[64], text[64] = "";
		snprintf(
		    path, sizeof(path), "/proc/%d/task/%d/children", p->child.init.pid, p->child.init.pid);
		FILE *f = fopen(path, "re");
		int pid = 0;

		assert_int_equal(fscanf(f, "%d", &pid), 1);
		fclose(f);
		(void)poll(NULL, 0, 1); /* nothing tells when a process falls asleep */
		snprintf(path, sizeof(path), "/proc/%d/wchan", pid);
		f = fopen(path, "re");
		stopped = fgets(text, sizeof(text), f) != NULL && strstr(text, "pipe_write") != NULL;
		fclose(f);
	}
	assert_done(iso_kill_all(&ref, &p->e), p);
	assert_int_equal(pot_wait(p) & 0x7f, SIGKILL);
	while ((n = frame(p, buf, &type)), type != '\0') {
		total += n;
		if (type != SHIM_FRAME_CLEAN)
			last = type;
	}
	assert_int_equal(last, SHIM_FRAME_EXIT);
	assert_true(total > 65536);
}

static void
dead_client(void **state)
{
	struct pot *p = *state;

	p->spec.io = ISO_IO_ATTACH;
	pot_script(p, "seq 100000; exit 3");
	pot_start(p);
	close(p->child.client_fd);
	p->child.client_fd = -1;
	assert_int_equal(pot_wait(p), 3 << 8);
	assert_non_null(strstr(pot_text(p), "\n100000\n"));
}

static void
given_fds(void **state)
{
	struct pot *p = *state;
	char text[64] = "";
	int out[2];

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	p->spec.io = ISO_IO_FDS;
	p->spec.fds[0] = open("/etc/hostname", O_RDONLY | O_CLOEXEC);
	p->spec.fds[1] = p->spec.fds[2] = out[1];
	pot_script(p, "read x; echo got ${#x}; echo err >&2");
	pot_start(p);
	close(out[1]);
	close(p->spec.fds[0]);
	assert_int_equal(pot_wait(p), 0);
	assert_true(read(out[0], text, sizeof(text) - 1) > 0);
	assert_memory_equal(text, "got ", 4);
	assert_non_null(strstr(text, "err\n"));
	/* No copy of the write end is left in the shim: the pipe has ended. */
	assert_int_equal(read(out[0], text, sizeof(text)), 0);
	assert_int_equal(size_of(p, "log"), 0);
	close(out[0]);
}

#define T(f) cmocka_unit_test_setup_teardown(f, pot_setup, pot_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = { T(order_of_both_streams), T(long_lines), T(prompts_are_shown),
		T(binary_and_empty_lines), T(rotation), T(one_file), T(full_disk), T(attached),
		T(slow_client), T(dead_client), T(given_fds) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
