/* Profiles as users write them, in both forms: what they come to, and what is said about mistakes. */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/auto.h"
#include "base/file.h"
#include "machine.h"
#include "seccomp/linux/profile.h"
#include "seccomp/seccomp.h"

#define NO(number) (SECCOMP_RET_ERRNO | (number))

static const char *program; /* pot-seccomp */

struct compiled {
	struct sec_prog *prog;
	char notes[512];
};

static void
compile(struct compiled *c, const char *json, uint64_t caps)
{
	AUTO_FINI(buf) struct buf notes = BUF_INIT(4096);
	struct sec_filter f = { 0 };
	struct err e = ERR_INIT;

	c->prog = malloc(sizeof(*c->prog));
	assert_non_null(c->prog);
	if (profile_read(&f, json, strlen(json), "p.json", caps, &notes, &e) < 0)
		fail_msg("%s: %s", json, e.msg);
	snprintf(c->notes, sizeof(c->notes), "%s", buf_cstr(&notes));
	assert_int_equal(sec_program(&f, c->prog), SEC_OK);
	sec_filter_fini(&f);
}

static uint32_t
asked(
    const struct compiled *c, uint32_t arch, const char *machine, const char *name, uint64_t a0, uint64_t a1)
{
	struct seccomp_data d = {
		.nr = (int)sec_number(sec_machine_find(machine), name), .arch = arch, .args = { a0, a1 }
	};

	assert_true(d.nr >= 0);
	return machine_run(c->prog->v, c->prog->n, &d);
}

static uint32_t
native(const struct compiled *c, const char *name, uint64_t a0, uint64_t a1)
{
	return asked(c, sec_machine_native()->audit, "SCMP_ARCH_NATIVE", name, a0, a1);
}

