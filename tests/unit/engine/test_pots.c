/* Making, copying, renaming, removing and setting up pots, with what goes wrong and what is said then. */
#include <signal.h>

#include "base/text.h"
#include "model/imgrecord.h"
#include "node.h"

static int
create(struct node *n, const char *name, const char *base)
{
	struct pot_create_args a = { .name = name, .base = base, .level = -1 };

	return eng_create(n->g, &a, &n->e);
}

static int
clone(struct node *n, const char *name, const char *from, const char *tag, bool snapshot)
{
	struct pot_create_args a = {
		.name = name, .from_pot = from, .tag = tag, .snapshot = snapshot, .level = -1
	};

	return eng_create(n->g, &a, &n->e);
}

static struct pot_info *
info_of(struct node *n, const char *name)
{
	struct pot_info *info;

	done(eng_info(n->g, name, POT_INFO_SIZES, &info, &n->e));
	return info;
}

/* The content of a file in a pot that does not run. */
static void
assert_in_pot(struct node *n, const char *pot, const char *path, const char *text)
{
	char full[256];

	snprintf(full, sizeof(full), "storage/fake/pot.%s/root/%s", pot, path);
	assert_content(n->g->root_fd, full, text);
}

static void
put_in_pot(struct node *n, const char *pot, const char *path, const char *text)
{
	char full[256];

	snprintf(full, sizeof(full), "storage/fake/pot.%s/root/%s", pot, path);
	put(n->g->root_fd, full, text);
}

static void
test_create(void **state)
{
	struct node *n = *state;
	struct pot_info *info;

	done(create(n, "p", "b"));
	assert_in_pot(n, "p", "data/file", "from the base\n");
	info = info_of(n, "p");
	assert_int_equal(info->summary.state, POT_CREATED);
	assert_string_equal(info->summary.base, "b");
	assert_string_equal(info->summary.network, "public-bridge");
	assert_string_equal(info->summary.ip, info->addresses[0].address);
	assert_string_equal(info->type, "single");
	assert_int_equal(strlen(info->id), 16);
	assert_int_equal(info->summary.status, -1);
	assert_int_equal(info->nsnapshots, 0);
	pot_info_free(info);
	fails(create(n, "p", "b"), E_EXIST, "pot p exists already");
	hint_is("pot destroy p");
	fails(create(n, "q", "nobase"), E_NOENT, "no base nobase");
	hint_is("pot create-base");
	assert_false(node_has_dir(n, "q"));
}

/* A root that somebody else makes, with settings as an image's; one that cannot be made leaves nothing. */
static int
make_root(void *arg, struct stor *stor, struct stor_fs fs, struct kv *settings, struct err *e)
{
	bool *fail = arg;
	int rc = *fail ? err_set(e, E_CORRUPT, "the stream is broken") : stor_create(stor, fs, e);

	if (rc == 0)
		rc = kv_add(settings, IMG_SET_CMD, "/bin/two words", e);
	if (rc == 0)
		rc = kv_add(settings, IMG_SET_ENV, "A=b", e);
	if (rc == 0)
		rc = kv_add(settings, IMG_SET_ATTR, "persistent=NO", e);
	if (rc == 0)
		rc = kv_add(settings, IMG_SET_ATTR, "start-at-boot=YES", e);
	return rc;
}

