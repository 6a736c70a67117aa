/* A pot's walls, seen from inside and outside: ids, capabilities, what of /proc, /sys and /dev is there. */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pot.h"

#define FIRST 0x70120000u
#define IDS 65536u

static int
setup(void **state)
{
	struct pot *p;
	int r = pot_setup(state);

	if (r != 0)
		return r;
	p = *state;
	p->spec.walls.id_first = FIRST;
	p->spec.walls.ids = IDS;
	p->spec.walls.userns_fd = iso_userns(FIRST, IDS, &p->e);
	assert_done(p->spec.walls.userns_fd, p);
	return 0;
}

static int
teardown(void **state)
{
	struct pot *p = *state;

	close(p->spec.walls.userns_fd);
	return pot_teardown(state);
}

/* Starts the script, waits for its end, gives what it wrote. */
static const char *
text_of(struct pot *p, const char *script)
{
	assert_int_equal(pot_run(p, script), 0);
	return pot_text(p);
}

#define assert_has(text, what)                                         \
	do {                                                           \
		if (strstr(text, what) == NULL)                        \
			fail_msg("\"%s\" is not in:\n%s", what, text); \
	} while (0)

static void
ids_both_ways(void **state)
{
	struct pot *p = *state;
	const char *t =
	    text_of(p, "cat /proc/self/uid_map; id; touch /made; stat -c %u:%g /made /bin /dev/null");
	char path[512];
	struct stat st;

	assert_has(t, "         0 1880227840      65536");
	assert_has(t, "uid=0 gid=0");
	assert_has(t, "0:0\n0:0\n0:0\n");
	/* On the disk as if there were no namespace. */
	snprintf(path, sizeof(path), "%s/root/made", p->dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, 0);
}

static void
nobody_on_the_host(void **state)
{
	struct pot *p = *state;
	char path[64];
	struct stat st;

	pot_script(p, "exec sleep 1000");
	pot_start(p);
	snprintf(path, sizeof(path), "/proc/%d/task", (int)p->child.init.pid);
	assert_int_equal(stat(path, &st), 0);
	snprintf(path, sizeof(path), "/proc/%d/status", (int)p->child.init.pid);
	{
		char text[4096], want[64];
		FILE *f = fopen(path, "re");
		size_t n = fread(text, 1, sizeof(text) - 1, f);

		fclose(f);
		text[n] = '\0';
		snprintf(want, sizeof(want), "Uid:\t%u\t%u\t%u\t%u", FIRST, FIRST, FIRST, FIRST);
		assert_has(text, want);
		assert_has(text, "NoNewPrivs:\t1");
		assert_has(text, "CapEff:\t0000000000000020");
		assert_has(text, "CapBnd:\t00000000800405fb");
	}
}

