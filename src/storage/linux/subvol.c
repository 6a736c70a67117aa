/*
 * btrfs subvolumes: make, snapshot, delete with what is nested, look at.
 * Layout of names, crash safety and quotas are in btrfs.c and qgroup.c.
 * All state is in the file system; fds belong to the caller.
 */
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <linux/fs.h>
#include <linux/magic.h>

#include "base/auto.h"
#include "storage/linux/subvol.h"

#define NESTED_MAX (1u << 20)
#define DELETE_TRIES 8
#define SEARCH_BUF (128 * 1024) /* more than the largest node, so that each item fits */
#define FID_WITHOUT_PARENT 0x4d /* FILEID_BTRFS_WITHOUT_PARENT, linux/exportfs.h */

/* A subvolume below another: where its name stands. */
struct nested {
	uint64_t id, parent, dirid;
};
struct nested_list {
	struct nested *v;
	size_t n, cap;
};

/* struct btrfs_fid up to its field gen, which 0 leaves unchecked. */
struct btrfs_fid_head {
	uint64_t objectid, root;
	uint32_t gen;
} __attribute__((packed));

/* Called with each item; non-zero stops. */
typedef int item_fn(void *arg, const struct btrfs_ioctl_search_header *, const char *item);

int
subvol_on_btrfs(int fd, struct err *e)
{
	struct statfs sf;

	if (fstatfs(fd, &sf) < 0)
		return err_sys(e, "asking for the type of a file system");
	return sf.f_type == BTRFS_SUPER_MAGIC;
}

static int
copy_name(char *to, size_t size, const char *name, struct err *e)
{
	size_t n = strlen(name);

	if (n >= size)
		return err_set(e, E_INVAL, "btrfs: name '%.40s…' is too long", name);
	memcpy(to, name, n + 1);
	return 0;
}

int
subvol_create(int dirfd, const char *name, struct err *e)
{
	struct btrfs_ioctl_vol_args_v2 a = { 0 };
	int rc = copy_name(a.name, sizeof(a.name), name, e);

	if (rc < 0)
		return rc;
	if (ioctl(dirfd, BTRFS_IOC_SUBVOL_CREATE_V2, &a) < 0)
		return err_sys(e, "btrfs: making subvolume %s", name);
	return 0;
}

int
subvol_snapshot(int srcfd, int dirfd, const char *name, bool ro, struct err *e)
{
	struct btrfs_ioctl_vol_args_v2 a = { .fd = srcfd, .flags = ro ? BTRFS_SUBVOL_RDONLY : 0 };
	int rc = copy_name(a.name, sizeof(a.name), name, e);

	if (rc < 0)
		return rc;
	if (ioctl(dirfd, BTRFS_IOC_SNAP_CREATE_V2, &a) < 0)
		return err_sys(e, "btrfs: making snapshot %s", name);
	return 0;
}

int
subvol_get_info(int fd, struct subvol_info *info, struct err *e)
{
	static const uint8_t none[BTRFS_UUID_SIZE];
	struct btrfs_ioctl_get_subvol_info_args a = { 0 };

	if (ioctl(fd, BTRFS_IOC_GET_SUBVOL_INFO, &a) < 0)
		return err_sys(e, "btrfs: reading about a subvolume");
	*info = (struct subvol_info){
		.id = a.treeid,
		.otransid = a.otransid,
		.is_snapshot = memcmp(a.parent_uuid, none, sizeof(none)) != 0,
		.created = (int64_t)a.otime.sec * 1000000000 + a.otime.nsec,
	};
	memcpy(info->identity, memcmp(a.received_uuid, none, sizeof(none)) != 0 ? a.received_uuid : a.uuid,
	    sizeof(info->identity));
	return 0;
}

int
subvol_commit(int fd, struct err *e)
{
	uint64_t transid = 0;

	if (ioctl(fd, BTRFS_IOC_START_SYNC, &transid) < 0 || ioctl(fd, BTRFS_IOC_WAIT_SYNC, &transid) < 0)
		return err_sys(e, "btrfs: writing changes to disk");
	return 0;
}

int
subvol_send(int fd, uint64_t parent, int out, struct err *e)
{
	struct btrfs_ioctl_send_args a = {
		.send_fd = out,
		.clone_sources_count = parent != 0,
		.clone_sources = &(__u64){ parent },
		.parent_root = parent,
	};

	if (ioctl(fd, BTRFS_IOC_SEND, &a) < 0)
		return err_sys(e, "btrfs: sending a snapshot");
	return 0;
}

int
subvol_set_received(int fd, const uint8_t uuid[static SUBVOL_UUID_LEN], uint64_t transid, struct err *e)
{
	struct btrfs_ioctl_received_subvol_args a = { .stransid = transid };

	memcpy(a.uuid, uuid, SUBVOL_UUID_LEN);
	if (ioctl(fd, BTRFS_IOC_SET_RECEIVED_SUBVOL, &a) < 0)
		return err_sys(e, "btrfs: noting what was received");
	return 0;
}