static void
test_create_from(void **state)
{
	struct node *n = *state;
	bool fail = false;
	const struct eng_maker maker = { make_root, &fail };
	struct pot_create_args a = { .name = "p", .level = -1 };
	char *value;

	done(eng_create_from(n->g, &a, &maker, &n->e));
	done(eng_get_attribute(n->g, "p", "persistent", &value, &n->e));
	assert_string_equal(value, "NO");
	free(value);
	/* It would give the pot power over the host's start. */
	done(eng_get_attribute(n->g, "p", "start-at-boot", &value, &n->e));
	assert_string_equal(value, "NO");
	free(value);
	assert_non_null(strstr(n->warning, "start-at-boot"));
	AUTO_FINI(buf) struct buf text = BUF_INIT(65536);
	done(file_read(n->g->pots_fd, "p/pot.conf", &text, &n->e));
	assert_non_null(strstr(text.data, "/bin/two words"));
	assert_non_null(strstr(text.data, "A=b"));
	fails(eng_create_from(n->g, &a, &maker, &n->e), E_EXIST, "pot p exists already");
	fail = true;
	a.name = "q";
	fails(eng_create_from(n->g, &a, &maker, &n->e), E_CORRUPT, "the stream is broken");
	assert_false(node_has_dir(n, "q"));
	assert_false(node_has_storage(n, "q"));
}

/* What fails in the middle leaves no name and no files; with keep it stays, half made, for a look. */
static void
test_create_fails(void **state)
{
	struct node *n = *state;
	struct pot_create_args a = { .name = "p", .base = "b", .level = -1, .dns = "custom:/no/such/file" };

	fails(eng_create(n->g, &a, &n->e), E_NOENT, "/no/such/file");
	assert_false(node_has_dir(n, "p"));
	assert_false(node_has_storage(n, "p"));
	a.keep = true;
	fails(eng_create(n->g, &a, &n->e), E_NOENT, "/no/such/file");
	assert_true(node_has_storage(n, "p"));
	/* The next look takes it for what it is. */
	assert_int_equal(eng_exists(n->g, "p", &n->e), 0);
	assert_false(node_has_storage(n, "p"));
	/* Nor is anything left of one that was interrupted. */
	a = (struct pot_create_args){ .name = "p", .base = "b", .level = -1 };
	n->cancel = true;
	fails(eng_create(n->g, &a, &n->e), E_INTR, "p was interrupted");
	n->cancel = false;
	assert_false(node_has_dir(n, "p"));
	assert_false(node_has_storage(n, "p"));
	/* A stranger in the storage is not taken over. */
	assert_sys(mkdirat(n->g->root_fd, "storage/fake/pot.p", 0755));
	fails(create(n, "p", "b"), E_EXIST, "storage still holds something");
	assert_false(node_has_dir(n, "p"));
	assert_true(node_has_storage(n, "p"));
}

static void
test_clone(void **state)
{
	struct node *n = *state;
	char env[] = "A=b", *envs[] = { env, NULL };
	struct pot_info *info;

	done(create(n, "p", "b"));
	done(eng_set_env(n->g, "p", POT_ADD, envs, &n->e));
	node_hook(n, "p", "prestart", "true");
	put_in_pot(n, "p", "data/own", "one");
	fails(clone(n, "c", "p", NULL, false), E_NOENT, "p has no snapshot to clone");
	hint_is("pot snapshot p");
	fails(clone(n, "c", "nobody", NULL, false), E_NOENT, "nobody");
	done(eng_snapshot(n->g, "p", "one", NULL, &n->e));
	put_in_pot(n, "p", "data/own", "two");
	done(eng_snapshot(n->g, "p", "two", NULL, &n->e));
	put_in_pot(n, "p", "data/own", "three");
	done(clone(n, "c", "p", NULL, false));
	assert_in_pot(n, "c", "data/own", "two");
	done(clone(n, "d", "p", "one", false));
	assert_in_pot(n, "d", "data/own", "one");
	fails(clone(n, "e", "p", "none", false), E_NOENT, "none");
	assert_false(node_has_dir(n, "e"));
	/* Two in one second have two snapshots. */
	done(clone(n, "e", "p", NULL, true));
	done(clone(n, "f", "p", NULL, true));
	assert_in_pot(n, "e", "data/own", "three");
	info = info_of(n, "p");
	assert_int_equal(info->nsnapshots, 4);
	pot_info_free(info);
	info = info_of(n, "c");
	assert_string_equal(info->parent, "p");
	assert_string_equal(info->summary.base, "b");
	assert_int_equal(info->nenv, 1);
	assert_int_equal(info->nhooks, 1);
	assert_int_equal(strncmp(info->hostname, "c", 1), 0);
	pot_info_free(info);
	/* So have two starts. */
	done(eng_set_command(n->g, "c", "true", &n->e));
	for (int i = 0; i < 2; i++) {
		struct pot_start_args args = { .snapshot = true };
		struct pot_process proc;
		struct pot_exit x;

		done(eng_start(n->g, "c", &args, &proc, &n->e));
		done(eng_wait(n->g, "c", &x, &n->e));
	}
	info = info_of(n, "c");
	assert_int_equal(info->nsnapshots, 2);
	pot_info_free(info);
	/* A clone outlives what it was made of. */
	done(eng_destroy(n->g, "p", false, &n->e));
	assert_in_pot(n, "c", "data/own", "two");
}

