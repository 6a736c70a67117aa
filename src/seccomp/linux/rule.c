/*
 * One entry of a profile's "syscalls", and the values that its outer part has
 * as well. A word that is not known is a mistake: a rule that is silently not
 * there is a hole.
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/auto.h"
#include "seccomp/linux/profile.h"
#include "seccomp/linux/reader.h"

#define ERRNO_MAX 4095
#define CONDS_MAX 16

int
rule_errno(
    struct reader *r, const json_t *object, const char *number_key, const char *name_key, uint32_t *out)
{
	uint64_t number = EPERM;
	const char *name;
	int has = read_number(r, object, number_key, ERRNO_MAX, &number), rc;

	if (has < 0)
		return has;
	if ((rc = read_string(r, object, name_key, &name)) < 0)
		return rc;
	*out = (uint32_t)number;
	if (name == NULL)
		return 0;
	for (int i = 1; i <= ERRNO_MAX; i++) {
		const char *known = strerrorname_np(i);

		if (known == NULL || strcmp(known, name) != 0)
			continue;
		*out = (uint32_t)i;
		if (!has || number == (uint64_t)i)
			return 0;
		read_enter(r, name_key);
		return read_wrong(r, E_INVAL, "%s is %d, but %s says %llu", name, i, number_key,
		    (unsigned long long)number);
	}
	read_enter(r, name_key);
	return read_wrong(r, E_INVAL, "\"%.32s\" is no name of an error", name);
}

static const struct action {
	const char *name;
	uint32_t ret;
	bool data; /* errnoRet goes with it */
} actions[] = {
	{ "SCMP_ACT_ALLOW", SECCOMP_RET_ALLOW, false },
	{ "SCMP_ACT_ERRNO", SECCOMP_RET_ERRNO, true },
	{ "SCMP_ACT_KILL", SECCOMP_RET_KILL_THREAD, false },
	{ "SCMP_ACT_KILL_THREAD", SECCOMP_RET_KILL_THREAD, false },
	{ "SCMP_ACT_KILL_PROCESS", SECCOMP_RET_KILL_PROCESS, false },
	{ "SCMP_ACT_LOG", SECCOMP_RET_LOG, false },
	{ "SCMP_ACT_TRACE", SECCOMP_RET_TRACE, true },
	{ "SCMP_ACT_TRAP", SECCOMP_RET_TRAP, false },
};

int
rule_action(struct reader *r, const json_t *object, const char *key, uint32_t data, uint32_t *out)
{
	const char *name;
	int rc = read_string(r, object, key, &name);
	size_t back;

	if (rc < 0)
		return rc;
	back = read_enter(r, key);
	if (name == NULL)
		return read_wrong(r, E_INVAL, "is missing");
	if (strcmp(name, "SCMP_ACT_NOTIFY") == 0)
		return read_wrong(
		    r, E_NOTSUP, "SCMP_ACT_NOTIFY needs a program that answers, and pot has none");
	for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
		if (strcmp(actions[i].name, name) != 0)
			continue;
		*out = actions[i].ret | (actions[i].data ? data : 0);
		r->place[back] = '\0';
		return 0;
	}
	return read_wrong(r, E_INVAL, "\"%.32s\" is no action", name);
}

static const struct {
	const char *name;
	enum sec_op op;
} ops[] = {
	{ "SCMP_CMP_NE", SEC_NE },
	{ "SCMP_CMP_LT", SEC_LT },
	{ "SCMP_CMP_LE", SEC_LE },
	{ "SCMP_CMP_EQ", SEC_EQ },
	{ "SCMP_CMP_GE", SEC_GE },
	{ "SCMP_CMP_GT", SEC_GT },
	{ "SCMP_CMP_MASKED_EQ", SEC_MASKED },
};