static void
rights_of_the_command(void **state)
{
	struct pot *p = *state;
	const char *t = text_of(p,
	    "grep -E '^(Cap|NoNew|Groups|SigBlk|SigIgn)' /proc/self/status; umask; "
	    "cat /proc/self/oom_score_adj; ls -l /proc/self/fd");

	assert_has(t,
	    "CapInh:\t0000000000000000\nCapPrm:\t00000000800405fb\nCapEff:\t00000000800405fb\n"
	    "CapBnd:\t00000000800405fb\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\n");
	assert_has(t, "Groups:\t \n");
	assert_has(t, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
	assert_has(t, "0022\n0\n");
}

static void
other_users_have_none(void **state)
{
	struct pot *p = *state;
	const char *t;

	p->spec.user = (struct iso_user){ 1000, 1000, NULL, 0 };
	t = text_of(p, "grep ^Cap /proc/self/status; id -u; echo there >/dev/stdout");
	assert_has(t, "CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t00000000800405fb\n");
	assert_has(t, "1000\nthere\n");
}

static void
kernel_is_masked(void **state)
{
	struct pot *p = *state;
	const char *t = text_of(p,
	    "for f in kcore keys timer_list interrupts; do [ -e /proc/$f ] && head -c 10 /proc/$f | wc -c; "
	    "done;"
	    "for d in /proc/acpi /proc/scsi /sys/firmware /sys/dev/block; do [ -e $d ] && ls -A $d; done;"
	    "for d in bus fs irq sys; do touch /proc/$d 2>&1; done;"
	    "touch /sys/x 2>&1; touch /sys/firmware/x 2>&1; (echo 1 >/proc/sys/kernel/hostname) 2>&1; true");

	assert_null(strstr(t, "10\n"));
	assert_has(t, "touch: /proc/sys: Read-only file system");
	assert_has(t, "touch: /proc/irq: Read-only file system");
	assert_has(t, "touch: /sys/x: Read-only file system");
	assert_has(t, "/proc/sys/kernel/hostname: Read-only file system");
}

static void
nodes_work_in_dev_only(void **state)
{
	struct pot *p = *state;
	char cmd[700];
	const char *t;

	snprintf(cmd, sizeof(cmd), "mknod -m 666 %s/root/null c 1 3", p->dir);
	assert_int_equal(system(cmd), 0);
	t = text_of(p,
	    "ls -A /dev; echo x >/dev/null && echo fine; (echo x >/null) 2>&1; mknod /dev/mem c 1 1 2>&1;"
	    "df -k /dev/shm | tail -1 | tr -s ' '; ls /dev/mqueue /dev/pts");
	assert_has(t,
	    "core\nfd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero"
	    "\nfine\n");
	assert_has(t, "can't create /null: Permission denied");
	assert_has(t, "mknod: /dev/mem: Operation not permitted");
	assert_has(t, "65536");
}

static void
host_network(void **state)
{
	struct pot *p = *state;

	p->spec.own_net = false;
	assert_has(text_of(p, "ls /sys/class/net; touch /sys/x 2>&1; true"), "lo\n");
}

static void
own_groups(void **state)
{
	struct pot *p = *state;
	const char *t;

	pot_group(p);
	t = text_of(p,
	    "cat /proc/self/cgroup; find /sys/fs/cgroup -maxdepth 2 -name cgroup.procs; find /sys/fs/cgroup "
	    "-name cgroup.procs | grep -c web;"
	    "mkdir /sys/fs/cgroup/x 2>&1; true");
	assert_has(t, "0::/\n");
	assert_has(t, "cgroup.procs\n0\n");
	assert_has(t, "Read-only file system");
}

static void
exec_is_the_same(void **state)
{
	struct pot *p = *state;
	struct iso_ref ref;
	char *argv[] = { "/bin/sh", "-c",
		"grep -E '^(Cap|NoNew)' /proc/self/status; id -u; cat /proc/self/uid_map; touch /x; stat -c "
		"%u /x; "
		"echo there >/dev/stderr",
		NULL };
	char *envp[] = { "PATH=/bin", NULL }, text[4096];
	int out[2], status, pty;
	pid_t pid;
	ssize_t n, got = 0;

	pot_group(p);
	pot_script(p, "exec sleep 1000");
	pot_start(p);
	ref = pot_ref(p);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	struct iso_exec_spec s = { .argv = argv, .envp = envp, .fds = { out[1], out[1], out[1] } };

	assert_done(iso_exec(&ref, &s, &pid, &pty, &p->e), p);
	close(out[1]);
	while ((n = read(out[0], text + got, sizeof(text) - 1 - (size_t)got)) > 0)
		got += n;
	text[got] = '\0';
	close(out[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_has(text, "CapPrm:\t00000000800405fb\nCapEff:\t00000000800405fb\nCapBnd:\t00000000800405fb\n");
	assert_has(text, "NoNewPrivs:\t1\n0\n         0 1880227840      65536\n0\nthere\n");
}

static void
mount_while_running(void **state)
{
	struct pot *p = *state;
	struct iso_mount m = { iso_tmpfs(1 << 20, 0755, FIRST, &p->e), "/new/place", true };
	struct iso_mount bad = { m.fd, "/proc/tty", true };
	struct iso_ref ref;

	pot_script(p,
	    "while ! [ -e /new/place ]; do sleep 0.01; done; stat -c %u:%g /new /new/place; exec sleep 1000");
	pot_start(p);
	ref = pot_ref(p);
	assert_true(iso_mount_into(&ref, &bad, &p->e) < 0);
	assert_done(iso_mount_into(&ref, &m, &p->e), p);
	pot_until(p, "0:0\n0:0\n");
	close(m.fd);
}

static void
loosened(void **state)
{
	struct pot *p = *state;
	const struct iso_device dev = { "net/tun", S_IFCHR | 0600, 0x0ac8 };
	char *sysctls[] = { "kernel/shmmax", "12345678", "net/ipv4/ip_forward", "1", NULL };
	const char *t;

	p->spec.walls.devices = &dev;
	p->spec.walls.ndevices = 1;
	p->spec.walls.sysctls = sysctls;
	p->spec.walls.caps = UINT64_C(0x1ffffffffff);
	p->spec.walls.new_privs = p->spec.walls.unmasked = p->spec.walls.read_only = true;
	p->spec.walls.shm_size = 1 << 20;
	t = text_of(p,
	    "grep NoNew /proc/self/status; cat /proc/sys/kernel/shmmax /proc/sys/net/ipv4/ip_forward;"
	    "ls -l /dev/net/tun; touch /x 2>&1; df -k /dev/shm | tail -1 | tr -s ' ';"
	    "echo 0 >/proc/sys/net/ipv4/ip_forward && echo wrote; mount -t tmpfs none /bin && echo mounted");
	assert_has(t, "NoNewPrivs:\t0\n12345678\n1\ncrw-------");
	assert_has(t, "10, 200");
	assert_has(t, "touch: /x: Read-only file system");
	assert_has(t, " 1024 ");
	assert_has(t, "wrote\nmounted\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(ids_both_ways),
		T(nobody_on_the_host),
		T(rights_of_the_command),
		T(other_users_have_none),
		T(kernel_is_masked),
		T(nodes_work_in_dev_only),
		T(host_network),
		T(own_groups),
		T(exec_is_the_same),
		T(mount_while_running),
		T(loosened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