static void
test_rename(void **state)
{
	struct node *n = *state;
	struct pot_info *info;

	done(create(n, "p", "b"));
	done(create(n, "q", "b"));
	put_in_pot(n, "p", "data/own", "p's");
	fails(eng_rename(n->g, "p", "q", &n->e), E_EXIST, "pot q exists already");
	fails(eng_rename(n->g, "nobody", "r", &n->e), E_NOENT, "nobody");
	done(eng_rename(n->g, "p", "r", &n->e));
	assert_false(node_has_dir(n, "p"));
	assert_false(node_has_storage(n, "p"));
	assert_in_pot(n, "r", "data/own", "p's");
	info = info_of(n, "r");
	assert_int_equal(strncmp(info->hostname, "r", 1), 0);
	pot_info_free(info);
	/* What an interrupted command left under the new name is no obstacle. */
	assert_sys(mkdirat(n->g->pots_fd, "s", 0755));
	done(eng_rename(n->g, "r", "s", &n->e));
	assert_in_pot(n, "s", "data/own", "p's");
}

/* Nothing that needs a stopped pot touches a running one. */
static void
test_running(void **state)
{
	struct node *n = *state;

	node_pot(n, "p", "sleep 1000");
	done(eng_snapshot(n->g, "p", "t", NULL, &n->e));
	node_start(n, "p");
	fails(eng_destroy(n->g, "p", false, &n->e), E_STATE, "p is running");
	hint_is("pot stop p");
	fails(eng_rename(n->g, "p", "q", &n->e), E_STATE, "cannot rename p");
	fails(eng_snapshot(n->g, "p", "u", NULL, &n->e), E_STATE, "snapshot of p");
	hint_is("pot stop p");
	fails(eng_rollback(n->g, "p", "t", &n->e), E_STATE, "roll back p");
	fails(clone(n, "q", "p", NULL, true), E_STATE, "p");
	assert_false(node_has_dir(n, "q"));
	done(clone(n, "q", "p", "t", false));
	fails(eng_base_destroy(n->g, "b", false, &n->e), E_BUSY, "p, q");
	assert_true(eng_base_destroy(n->g, "b", true, &n->e) < 0);
	assert_int_equal(node_rec(n, "p").state, POT_RUNNING);
	done(eng_destroy(n->g, "p", true, &n->e));
	assert_false(node_has_dir(n, "p"));
	assert_false(node_has_storage(n, "p"));
	fails(eng_destroy(n->g, "p", true, &n->e), E_NOENT, "no pot is named p");
}

static int
note_name(void *arg, const char *name)
{
	strv_add(arg, name);
	return 0;
}

static void
assert_names(struct strv *v, const char *names)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(1024);

	for (size_t i = 0; i < v->n; i++)
		buf_fmt(&b, "%s%s", i > 0 ? " " : "", v->v[i]);
	assert_string_equal(buf_cstr(&b), names);
	strv_clear(v);
}

