/*
 * The outer part of a profile: where it stands in a file, its default action
 * and its architectures. Its entries are read in rule.c.
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/text.h"
#include "seccomp/linux/profile.h"
#include "seccomp/linux/reader.h"

static void
auto_json(json_t **j)
{
	json_decref(*j);
}

static int
add_machine(struct reader *r, const char *name)
{
	const struct sec_machine *m = sec_machine_find(name);

	if (m == NULL)
		return read_wrong(r, E_INVAL, "\"%.32s\" is no architecture", name);
	/* A profile is for many machines; calls of the others never come. */
	if (!sec_machine_runs_here(m))
		return 0;
	for (size_t i = 0; i < r->nmachines; i++) {
		if (r->machines[i] == m)
			return 0;
	}
	/* Each machine that runs here is listed once: there is always room. */
	r->machines[r->nmachines++] = m;
	return sec_arch_get(r->filter, m) == NULL ? read_wrong(r, E_LIMIT, "too many architectures") : 0;
}

static int
add_machines(struct reader *r, const json_t *object, const char *key)
{
	json_t *list, *item;
	size_t i;
	int rc = read_list(r, object, key, &list);

	json_array_foreach(list, i, item)
	{
		size_t back = read_enter(r, key);

		read_enter_index(r, i);
		if (rc == 0 && (rc = add_machine(r, json_string_value(item))) < 0)
			return rc;
		r->place[back] = '\0';
	}
	return rc;
}

/* Docker's form: what else a machine runs. */
static int
read_arch_map(struct reader *r, const json_t *root)
{
	const json_t *map = json_object_get(root, "archMap"), *item;
	size_t back = read_enter(r, "archMap"), i;

	if (map != NULL && !json_is_null(map) && !json_is_array(map))
		return read_wrong(r, E_INVAL, "is not a list");
	json_array_foreach(map, i, item)
	{
		size_t at = read_enter_index(r, i);
		const struct sec_machine *m;
		const char *name;
		json_t *others;
		int rc;

		if ((rc = read_keys(r, item, "architecture subArchitectures")) < 0 ||
		    (rc = read_string(r, item, "architecture", &name)) < 0 ||
		    (rc = read_list(r, item, "subArchitectures", &others)) < 0)
			return rc;
		m = name == NULL ? NULL : sec_machine_find(name);
		if (m == NULL)
			return read_wrong(
			    r, E_INVAL, "\"%.32s\" is no architecture", name == NULL ? "" : name);
		if (m == sec_machine_native() && (rc = add_machines(r, item, "subArchitectures")) < 0)
			return rc;
		r->place[at] = '\0';
	}
	r->place[back] = '\0';
	return 0;
}

/* How the filter is loaded. A pot's filter holds from its first thread on, so that TSYNC says nothing. */
static int
read_flags(struct reader *r, const json_t *root)
{
	json_t *flags, *item;
	size_t i;
	int rc = read_list(r, root, "flags", &flags);

	json_array_foreach(flags, i, item)
	{
		const char *flag = json_string_value(item);

		if (rc == 0 && strcmp(flag, "SECCOMP_FILTER_FLAG_TSYNC") != 0) {
			read_enter(r, "flags");
			read_enter_index(r, i);
			return read_wrong(r, E_NOTSUP, "pot does not load filters with \"%.40s\"", flag);
		}
	}
	return rc;
}

static int
read_entries(struct reader *r, const json_t *root)
{
	const json_t *list = json_object_get(root, "syscalls"), *item;
	size_t back = read_enter(r, "syscalls"), i;
	int rc;

	if (list != NULL && !json_is_null(list) && !json_is_array(list))
		return read_wrong(r, E_INVAL, "is not a list");
	json_array_foreach(list, i, item)
	{
		size_t at = read_enter_index(r, i);

		if ((rc = rule_read(r, item)) < 0)
			return rc;
		r->place[at] = '\0';
	}
	r->place[back] = '\0';
	return 0;
}

static int
read_root(struct reader *r, const json_t *root)
{
	const char *listener;
	uint32_t data;
	int rc;

	if ((rc = read_keys(r, root,
		 "defaultAction defaultErrnoRet defaultErrno architectures archMap flags "
		 "listenerPath listenerMetadata syscalls")) < 0 ||
	    (rc = read_string(r, root, "listenerPath", &listener)) < 0)
		return rc;
	if (listener != NULL) {
		read_enter(r, "listenerPath");
		return read_wrong(r, E_NOTSUP, "pot has no listener for system calls");
	}
	r->filter->no_arch = SECCOMP_RET_KILL_PROCESS;
	if ((rc = rule_errno(r, root, "defaultErrnoRet", "defaultErrno", &data)) < 0 ||
	    (rc = rule_action(r, root, "defaultAction", data, &r->filter->otherwise)) < 0 ||
	    (rc = add_machine(r, "SCMP_ARCH_NATIVE")) < 0 ||
	    (rc = add_machines(r, root, "architectures")) < 0 || (rc = read_arch_map(r, root)) < 0 ||
	    (rc = read_flags(r, root)) < 0)
		return rc;
	return read_entries(r, root);
}

/* The object itself, or the one in a configuration of the runtime specification. */
static const json_t *
find_root(struct reader *r, const json_t *j)
{
	const json_t *linux_part = json_object_get(j, "linux");
	const json_t *inner = json_object_get(linux_part, "seccomp");

	if (linux_part == NULL)
		return j;
	read_enter(r, "linux");
	read_enter(r, "seccomp");
	return inner;
}

int
profile_read(struct sec_filter *filter, const char *text, size_t len, const char *what, uint64_t caps,
    struct buf *notes, struct err *e)
{
	struct reader r = { .filter = filter, .what = what, .caps = caps, .notes = notes, .e = e };
	json_error_t where;
	__attribute__((cleanup(auto_json))) json_t *j = json_loadb(text, len, JSON_REJECT_DUPLICATES, &where);

	if (j == NULL) {
		AUTO_FINI(buf) struct buf why = BUF_INIT(2048);

		text_escape(where.text, strlen(where.text), &why);
		return err_set(e, E_INVAL, "%s:%d:%d: %s", what, where.line, where.column, buf_cstr(&why));
	}
	if (sec_machine_native() == NULL)
		return err_set(e, E_NOTSUP, "there are no filters for this machine's architecture");
	return read_root(&r, find_root(&r, j));
}