static int
read_cond(struct reader *r, const json_t *j, struct sec_cond *c)
{
	uint64_t index = 0, value = 0, second = 0;
	const char *op;
	int rc;

	if ((rc = read_keys(r, j, "index value valueTwo op")) < 0 || (rc = read_string(r, j, "op", &op)) < 0)
		return rc;
	if ((rc = read_number(r, j, "index", 5, &index)) == 0)
		return read_wrong(r, E_INVAL, "index is missing");
	if (rc < 0 || (rc = read_number(r, j, "value", INT64_MAX, &value)) < 0 ||
	    (rc = read_number(r, j, "valueTwo", INT64_MAX, &second)) < 0)
		return rc;
	for (size_t i = 0; op != NULL && i < ARRAY_LEN(ops); i++) {
		if (strcmp(ops[i].name, op) != 0)
			continue;
		*c = (struct sec_cond){ .arg = (uint8_t)index, .op = ops[i].op, .value = value };
		if (c->op == SEC_MASKED) {
			c->mask = value;
			c->value = second;
		}
		return 0;
	}
	read_enter(r, "op");
	return op == NULL ? read_wrong(r, E_INVAL, "is missing")
			  : read_wrong(r, E_INVAL, "\"%.32s\" is no comparison", op);
}

static int
read_conds(struct reader *r, const json_t *entry, struct sec_cond *conds, unsigned *n)
{
	const json_t *list = json_object_get(entry, "args"), *item;
	size_t back = read_enter(r, "args"), i;

	*n = 0;
	if (list != NULL && !json_is_null(list) && !json_is_array(list))
		return read_wrong(r, E_INVAL, "is not a list");
	json_array_foreach(list, i, item)
	{
		size_t at = read_enter_index(r, i);
		int rc;

		if (i >= CONDS_MAX)
			return read_wrong(r, E_LIMIT, "more than %d", CONDS_MAX);
		if ((rc = read_cond(r, item, &conds[i])) < 0)
			return rc;
		r->place[at] = '\0';
		*n = (unsigned)i + 1;
	}
	r->place[back] = '\0';
	return 0;
}

static const char *const capabilities[] = { "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID",
	"KILL", "SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST",
	"NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT",
	"SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME",
	"SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE",
	"MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
	"CHECKPOINT_RESTORE" };

int
profile_capability(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(capabilities); i++) {
		if (strncmp(name, "CAP_", 4) == 0 && strcmp(capabilities[i], name + 4) == 0)
			return (int)i;
	}
	return -1;
}

/* "A.B": is the running kernel at least that? */
static int
kernel_is(struct reader *r, const char *text, bool *yes)
{
	unsigned major, minor, is_major, is_minor;
	struct utsname u;
	char end;

	if (sscanf(text, "%5u.%5u%c", &major, &minor, &end) != 2) {
		read_enter(r, "minKernel");
		return read_wrong(r, E_INVAL, "\"%.32s\" is not MAJOR.MINOR", text);
	}
	if (uname(&u) != 0 || sscanf(u.release, "%u.%u", &is_major, &is_minor) != 2)
		return err_set(r->e, E_SYS, "cannot find out the version of the kernel");
	*yes = is_major > major || (is_major == major && is_minor >= minor);
	return 0;
}

/*
 * Docker's includes and excludes. A rule is included when this architecture is
 * listed, all capabilities are granted and the kernel is new enough; it is
 * excluded when the architecture is listed, any capability is granted or the
 * kernel is new enough.
 */
static int
read_selection(struct reader *r, const json_t *entry, const char *key, bool include, bool *keep)
{
	const json_t *j = json_object_get(entry, key), *item;
	size_t back = read_enter(r, key), i;
	json_t *archs, *caps;
	const char *kernel;
	bool hit = false;
	int rc;

	if (j != NULL && !json_is_null(j)) {
		if ((rc = read_keys(r, j, "arches caps minKernel")) < 0 ||
		    (rc = read_list(r, j, "arches", &archs)) < 0 ||
		    (rc = read_list(r, j, "caps", &caps)) < 0 ||
		    (rc = read_string(r, j, "minKernel", &kernel)) < 0)
			return rc;
		json_array_foreach(archs, i, item) hit |=
		    strcmp(json_string_value(item), sec_machine_native()->docker) == 0;
		*keep &= json_array_size(archs) == 0 || hit == include;
		json_array_foreach(caps, i, item)
		{
			int cap = profile_capability(json_string_value(item));

			if (cap < 0)
				return read_wrong(
				    r, E_INVAL, "\"%.32s\" is no capability", json_string_value(item));
			*keep &= ((r->caps >> cap & 1) != 0) == include;
		}
		hit = !include;
		if (kernel != NULL && (rc = kernel_is(r, kernel, &hit)) < 0)
			return rc;
		*keep &= kernel == NULL || hit == include;
	}
	r->place[back] = '\0';
	return 0;
}