static void
test_prune(void **state)
{
	struct node *n = *state;
	struct pot_prune_args dry = { .dry_run = true }, grace = { .grace = true }, now = { 0 };
	AUTO_FINI(strv) struct strv v = STRV_INIT(10);
	struct pot_exit x;

	node_pot(n, "fresh", "true");
	node_pot(n, "kept", "true");
	node_pot(n, "old", "true");
	node_pot(n, "runs", "sleep 1000");
	done(eng_set_attribute(n->g, "fresh", "prunable", "yes", &n->e));
	done(eng_set_attribute(n->g, "old", "prunable", "yes", &n->e));
	done(eng_set_attribute(n->g, "runs", "prunable", "yes", &n->e));
	node_start(n, "kept");
	node_start(n, "old");
	node_start(n, "runs");
	done(eng_wait(n->g, "kept", &x, &n->e));
	done(eng_wait(n->g, "old", &x, &n->e));
	done(eng_prune(n->g, &grace, note_name, &v, &n->e));
	assert_names(&v, "");
	done(eng_prune(n->g, &dry, note_name, &v, &n->e));
	assert_names(&v, "old");
	assert_true(node_has_dir(n, "old"));
	done(eng_prune(n->g, &now, note_name, &v, &n->e));
	assert_names(&v, "old");
	assert_false(node_has_dir(n, "old"));
	assert_true(node_has_dir(n, "fresh") && node_has_dir(n, "kept") && node_has_dir(n, "runs"));
}

static void
test_snapshots(void **state)
{
	struct node *n = *state;
	AUTO_FINI(strv) struct strv v = STRV_INIT(10);
	char first[128], second[128];

	done(create(n, "p", "b"));
	fails(eng_rollback(n->g, "p", NULL, &n->e), E_NOENT, "pot p has no snapshot");
	hint_is("pot snapshot p");
	fails(eng_rollback(n->g, "p", "tag", &n->e), E_NOENT, "pot p has no snapshot tag");
	hint_is("pot snapshot p");
	put_in_pot(n, "p", "data/own", "one");
	done(eng_snapshot(n->g, "p", NULL, first, &n->e));
	put_in_pot(n, "p", "data/own", "two");
	done(eng_snapshot(n->g, "p", NULL, second, &n->e));
	assert_string_not_equal(first, second);
	fails(eng_snapshot(n->g, "p", first, NULL, &n->e), E_EXIST, first);
	put_in_pot(n, "p", "data/own", "three");
	fails(eng_rollback(n->g, "p", "tag", &n->e), E_NOENT, "no snapshot tag");
	hint_is("pot info -s p");
	done(eng_rollback(n->g, "p", NULL, &n->e));
	assert_in_pot(n, "p", "data/own", "two");
	done(eng_rollback(n->g, "p", first, &n->e));
	assert_in_pot(n, "p", "data/own", "one");
	/* The later one went with it. */
	fails(eng_rollback(n->g, "p", second, &n->e), E_NOENT, second);
	done(eng_snapshot(n->g, "p", "x", NULL, &n->e));
	done(eng_purge_snapshots(n->g, "p", false, note_name, &v, &n->e));
	assert_names(&v, first);
	done(eng_purge_snapshots(n->g, "p", true, note_name, &v, &n->e));
	assert_names(&v, "x");
	done(eng_purge_snapshots(n->g, "p", true, note_name, &v, &n->e));
	assert_names(&v, "");
	assert_int_equal(node_rec(n, "p").op, OP_NONE);
	fails(eng_snapshot(n->g, "nobody", NULL, NULL, &n->e), E_NOENT, "nobody");
}