/* Moves the start of a search behind the key of the last item seen; false at the very end. */
static bool
key_after(struct btrfs_ioctl_search_key *k, const struct btrfs_ioctl_search_header *h)
{
	k->min_objectid = h->objectid;
	k->min_type = h->type;
	k->min_offset = h->offset;
	if (++k->min_offset == 0 && ++k->min_type == 256) {
		k->min_type = 0;
		k->min_objectid++;
		return k->min_objectid != 0;
	}
	return true;
}

static int
search_buffer(
    struct btrfs_ioctl_search_key *k, const char *p, uint64_t size, item_fn *fn, void *arg, bool *more)
{
	struct btrfs_ioctl_search_header h = { 0 };
	uint64_t pos = 0;
	int rc;

	for (uint32_t i = 0; i < k->nr_items; i++) {
		if (size - pos < sizeof(h))
			break;
		memcpy(&h, p + pos, sizeof(h));
		pos += sizeof(h);
		if (h.len > size - pos)
			break;
		rc = fn(arg, &h, p + pos);
		if (rc != 0)
			return rc;
		pos += h.len;
	}
	*more = k->nr_items > 0 && key_after(k, &h);
	return 0;
}

static int
tree_search(int fd, struct btrfs_ioctl_search_key key, item_fn *fn, void *arg, struct err *e)
{
	AUTO_FREE struct btrfs_ioctl_search_args_v2 *a = malloc(sizeof(*a) + SEARCH_BUF);
	bool more = true;
	int rc;

	if (a == NULL)
		return err_nomem(e);
	while (more) {
		key.nr_items = UINT32_MAX;
		a->key = key;
		a->buf_size = SEARCH_BUF;
		if (ioctl(fd, BTRFS_IOC_TREE_SEARCH_V2, a) < 0)
			return err_sys(e, "btrfs: reading tree %llu", (unsigned long long)key.tree_id);
		key.nr_items = a->key.nr_items;
		rc = search_buffer(&key, (const char *)a->buf, SEARCH_BUF, fn, arg, &more);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int
nested_add(struct nested_list *l, struct nested item)
{
	size_t cap = l->cap == 0 ? 16 : l->cap * 2;
	void *p;

	if (l->n == NESTED_MAX)
		return -E_LIMIT;
	if (l->n == l->cap) {
		p = reallocarray(l->v, cap, sizeof(*l->v));
		if (p == NULL)
			return -E_NOMEM;
		l->v = p;
		l->cap = cap;
	}
	l->v[l->n++] = item;
	return 0;
}

static int
add_root_ref(void *arg, const struct btrfs_ioctl_search_header *h, const char *item)
{
	struct btrfs_root_ref ref;

	if (h->type != BTRFS_ROOT_REF_KEY || h->len < sizeof(ref))
		return 0;
	memcpy(&ref, item, sizeof(ref));
	return nested_add(
	    arg, (struct nested){ .id = h->offset, .parent = h->objectid, .dirid = le64toh(ref.dirid) });
}

/* All subvolumes below id, each after the one that holds it. */
static int
find_nested(int fd, uint64_t id, struct nested_list *l, struct err *e)
{
	struct btrfs_ioctl_search_key key = {
		.tree_id = BTRFS_ROOT_TREE_OBJECTID,
		.min_type = BTRFS_ROOT_REF_KEY,
		.max_type = BTRFS_ROOT_REF_KEY,
		.max_offset = UINT64_MAX,
		.max_transid = UINT64_MAX,
	};
	size_t next = 0;
	int rc;

	for (;;) {
		key.min_objectid = key.max_objectid = id;
		rc = tree_search(fd, key, add_root_ref, l, e);
		if (rc == -E_LIMIT)
			return err_set(e, E_LIMIT, "btrfs: more than %u nested subvolumes", NESTED_MAX);
		if (rc == -E_NOMEM)
			return err_nomem(e);
		if (rc < 0)
			return rc;
		if (next == l->n)
			return 0;
		id = l->v[next++].id;
	}
}

/* Opens a directory by its number in the tree of a subvolume; the path does not matter. */
static int
open_by_id(int fd, uint64_t root, uint64_t objectid)
{
	union {
		struct file_handle h;
		char space[offsetof(struct file_handle, f_handle) + sizeof(struct btrfs_fid_head)];
	} u = { 0 };
	struct btrfs_fid_head fid = { objectid, root, 0 };

	u.h.handle_bytes = sizeof(fid);
	u.h.handle_type = FID_WITHOUT_PARENT;
	memcpy(u.space + offsetof(struct file_handle, f_handle), &fid, sizeof(fid));
	return open_by_handle_at(fd, &u.h, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Takes off what the owner of a subvolume or directory can set against removal. */
static void
clear_guards(int fd, bool is_subvol)
{
	uint64_t flags = 0;
	int attr = 0;

	if (fd < 0)
		return;
	if (is_subvol && ioctl(fd, BTRFS_IOC_SUBVOL_GETFLAGS, &flags) == 0 &&
	    (flags & BTRFS_SUBVOL_RDONLY) != 0) {
		flags &= ~(uint64_t)BTRFS_SUBVOL_RDONLY;
		(void)ioctl(fd, BTRFS_IOC_SUBVOL_SETFLAGS, &flags);
	}
	if (ioctl(fd, FS_IOC_GETFLAGS, &attr) == 0 && (attr & (FS_IMMUTABLE_FL | FS_APPEND_FL)) != 0) {
		attr &= ~(FS_IMMUTABLE_FL | FS_APPEND_FL);
		(void)ioctl(fd, FS_IOC_SETFLAGS, &attr);
	}
}

static int
destroy_by_id(int fd, const struct nested *n)
{
	struct btrfs_ioctl_vol_args_v2 a = { .flags = BTRFS_SUBVOL_SPEC_BY_ID, .subvolid = n->id };
	AUTO(fd) int holder = -1, dir = -1, self = -1;

	if (ioctl(fd, BTRFS_IOC_SNAP_DESTROY_V2, &a) == 0 || errno == ENOENT)
		return 0;
	if (errno != EROFS && errno != EPERM)
		return -1;
	holder = open_by_id(fd, n->parent, BTRFS_FIRST_FREE_OBJECTID);
	clear_guards(holder, true);
	dir = open_by_id(fd, n->parent, n->dirid);
	clear_guards(dir, false);
	self = open_by_id(fd, n->id, BTRFS_FIRST_FREE_OBJECTID);
	clear_guards(self, true);
	return ioctl(fd, BTRFS_IOC_SNAP_DESTROY_V2, &a) == 0 || errno == ENOENT ? 0 : -1;
}

static int
delete_nested(int fd, struct err *e)
{
	struct nested_list l = { 0 };
	AUTO_FREE void *owner = NULL;
	struct subvol_info info;
	int rc = subvol_get_info(fd, &info, e);

	if (rc < 0)
		return rc;
	rc = find_nested(fd, info.id, &l, e);
	owner = l.v;
	if (rc < 0)
		return rc;
	for (size_t i = l.n; i > 0; i--)
		if (destroy_by_id(fd, &l.v[i - 1]) < 0)
			return err_sys(
			    e, "btrfs: deleting nested subvolume %llu", (unsigned long long)l.v[i - 1].id);
	return 0;
}

int
subvol_delete(int dirfd, const char *name, struct err *e)
{
	struct btrfs_ioctl_vol_args a = { 0 };
	AUTO(fd) int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int rc = copy_name(a.name, sizeof(a.name), name, e);

	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, "btrfs: opening %s", name);
	if (rc < 0)
		return rc;
	/* Mostly nothing is nested, so try first; a writer that still runs may nest again. */
	for (int i = 0; i < DELETE_TRIES; i++) {
		if (ioctl(dirfd, BTRFS_IOC_SNAP_DESTROY, &a) == 0 || errno == ENOENT)
			return 0;
		if (errno == EPERM)
			clear_guards(fd, false);
		else if (errno != ENOTEMPTY)
			break;
		rc = delete_nested(fd, e);
		if (rc < 0)
			return rc;
	}
	return err_sys(e, "btrfs: deleting subvolume %s", name);
}

struct extent_sum {
	uint64_t since, own, shared;
};

/* Bytes on disk that stand behind the part of an extent that a file shows. */
static uint64_t
extent_bytes(const struct btrfs_file_extent_item *x)
{
	uint64_t disk = le64toh(x->disk_num_bytes), ram = le64toh(x->ram_bytes), n = le64toh(x->num_bytes);

	if (x->disk_bytenr == 0)
		return 0;
	if (x->compression == 0 || ram == 0)
		return n;
	return (uint64_t)((double)disk * (double)n / (double)ram);
}

static int
add_extent(void *arg, const struct btrfs_ioctl_search_header *h, const char *item)
{
	struct extent_sum *sum = arg;
	struct btrfs_file_extent_item x = { 0 };
	size_t fixed = offsetof(struct btrfs_file_extent_item, disk_bytenr);
	uint64_t bytes;

	if (h->type != BTRFS_EXTENT_DATA_KEY || h->len < fixed)
		return 0;
	memcpy(&x, item, h->len < sizeof(x) ? h->len : sizeof(x));
	bytes = x.type == BTRFS_FILE_EXTENT_INLINE ? h->len - fixed : extent_bytes(&x);
	if (le64toh(x.generation) > sum->since)
		sum->own += bytes;
	else
		sum->shared += bytes;
	return 0;
}

int
subvol_extents(int fd, uint64_t id, uint64_t since, uint64_t *own, uint64_t *shared, struct err *e)
{
	struct btrfs_ioctl_search_key key = {
		.tree_id = id,
		.min_objectid = BTRFS_FIRST_FREE_OBJECTID,
		.max_objectid = BTRFS_LAST_FREE_OBJECTID,
		.max_type = 255,
		.max_offset = UINT64_MAX,
		.max_transid = UINT64_MAX,
	};
	struct extent_sum sum = { .since = since };
	int rc = tree_search(fd, key, add_extent, &sum, e);

	if (rc < 0)
		return rc;
	*own = sum.own;
	*shared = sum.shared;
	return 0;
}