static void
test_oci_form(void **state)
{
	struct compiled c;

	compile(&c,
	    "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":7,"
	    "\"architectures\":[\"SCMP_ARCH_X86_64\",\"SCMP_ARCH_X86\",\"SCMP_ARCH_AARCH64\",\"SCMP_ARCH_"
	    "MIPS\"],"
	    "\"syscalls\":[{\"names\":[\"read\",\"write\"],\"action\":\"SCMP_ACT_ALLOW\"},"
	    "{\"names\":[\"getpid\"],\"action\":\"SCMP_ACT_KILL_PROCESS\"},"
	    "{\"names\":[\"close\"],\"action\":\"SCMP_ACT_LOG\"},{\"names\":[\"dup\"],\"action\":\"SCMP_ACT_"
	    "TRAP\"},"
	    "{\"names\":[\"mkdirat\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":30},"
	    "{\"names\":[\"ioctl\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":["
	    "{\"index\":0,\"value\":1,\"op\":\"SCMP_CMP_LE\"},{\"index\":1,\"value\":21505,\"op\":\"SCMP_CMP_"
	    "EQ\"}]},"
	    "{\"names\":[\"clone\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":["
	    "{\"index\":0,\"value\":2114060288,\"valueTwo\":0,\"op\":\"SCMP_CMP_MASKED_EQ\"}]}]}",
	    0);
	assert_int_equal(native(&c, "read", 0, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(native(&c, "getpid", 0, 0), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(native(&c, "close", 0, 0), SECCOMP_RET_LOG);
	assert_int_equal(native(&c, "dup", 0, 0), SECCOMP_RET_TRAP);
	assert_int_equal(native(&c, "mkdirat", 0, 0), NO(30));
	assert_int_equal(native(&c, "mount", 0, 0), NO(7));
	assert_int_equal(native(&c, "ioctl", 1, 21505), SECCOMP_RET_ALLOW);
	assert_int_equal(native(&c, "ioctl", 2, 21505), NO(7));
	assert_int_equal(native(&c, "ioctl", 1, 21506), NO(7));
	assert_int_equal(native(&c, "clone", 0x11, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(native(&c, "clone", 0x10000011, 0), NO(7));
#ifdef __x86_64__
	assert_int_equal(asked(&c, AUDIT_ARCH_I386, "SCMP_ARCH_X86", "read", 0, 0), SECCOMP_RET_ALLOW);
#endif
	free(c.prog);
}

static void
test_in_a_whole_configuration(void **state)
{
	struct compiled c;

	compile(&c,
	    "{\"ociVersion\":\"1.0.2\",\"process\":{},\"linux\":{\"namespaces\":[],\"seccomp\":"
	    "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"mkdirat\"],\"action\":"
	    "\"SCMP_ACT_ERRNO\"}]}}}",
	    0);
	assert_int_equal(native(&c, "mkdirat", 0, 0), NO(EPERM));
	assert_int_equal(native(&c, "read", 0, 0), SECCOMP_RET_ALLOW);
	free(c.prog);
}

/* No architectures: this one only; the others' calls end the process, and x32 is not there. */
static void
test_architectures_that_are_not_listed(void **state)
{
	struct seccomp_data x32 = { .nr = 0x40000027, .arch = AUDIT_ARCH_X86_64 };
	struct compiled c;

	compile(&c, "{\"defaultAction\":\"SCMP_ACT_ALLOW\"}", 0);
	assert_int_equal(native(&c, "read", 0, 0), SECCOMP_RET_ALLOW);
#ifdef __x86_64__
	assert_int_equal(asked(&c, AUDIT_ARCH_I386, "SCMP_ARCH_X86", "read", 0, 0), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(machine_run(c.prog->v, c.prog->n, &x32), NO(ENOSYS));
	free(c.prog);
	compile(&c, "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"SCMP_ARCH_X32\"]}", 0);
	assert_int_equal(machine_run(c.prog->v, c.prog->n, &x32), SECCOMP_RET_ALLOW);
#else
	(void)x32;
#endif
	free(c.prog);
}

static const char docker[] =
    "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrno\":\"ENOSYS\",\"archMap\":["
    "{\"architecture\":\"SCMP_ARCH_X86_64\",\"subArchitectures\":[\"SCMP_ARCH_X86\",\"SCMP_ARCH_X32\"]},"
    "{\"architecture\":\"SCMP_ARCH_AARCH64\",\"subArchitectures\":[\"SCMP_ARCH_ARM\"]}],\"syscalls\":["
    "{\"name\":\"read\",\"action\":\"SCMP_ACT_ALLOW\",\"args\":[],\"comment\":\"\",\"includes\":{},"
    "\"excludes\":{}},"
    "{\"names\":[\"mount\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"caps\":[\"CAP_SYS_ADMIN\"]}},"
    "{\"names\":[\"mount\"],\"action\":\"SCMP_ACT_ERRNO\",\"errno\":\"EPERM\",\"errnoRet\":1,"
    "\"excludes\":{\"caps\":[\"CAP_SYS_ADMIN\"]}},"
    "{\"names\":[\"ptrace\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"minKernel\":\"4.8\"}},"
    "{\"names\":[\"fork\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"minKernel\":\"99.0\"}},"
    "{\"names\":[\"getppid\"],\"action\":\"SCMP_ACT_ALLOW\",\"excludes\":{\"minKernel\":\"4.8\"}},"
    "{\"names\":[\"arch_prctl\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"arches\":[\"amd64\",\"x32\"]}}"
    ","
    "{\"names\":[\"getuid\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"arches\":[\"s390x\"]}},"
    "{\"names\":[\"getgid\"],\"action\":\"SCMP_ACT_ALLOW\",\"excludes\":{\"arches\":[\"s390x\"]}},"
    "{\"names\":[\"geteuid\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":"
    "{\"caps\":[\"CAP_SYS_ADMIN\",\"CAP_SYS_TIME\"]}},"
    "{\"names\":[\"personality\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":["
    "{\"index\":0,\"value\":8,\"op\":\"SCMP_CMP_EQ\"},{\"index\":0,\"value\":131072,\"op\":\"SCMP_CMP_EQ\"}]}"
    ","
    "{\"names\":[\"a_call_to_come\"],\"action\":\"SCMP_ACT_ALLOW\"}]}";

static void
test_docker_form(void **state)
{
	struct compiled c;

	compile(&c, docker, 0);
	assert_int_equal(native(&c, "read", 0, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(native(&c, "mount", 0, 0), NO(EPERM));
	assert_int_equal(native(&c, "ptrace", 0, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(native(&c, "getppid", 0, 0), NO(ENOSYS));
	assert_int_equal(native(&c, "getuid", 0, 0), NO(ENOSYS));
	assert_int_equal(native(&c, "getgid", 0, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(native(&c, "geteuid", 0, 0), NO(ENOSYS));
	/* The same argument twice: either. */
	assert_int_equal(native(&c, "personality", 8, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(native(&c, "personality", 131072, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(native(&c, "personality", 9, 0), NO(ENOSYS));
	assert_non_null(strstr(c.notes, "p.json: syscalls[11]: \"a_call_to_come\""));
#ifdef __x86_64__
	assert_int_equal(native(&c, "fork", 0, 0), NO(ENOSYS));
	assert_int_equal(native(&c, "arch_prctl", 0, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(asked(&c, AUDIT_ARCH_I386, "SCMP_ARCH_X86", "read", 0, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(asked(&c, AUDIT_ARCH_X86_64, "SCMP_ARCH_X32", "read", 0, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(
	    asked(&c, AUDIT_ARCH_AARCH64, "SCMP_ARCH_AARCH64", "read", 0, 0), SECCOMP_RET_KILL_PROCESS);
#endif
	free(c.prog);
	compile(&c, docker, UINT64_C(1) << CAP_SYS_ADMIN);
	assert_int_equal(native(&c, "mount", 0, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(native(&c, "geteuid", 0, 0), NO(ENOSYS));
	free(c.prog);
	compile(&c, docker, UINT64_C(1) << CAP_SYS_ADMIN | UINT64_C(1) << CAP_SYS_TIME);
	assert_int_equal(native(&c, "geteuid", 0, 0), SECCOMP_RET_ALLOW);
	free(c.prog);
}

#define ENTRY(text) "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"]," text "}]}"
#define ARG(text) ENTRY("\"action\":\"SCMP_ACT_ERRNO\",\"args\":[" text "]")

static const struct {
	const char *json;
	enum err_code code;
	const char *message; /* what it begins with */
} mistakes[] = {
	{ "", E_INVAL, "p.json:1:0: " },
	{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\n \"syscalls\": [}", E_INVAL, "p.json:2:" },
	{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"defaultAction\":\"SCMP_ACT_KILL\"}", E_INVAL,
	    "p.json:1:" },
	{ "[]", E_INVAL, "p.json: is not an object" },
	{ "{}", E_INVAL, "p.json: defaultAction: is missing" },
	{ "{\"linux\":{}}", E_INVAL, "p.json: linux.seccomp: is not an object" },
	{ "{\"defaultAction\":\"ALLOW\"}", E_INVAL, "p.json: defaultAction: \"ALLOW\" is no action" },
	{ "{\"defaultAction\":5}", E_INVAL, "p.json: defaultAction: is not a string" },
	{ "{\"defaultAction\":\"SCMP_ACT_NOTIFY\"}", E_NOTSUP, "p.json: defaultAction: SCMP_ACT_NOTIFY" },
	{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscall\":[]}", E_INVAL, "p.json: \"syscall\" is no key" },
	{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"sys\":[]}", E_INVAL, "p.json: \"sys\" is no key" },
	{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":{}}", E_INVAL,
	    "p.json: syscalls: is not a list" },
	{ "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":4096}", E_INVAL,
	    "p.json: defaultErrnoRet: " },
	{ "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":-1}", E_INVAL,
	    "p.json: defaultErrnoRet: " },
	{ "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":99999999999999999999}", E_INVAL,
	    "p.json:1:" },
	{ "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrno\":\"EWHAT\"}", E_INVAL,
	    "p.json: defaultErrno: " },
	{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"X86\"]}", E_INVAL,
	    "p.json: architectures[0]: " },
	{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"archMap\":[{\"subArchitectures\":[]}]}", E_INVAL,
	    "p.json: archMap[0]: " },
	{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"flags\":[\"SECCOMP_FILTER_FLAG_LOG\"]}", E_NOTSUP,
	    "p.json: flags[0]: " },
	{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"listenerPath\":\"/run/x\"}", E_NOTSUP,
	    "p.json: listenerPath: " },
	{ ENTRY("\"action\":\"SCMP_ACT_ERRNO\",\"arg\":[]"), E_INVAL,
	    "p.json: syscalls[0]: \"arg\" is no key" },
	{ ENTRY("\"args\":[]"), E_INVAL, "p.json: syscalls[0].action: is missing" },
	{ ENTRY("\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":1,\"errno\":\"ENOSYS\""), E_INVAL,
	    "p.json: syscalls[0].errno: ENOSYS is 38" },
	{ ENTRY("\"action\":\"SCMP_ACT_ERRNO\",\"includes\":{\"caps\":[\"SYS_ADMIN\"]}"), E_INVAL,
	    "p.json: syscalls[0].includes: \"SYS_ADMIN\"" },
	{ ENTRY("\"action\":\"SCMP_ACT_ERRNO\",\"includes\":{\"minKernel\":\"new\"}"), E_INVAL,
	    "p.json: syscalls[0].includes.minKernel: " },
	{ ENTRY("\"action\":\"SCMP_ACT_ERRNO\",\"excludes\":{\"cap\":[]}"), E_INVAL,
	    "p.json: syscalls[0].excludes: \"cap\" is no key" },
	{ ARG("{\"index\":6,\"value\":1,\"op\":\"SCMP_CMP_EQ\"}"), E_INVAL,
	    "p.json: syscalls[0].args[0].index: " },
	{ ARG("{\"value\":1,\"op\":\"SCMP_CMP_EQ\"}"), E_INVAL,
	    "p.json: syscalls[0].args[0]: index is missing" },
	{ ARG("{\"index\":0,\"value\":1}"), E_INVAL, "p.json: syscalls[0].args[0].op: is missing" },
	{ ARG("{\"index\":0,\"value\":1,\"op\":\"==\"}"), E_INVAL, "p.json: syscalls[0].args[0].op: \"==\"" },
	{ ARG("{\"index\":0,\"value\":1.5,\"op\":\"SCMP_CMP_EQ\"}"), E_INVAL,
	    "p.json: syscalls[0].args[0].value: " },
	{ ARG("5"), E_INVAL, "p.json: syscalls[0].args[0]: is not an object" },
	{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[],\"action\":\"SCMP_ACT_ALLOW\"}]"
	  "}",
	    E_INVAL, "p.json: syscalls[0]: names are missing" },
	{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[7],\"action\":\"SCMP_ACT_ALLOW\"}]"
	  "}",
	    E_INVAL, "p.json: syscalls[0].names[0]: is not a word" },
	/* A rule that refuses must not be lost; one that allows may be. */
	{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"reed\\u001b\"],\"action\":"
	  "\"SCMP_ACT_ERRNO\"}]}",
	    E_INVAL, "p.json: syscalls[0]: no system call is named \"reed\\x1b\"" },
};

static void
test_mistakes(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(mistakes); i++) {
		AUTO_FINI(buf) struct buf notes = BUF_INIT(4096);
		struct sec_filter f = { 0 };
		struct err e = ERR_INIT;
		int r = profile_read(&f, mistakes[i].json, strlen(mistakes[i].json), "p.json", 0, &notes, &e);

		sec_filter_fini(&f);
		if (r != -(int)mistakes[i].code ||
		    strncmp(e.msg, mistakes[i].message, strlen(mistakes[i].message)) != 0)
			fail_msg(
			    "%s: %d \"%s\", wanted \"%s\"", mistakes[i].json, r, e.msg, mistakes[i].message);
	}
}

static int
text_fd(const char *text, size_t len)
{
	int fd = memfd_create("profile", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

/* The program as the engine runs it: the file is there or not, and who is told what. */
static void
test_the_program(void **state)
{
	char dir[] = "/tmp/pot-seccomp-XXXXXX", *big = malloc(SECCOMP_PROFILE_MAX + 2);
	AUTO_FINI(buf) struct buf out = BUF_INIT(SECCOMP_PROG_MAX);
	struct seccomp_job job = {
		.program = program, .profile_fd = -1, .what = "default", .name = "seccomp.bpf"
	};
	struct err e = ERR_INIT;
	struct stat st;
	const void *v;
	size_t len;
	int fd;

	assert_non_null(mkdtemp(dir));
	job.dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (seccomp_compile(&job, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(file_read(job.dirfd, "seccomp.bpf", &out, &e), 0);
	assert_int_equal(seccomp_default(&v, &len, &e), 0);
	assert_int_equal(out.len, len);
	assert_memory_equal(out.data, v, len);
	assert_int_equal(fstatat(job.dirfd, "seccomp.bpf", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);

	/* A failure leaves what was there. */
	fd = job.profile_fd = text_fd("{\"defaultAction\":\"SCMP_ACT_WHAT\"}", 33);
	assert_int_equal(seccomp_compile(&job, &e), -E_INVAL);
	assert_string_equal(e.msg, "./default: defaultAction: \"SCMP_ACT_WHAT\" is no action");
	close(fd);
	job.what = "-c";
	fd = job.profile_fd = text_fd("{\"defaultAction\":\"SCMP_ACT_NOTIFY\"}", 35);
	assert_int_equal(seccomp_compile(&job, &e), -E_NOTSUP);
	assert_int_equal(strncmp(e.msg, "-c: defaultAction: ", 19), 0);
	close(fd);
	memset(big, ' ', SECCOMP_PROFILE_MAX + 1);
	fd = job.profile_fd = text_fd(big, SECCOMP_PROFILE_MAX + 1);
	assert_int_equal(seccomp_compile(&job, &e), -E_LIMIT);
	close(fd);
	assert_int_equal(fstatat(job.dirfd, "seccomp.bpf", &st, 0), 0);
	assert_int_equal(st.st_size, (off_t)len);

	/* Another one replaces it. */
	fd = job.profile_fd = text_fd("{\"defaultAction\":\"SCMP_ACT_ALLOW\"}", 34);
	assert_int_equal(seccomp_compile(&job, &e), 0);
	close(fd);
	assert_int_equal(fstatat(job.dirfd, "seccomp.bpf", &st, 0), 0);
	assert_true(st.st_size > 0 && st.st_size < (off_t)len);

	job.program = "/nonexistent/pot-seccomp";
	job.profile_fd = -1;
	assert_true(seccomp_compile(&job, &e) < 0);
	assert_non_null(strstr(e.msg, "/nonexistent/pot-seccomp"));
	assert_int_equal(unlinkat(job.dirfd, "seccomp.bpf", 0), 0);
	close(job.dirfd);
	assert_int_equal(rmdir(dir), 0);
	free(big);
}

/* A profile whose program is too long for the kernel. */
static void
test_too_long(void **state)
{
	AUTO_FINI(buf) struct buf json = BUF_INIT(SECCOMP_PROFILE_MAX);
	struct seccomp_job job = {
		.program = program, .what = "long.json", .dirfd = AT_FDCWD, .name = "never"
	};
	struct err e = ERR_INIT;

	buf_str(&json, "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[");
	for (int i = 0; i < 3000; i++)
		buf_fmt(&json,
		    "%s{\"names\":[\"ioctl\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":%d,\"args\":["
		    "{\"index\":1,\"value\":%d,\"op\":\"SCMP_CMP_EQ\"}]}",
		    i > 0 ? "," : "", i % 100, i);
	buf_str(&json, "]}");
	assert_int_equal(buf_check(&json, "profile", &e), 0);
	job.profile_fd = text_fd(json.data, json.len);
	assert_int_equal(seccomp_compile(&job, &e), -E_LIMIT);
	assert_non_null(strstr(e.msg, "long.json: its program is longer than the 4096 instructions"));
	assert_int_equal(access("never", F_OK), -1);
	close(job.profile_fd);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_oci_form),
		cmocka_unit_test(test_in_a_whole_configuration),
		cmocka_unit_test(test_architectures_that_are_not_listed),
		cmocka_unit_test(test_docker_form),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_the_program),
		cmocka_unit_test(test_too_long),
	};

	program = argc > 1 ? argv[1] : "./pot-seccomp";
	return cmocka_run_group_tests(tests, NULL, NULL);
}