static void
test_settings(void **state)
{
	struct node *n = *state;
	char a1[] = "A=1", a2[] = "A=2", b[] = "B=3", bad[] = "9x=1", a[] = "A", host[] = "db:10.0.0.1",
	     nohost[] = "db";
	char *both[] = { a1, b, NULL }, *again[] = { a2, NULL }, *wrong[] = { b, bad, NULL },
	     *gone[] = { a, NULL }, *hosts[] = { host, NULL }, *nohosts[] = { nohost, NULL };
	struct pot_info *info;
	char *value;

	done(create(n, "p", "b"));
	done(eng_set_env(n->g, "p", POT_ADD, both, &n->e));
	done(eng_set_env(n->g, "p", POT_ADD, again, &n->e));
	info = info_of(n, "p");
	assert_int_equal(info->nenv, 2);
	pot_info_free(info);
	/* All or nothing. */
	fails(eng_set_env(n->g, "p", POT_REPLACE, wrong, &n->e), E_INVAL, "");
	info = info_of(n, "p");
	assert_int_equal(info->nenv, 2);
	pot_info_free(info);
	done(eng_set_env(n->g, "p", POT_REMOVE, gone, &n->e));
	fails(eng_set_env(n->g, "p", POT_REMOVE, gone, &n->e), E_NOENT, "A");
	done(eng_set_env(n->g, "p", POT_CLEAR, NULL, &n->e));
	done(eng_set_hosts(n->g, "p", POT_ADD, hosts, &n->e));
	assert_true(eng_set_hosts(n->g, "p", POT_ADD, nohosts, &n->e) < 0);
	info = info_of(n, "p");
	assert_int_equal(info->nenv, 0);
	assert_int_equal(info->nhosts, 1);
	assert_string_equal(info->hosts[0], "10.0.0.1 db");
	pot_info_free(info);
	fails(eng_set_command(n->g, "p", "", &n->e), E_INVAL, "command is empty");
	fails(eng_set_command(n->g, "p", "echo 'open", &n->e), E_INVAL, "");
	done(eng_set_command(n->g, "p", "echo 'a b'", &n->e));
	done(eng_set_command(n->g, "p", NULL, &n->e));
	fails(eng_set_attribute(n->g, "p", "prunabel", "yes", &n->e), E_INVAL, "prunabel");
	hint_is("prunable");
	fails(eng_set_attribute(n->g, "p", "prunable", "perhaps", &n->e), E_INVAL, "perhaps");
	fails(eng_set_attribute(n->g, "p", "to-be-pruned", "yes", &n->e), E_PERM, "to-be-pruned");
	done(eng_set_attribute(n->g, "p", "prunable", "on", &n->e));
	done(eng_get_attribute(n->g, "p", "prunable", &value, &n->e));
	assert_string_equal(value, "YES");
	free(value);
	done(eng_get_attribute(n->g, "p", "to-be-pruned", &value, &n->e));
	assert_string_equal(value, "NO");
	free(value);
	fails(eng_get_attribute(n->g, "p", "no-such", &value, &n->e), E_INVAL, "no-such");
	fails(eng_set_command(n->g, "nobody", "true", &n->e), E_NOENT, "nobody");
}

static void
test_hook_files(void **state)
{
	struct node *n = *state;
	const char *script;

	done(create(n, "p", "b"));
	script = node_script(n, "plain", "true");
	assert_sys(chmod(script, 0644));
	fails(eng_set_hook(n->g, "p", "prestart", script, &n->e), E_INVAL, "not an executable file");
	hint_is("chmod +x");
	fails(eng_set_hook(n->g, "p", "prestart", n->path, &n->e), E_INVAL, "not an executable file");
	fails(eng_set_hook(n->g, "p", "prestart", "/no/such", &n->e), E_NOENT, "/no/such");
	fails(eng_set_hook(n->g, "p", "prestrat", script, &n->e), E_INVAL, "no hook 'prestrat'");
	hint_is("prestart, poststart, prestop or poststop");
	done(eng_set_hook(n->g, "p", "prestart", NULL, &n->e));
	/* A copy: what becomes of the file does not matter. */
	assert_sys(chmod(script, 0755));
	done(eng_set_hook(n->g, "p", "prestart", script, &n->e));
	assert_sys(unlink(script));
	assert_content(n->g->pots_fd, "p/hooks/prestart", "#!/bin/sh\ntrue\n");
}