/* Of two answers the kernel takes the one that is lower as a signed number: the stricter. */
static bool
stricter(uint32_t a, uint32_t b)
{
	return (int32_t)(a & SECCOMP_RET_ACTION_FULL) < (int32_t)(b & SECCOMP_RET_ACTION_FULL);
}

/* One rule, or one per test when a test names the same argument as another. */
static enum sec_result
add_rules(struct sec_arch *a, uint32_t nr, uint32_t ret, const struct sec_cond *conds, unsigned n)
{
	struct sec_rule rule = { .nr = nr, .ret = ret, .nconds = n };
	enum sec_result res = SEC_OK;
	unsigned seen = 0;
	bool twice = false;

	for (unsigned i = 0; i < n; i++) {
		twice |= (seen >> conds[i].arg & 1) != 0;
		seen |= 1u << conds[i].arg;
	}
	if (!twice) {
		memcpy(rule.conds, conds, n * sizeof(*conds));
		return sec_add(a, &rule);
	}
	rule.nconds = 1;
	for (unsigned i = 0; res == SEC_OK && i < n; i++) {
		rule.conds[0] = conds[i];
		res = sec_add(a, &rule);
	}
	return res;
}

static int
add_call(struct reader *r, const char *name, uint32_t ret, const struct sec_cond *conds, unsigned n)
{
	bool unknown = false;

	for (size_t i = 0; i < r->nmachines; i++) {
		long nr = sec_number(r->machines[i], name);
		struct sec_arch *a = sec_arch_get(r->filter, r->machines[i]);

		unknown |= nr == SEC_NR_UNKNOWN;
		if (nr < 0)
			continue;
		switch (a == NULL ? SEC_TOO_LONG : add_rules(a, (uint32_t)nr, ret, conds, n)) {
		case SEC_OK:
			break;
		case SEC_NOMEM:
			return err_nomem(r->e);
		default:
			return read_wrong(r, E_LIMIT, "more than %d rules", SEC_RULES_MAX);
		}
	}
	if (unknown && stricter(ret, r->filter->otherwise))
		return read_wrong(r, E_INVAL, "no system call is named \"%.64s\"", name);
	if (unknown)
		buf_fmt(r->notes, "%s: %s: \"%.64s\" is not known here and gets the default action\n",
		    r->what, r->place, name);
	return 0;
}

/* "names", or "name" as old profiles have it. */
static int
read_calls(struct reader *r, const json_t *entry, uint32_t ret, const struct sec_cond *conds, unsigned n)
{
	const char *single;
	json_t *names, *item;
	size_t i;
	int rc;

	if ((rc = read_string(r, entry, "name", &single)) < 0 ||
	    (rc = read_list(r, entry, "names", &names)) < 0)
		return rc;
	if (json_array_size(names) == 0 && single == NULL)
		return read_wrong(r, E_INVAL, "names are missing");
	if (single != NULL && (rc = add_call(r, single, ret, conds, n)) < 0)
		return rc;
	json_array_foreach(names, i, item)
	{
		if ((rc = add_call(r, json_string_value(item), ret, conds, n)) < 0)
			return rc;
	}
	return 0;
}

int
rule_read(struct reader *r, const json_t *entry)
{
	struct sec_cond conds[CONDS_MAX];
	uint32_t data, ret;
	unsigned n;
	bool keep = true;
	int rc;

	if ((rc = read_keys(r, entry, "names name action errnoRet errno args comment includes excludes")) <
		0 ||
	    (rc = rule_errno(r, entry, "errnoRet", "errno", &data)) < 0 ||
	    (rc = rule_action(r, entry, "action", data, &ret)) < 0 ||
	    (rc = read_conds(r, entry, conds, &n)) < 0 ||
	    (rc = read_selection(r, entry, "includes", true, &keep)) < 0 ||
	    (rc = read_selection(r, entry, "excludes", false, &keep)) < 0)
		return rc;
	return keep ? read_calls(r, entry, ret, conds, n) : 0;
}