static void
test_mounts(void **state)
{
	struct node *n = *state;
	struct pot_mount m = { .source = n->path, .target = "/mnt" };
	struct pot_info *info;

	node_pot(n, "p", "sleep 1000");
	done(eng_mount_in(n->g, "p", &m, &n->e));
	assert_true(eng_mount_in(n->g, "p", &m, &n->e) < 0);
	m.source = "/no/such";
	fails(eng_mount_in(n->g, "p", &m, &n->e), E_NOENT, "/no/such");
	m.source = "/dev/null";
	m.target = "/other";
	fails(eng_mount_in(n->g, "p", &m, &n->e), E_INVAL, "neither a directory nor a regular file");
	m.source = n->path;
	m.target = "relative";
	assert_true(eng_mount_in(n->g, "p", &m, &n->e) < 0);
	fails(eng_mount_out(n->g, "p", "/other", &n->e), E_NOENT, "/other");
	node_start(n, "p");
	m.target = "/other";
	m.read_only = true;
	done(eng_mount_in(n->g, "p", &m, &n->e));
	assert_int_equal(node_rec(n, "p").op, OP_NONE);
	info = info_of(n, "p");
	assert_int_equal(info->nmounts, 2);
	assert_true(info->mounts[1].read_only);
	pot_info_free(info);
	done(eng_mount_out(n->g, "p", "/mnt", &n->e));
	done(eng_mount_out(n->g, "p", "/other", &n->e));
	done(eng_stop(n->g, "p", 0, &n->e));
	info = info_of(n, "p");
	assert_int_equal(info->nmounts, 0);
	pot_info_free(info);
}

static void
test_bases(void **state)
{
	struct node *n = *state;
	AUTO_FINI(strv) struct strv users = STRV_INIT(10);

	done(create(n, "q", "b"));
	done(create(n, "p", "b"));
	done(clone(n, "c", "p", NULL, true));
	done(eng_base_users(n->g, "b", &users, &n->e));
	assert_names(&users, "c p q");
	done(eng_base_users(n->g, "other", &users, &n->e));
	assert_names(&users, "");
	fails(eng_base_destroy(n->g, "b", false, &n->e), E_BUSY, "base b is used by c, p, q");
	hint_is("-r");
	fails(eng_base_destroy(n->g, "other", false, &n->e), E_NOENT, "other does not exist");
	done(eng_base_destroy(n->g, "b", true, &n->e));
	assert_false(node_has_dir(n, "p") || node_has_dir(n, "q") || node_has_dir(n, "c"));
	assert_int_equal(eng_base_exists(n->g, "b", &n->e), 0);
}

static int
note_summary(void *arg, const struct pot_summary *s)
{
	strv_fmt(arg, "%s=%s", s->name, pot_state_name(s->state));
	return strcmp(s->name, "stop") == 0 ? 7 : 0;
}

static void
test_list(void **state)
{
	struct node *n = *state;
	AUTO_FINI(strv) struct strv v = STRV_INIT(10);

	done(eng_list(n->g, note_summary, &v, &n->e));
	assert_names(&v, "");
	node_pot(n, "z", "true");
	node_pot(n, "a", "sleep 1000");
	node_start(n, "a");
	assert_sys(mkdirat(n->g->pots_fd, "half", 0755));
	done(eng_list(n->g, note_summary, &v, &n->e));
	assert_names(&v, "a=running z=created");
	node_pot(n, "stop", "true");
	/* What the callback returns ends the walk and comes back. */
	assert_int_equal(eng_list(n->g, note_summary, &v, &n->e), 7);
	assert_names(&v, "a=running stop=created");
}

static void
test_copy(void **state)
{
	struct node *n = *state;
	char dir[96], file[96];

	done(create(n, "p", "b"));
	put(n->fd, "host-file", "from the host");
	snprintf(file, sizeof(file), "%s/host-file", n->path);
	snprintf(dir, sizeof(dir), "%s", n->path);
	done(eng_copy_in(n->g, "p", file, "/data", 0, &n->e));
	assert_in_pot(n, "p", "data/host-file", "from the host");
	done(eng_copy_in(n->g, "p", file, "/data/renamed", 0, &n->e));
	assert_in_pot(n, "p", "data/renamed", "from the host");
	fails(eng_copy_in(n->g, "p", file, "/no/such/dir", 0, &n->e), E_NOENT, "/no/such/dir");
	done(eng_copy_in(n->g, "p", file, "/no/such/dir", POT_COPY_PARENTS, &n->e));
	assert_in_pot(n, "p", "no/such/dir", "from the host");
	fails(eng_copy_in(n->g, "p", "/no/source", "/data", 0, &n->e), E_NOENT, "/no/source");
	done(eng_copy_out(n->g, "p", "/data/file", dir, 0, &n->e));
	assert_content(n->fd, "file", "from the base\n");
	snprintf(file, sizeof(file), "%s/out-name", n->path);
	done(eng_copy_out(n->g, "p", "/data", file, 0, &n->e));
	assert_content(n->fd, "out-name/file", "from the base\n");
	fails(eng_copy_out(n->g, "p", "/no/file", dir, 0, &n->e), E_NOENT, "/no/file");
	fails(eng_copy_out(n->g, "nobody", "/data", dir, 0, &n->e), E_NOENT, "nobody");
}

/* Links of the pot lead nowhere but into the pot. */
static void
test_copy_links(void **state)
{
	struct node *n = *state;
	char out[96], file[96], target[200];

	done(create(n, "p", "b"));
	snprintf(target, sizeof(target), "%s/storage/fake/pot.p/root/escape", n->root);
	assert_sys(symlink(n->path, target));
	put(n->fd, "secret", "of the host");
	snprintf(out, sizeof(out), "%s/got", n->path);
	snprintf(file, sizeof(file), "%s/secret", n->path);
	assert_true(eng_copy_out(n->g, "p", "/escape/secret", out, 0, &n->e) < 0);
	assert_false(is_there(n->fd, "got"));
	assert_sys(unlink(file));
	put(n->fd, "mine", "x");
	snprintf(file, sizeof(file), "%s/mine", n->path);
	(void)!eng_copy_in(n->g, "p", file, "/escape/secret", 0, &n->e);
	assert_false(is_there(n->fd, "secret"));
}

static void
test_deinit(void **state)
{
	struct node *n = *state;

	node_pot(n, "p", "sleep 1000");
	node_start(n, "p");
	fails(eng_deinit(n->g, false, &n->e), E_BUSY, "these pots run: p");
	hint_is("pot de-init -f");
	assert_int_equal(node_rec(n, "p").state, POT_RUNNING);
	done(eng_deinit(n->g, true, &n->e));
	assert_false(is_there(n->fd, "node"));
	eng_close(n->g);
	n->g = NULL;
	done(eng_open(&n->g, &(struct pot_open_args){ .root = n->root }, &n->e));
	fails(eng_exists(n->g, "p", &n->e), E_STATE, "no installation");
	hint_is("pot init");
	eng_close(n->g);
	n->g = NULL;
	assert_sys(mkdir(n->root, 0755));
}

static int
tests(void)
{
	const struct CMUnitTest all[] = {
		node_test(test_create),
		node_test(test_create_from),
		node_test(test_create_fails),
		node_test(test_clone),
		node_test(test_rename),
		node_test(test_running),
		node_test(test_prune),
		node_test(test_snapshots),
		node_test(test_settings),
		node_test(test_hook_files),
		node_test(test_mounts),
		node_test(test_bases),
		node_test(test_list),
		node_test(test_copy),
		node_test(test_copy_links),
		node_test(test_deinit),
	};

	return cmocka_run_group_tests(all, NULL, NULL);
}

int
main(int argc, char **argv)
{
	return node_main(argc, argv, tests);
}
