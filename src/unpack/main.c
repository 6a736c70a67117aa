/*
 * pot-unpack: reads a tar from stdin and unpacks it below one directory. A
 * program of its own so that a hostile archive is parsed where nothing else
 * is: the process shuts itself in (sandbox.h) before it looks at the data.
 *
 *   pot-unpack [--max-size BYTES] [--max-entries N] [--progress FD] [--layer | --apart | --merge]
 *              [--owner UID:GID] [--digest] [--probe] --dirfd N | DIR
 *
 * --layer: the archive is a layer of an image: it takes away and replaces what
 * stands in the directory, as image-spec (layer.md) says. --apart: as well, but
 * what it stands on comes later: stdout gets what is to be done then
 * (notes.h), and the status is 6 where that cannot be told. Neither waits for
 * the disk. --merge: it replaces
 * as well, but no name in it has a meaning of its own. --owner: everything
 * belongs to them, whatever the archive says. --digest: at the end stdout gets
 * the line "sha256:HEX BYTES": of the uncompressed archive, and the sum of its
 * files' sizes. --probe: nothing is unpacked, the status says whether the
 * first entry can be read.
 *
 * stderr: one line "ENTRY: why" when it fails, else lines "note: …". The
 * progress fd gets lines with the number of bytes read so far. A failure
 * leaves what was unpacked until then: the caller removes the directory.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <iconv.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <openssl/evp.h>

#include "base/auto.h"
#include "base/text.h"
#include "unpack/place.h"
#include "unpack/sandbox.h"
#include "unpack/stream.h"

enum {
	EXIT_DONE = 0,
	EXIT_ARCHIVE = 1,
	EXIT_WRONG_USE = 2,
	EXIT_LIMIT = 3,
	EXIT_FULL = 4,
	EXIT_SYSTEM = 5,
	EXIT_APART = 6
};

#define DEFAULT_MAX_SIZE (UINT64_C(64) << 30)
#define DEFAULT_MAX_ENTRIES UINT64_C(10000000)
#define HOLE_MIN ((size_t)4096)
/* Where the fds stand once all others are closed. */
enum { FD_ROOT = 3, FD_PROGRESS = 4, FD_REST = 5 };

struct unpack {
	uint64_t max_size, max_entries;
	int dirfd, progress;
	uint64_t size, entries; /* so far; size is logical: holes count */
	unsigned long long devices, others;
	struct stream stream;
	struct place place;
	bool layer, apart, merge, digest, probe, owned;
	uid_t uid; /* owned: everybody's owner */
	gid_t gid;
	EVP_MD_CTX *md;
	struct own_paths own;
	struct notes notes;
};

/* Long enough to be worth a hole, and nothing but zeros? */
static bool
is_zero(const char *p, size_t len)
{
	return len >= HOLE_MIN && p[0] == 0 && p[len - 1] == 0 && memcmp(p, p + 1, len - 1) == 0;
}

/* Copies the entry's data to fd, or reads past it when fd is -1. */
static int
copy_data(struct unpack *u, int fd, int64_t size, struct err *e)
{
	int64_t off, end = 0, wrote = 0;
	const void *data;
	size_t len;
	int r;

	while ((r = stream_data(&u->stream, &data, &len, &off, e)) == 1) {
		if (off < end || off > size || len > (uint64_t)(size - off))
			return err_set(e, E_CORRUPT, "its data does not fit its size");
		end = off + (int64_t)len;
		if (fd >= 0 && is_zero(data, len))
			continue; /* a hole */
		for (const char *p = data; fd >= 0 && len > 0;) {
			ssize_t n = pwrite(fd, p, len, off);

			if (n < 0 && errno == EINTR)
				continue;
			if (n < 0)
				return err_sys(e, "writing");
			p += n;
			off += n;
			len -= (size_t)n;
		}
		wrote = off;
	}
	/* Its end is a hole. */
	if (r == 0 && fd >= 0 && size != wrote && ftruncate(fd, size) != 0)
		return err_sys(e, "setting its size");
	return r;
}

static int
unpack_file(
    struct unpack *u, const char *path, const struct meta *m, struct archive_entry *entry, struct err *e)
{
	int64_t size = archive_entry_size(entry);
	AUTO(fd) int fd = -1;
	int r;

	if (size < 0)
		return err_set(e, E_CORRUPT, "its size is negative");
	if ((uint64_t)size > u->max_size - u->size) {
		char max[TEXT_SIZE_LEN];

		text_size_print(u->max_size, max);
		return err_set(e, E_LIMIT, "archive expands to more than %s", max);
	}
	u->size += (uint64_t)size;
	if ((fd = place_file(&u->place, path, e)) < 0)
		return fd;
	if ((r = copy_data(u, fd, size, e)) < 0)
		return r;
	return meta_apply(fd, m, entry, &u->place.dropped_xattrs, e);
}

static int
unpack_hardlink(struct unpack *u, const char *path, const char *link, struct err *e)
{
	char target[ENTRY_PATH_MAX];
	int r;

	if ((r = entry_normalize(link, target, e)) < 0)
		return err_wrap(e, "a hard link to");
	if (target[0] == '\0')
		return err_set(e, E_CORRUPT, "a hard link to the root");
	return place_hardlink(&u->place, path, target, e);
}

static int
unpack_object(struct unpack *u, const char *path, struct archive_entry *entry, struct err *e)
{
	const char *link = archive_entry_hardlink(entry);
	struct meta m;
	int r;

	if ((r = meta_read(entry, &m, e)) < 0)
		return r;
	if (u->owned) {
		m.uid = u->uid;
		m.gid = u->gid;
	}
	if (path[0] == '\0' && (link != NULL || archive_entry_filetype(entry) != AE_IFDIR))
		return err_set(e, E_CORRUPT, "the root is not a directory");
	if (link != NULL)
		return unpack_hardlink(u, path, link, e);
	switch (archive_entry_filetype(entry)) {
	case AE_IFREG:
		return unpack_file(u, path, &m, entry, e);
	case AE_IFDIR:
		return place_dir(&u->place, path, &m, entry, e);
	case AE_IFLNK:
		link = archive_entry_symlink(entry);
		return place_symlink(&u->place, path, link != NULL ? link : "", &m, e);
	case AE_IFIFO:
		return place_fifo(&u->place, path, &m, e);
	case AE_IFCHR:
	case AE_IFBLK:
		u->devices++; /* a pot has its own /dev */
		return 0;
	default:
		u->others++;
		return 0;
	}
}

static int
unpack_entry(struct unpack *u, struct archive_entry *entry, struct err *e)
{
	const char *name = archive_entry_pathname(entry), *hidden;
	char path[ENTRY_PATH_MAX];
	enum whiteout what = WHITEOUT_NONE;
	int r;

	if (name == NULL)
		return err_set(e, E_CORRUPT, "an entry without a name");
	if ((r = entry_normalize(name, path, e)) < 0)
		return r;
	if (u->layer && (r = whiteout_parse(path, &what, &hidden, e)) < 0)
		return r;
	if (what != WHITEOUT_NONE)
		return place_whiteout(&u->place, path, what, hidden, e);
	if ((r = unpack_object(u, path, entry, e)) == 0 && (u->layer || u->merge))
		own_paths_add(&u->own, path);
	return r;
}

static int
name_entry(struct archive_entry *entry, struct err *e)
{
	const char *name = archive_entry_pathname(entry);
	AUTO_FINI(buf) struct buf b = BUF_INIT(1024);

	if (name == NULL)
		return -e->code;
	text_escape(name, strnlen(name, 200), &b);
	return err_wrap(e, "%s%s", buf_cstr(&b), strnlen(name, 201) > 200 ? "..." : "");
}

static int
unpack_all(struct unpack *u, struct err *e)
{
	struct archive_entry *entry;
	int r;

	if ((r = stream_open(&u->stream, e)) < 0)
		return r;
	if (u->probe) {
		r = stream_next(&u->stream, &entry, e);
		return r == 0 ? err_set(e, E_CORRUPT, "an archive of nothing") : r < 0 ? r : 0;
	}
	/* Of what a root without an entry looks like, only lower layers know. */
	if (u->apart && (r = note_add(&u->notes, NOTE_IMPLIED, "", e)) < 0)
		return r;
	while ((r = stream_next(&u->stream, &entry, e)) == 1) {
		if (++u->entries > u->max_entries)
			return err_set(e, E_LIMIT, "archive has more than %llu entries",
			    (unsigned long long)u->max_entries);
		if ((r = unpack_entry(u, entry, e)) < 0 || (r = copy_data(u, -1, INT64_MAX, e)) < 0)
			return name_entry(entry, e);
	}
	if (r < 0 || (r = stream_end(&u->stream, e)) < 0 || (r = place_finish(&u->place, e)) < 0)
		return r;
	/* A layer is made durable by whoever makes it count. */
	return u->layer ? 0 : sandbox_sync(u->place.root, e);
}

static int
parse_fd(const char *text, const char *what, int *fd, struct err *e)
{
	uint64_t v;
	int r;

	if ((r = text_uint(text, 0, 1u << 20, &v, what, e)) < 0)
		return r;
	*fd = (int)v;
	return 0;
}

/* "UID:GID" */
static int
parse_owner(char *text, struct unpack *u, struct err *e)
{
	char *colon = strchr(text, ':');
	uint64_t uid, gid;
	int r;

	if (colon == NULL)
		return -E_USAGE;
	*colon = '\0';
	if ((r = text_uint(text, 0, UINT32_MAX - 1, &uid, "--owner", e)) < 0 ||
	    (r = text_uint(colon + 1, 0, UINT32_MAX - 1, &gid, "--owner", e)) < 0)
		return r;
	u->uid = (uid_t)uid;
	u->gid = (gid_t)gid;
	u->owned = true;
	return 0;
}

static int
parse_args(int argc, char **argv, struct unpack *u, struct err *e)
{
	static const struct option options[] = { { "max-size", required_argument, NULL, 's' },
		{ "max-entries", required_argument, NULL, 'n' }, { "progress", required_argument, NULL, 'p' },
		{ "dirfd", required_argument, NULL, 'd' }, { "layer", no_argument, NULL, 'l' },
		{ "apart", no_argument, NULL, 'a' }, { "merge", no_argument, NULL, 'g' },
		{ "owner", required_argument, NULL, 'o' }, { "probe", no_argument, NULL, 'b' },
		{ "digest", no_argument, NULL, 'm' }, { NULL, 0, NULL, 0 } };
	int c, r = 0;

	opterr = 0;
	while (r == 0 && (c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 's')
			r = text_uint(optarg, 1, INT64_MAX, &u->max_size, "--max-size", e);
		else if (c == 'n')
			r = text_uint(optarg, 1, INT64_MAX, &u->max_entries, "--max-entries", e);
		else if (c == 'p')
			r = parse_fd(optarg, "--progress", &u->progress, e);
		else if (c == 'd')
			r = parse_fd(optarg, "--dirfd", &u->dirfd, e);
		else if (c == 'a')
			u->layer = u->apart = true;
		else if (c == 'l')
			u->layer = true;
		else if (c == 'm')
			u->digest = true;
		else if (c == 'g')
			u->merge = true;
		else if (c == 'b')
			u->probe = true;
		else if (c == 'o')
			r = parse_owner(optarg, u, e);
		else
			r = -E_USAGE;
	}
	if (r == 0 && u->dirfd < 0 && optind + 1 == argc) {
		if ((u->dirfd = open(argv[optind++], O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
			return err_sys(e, "opening %s", argv[optind - 1]);
	}
	if (r == 0 && (u->dirfd < 0 || optind != argc || (u->layer && u->merge)))
		r = -E_USAGE;
	if (r == -E_USAGE)
		return err_set(e, E_USAGE,
		    "usage: pot-unpack [--max-size BYTES] [--max-entries N] [--progress FD] "
		    "[--layer | --merge] [--owner UID:GID] [--digest] [--probe] --dirfd N | DIR");
	return r;
}

/* The root's fd becomes FD_ROOT, progress FD_PROGRESS (or stays 1 or 2), all above are closed. */
static int
settle_fds(struct unpack *u, struct err *e)
{
	AUTO(fd) int root = fcntl(u->dirfd, F_DUPFD_CLOEXEC, FD_REST);
	AUTO(fd) int progress = u->progress > 2 ? fcntl(u->progress, F_DUPFD_CLOEXEC, FD_REST) : -1;
	struct stat st;

	if (root < 0 || (u->progress > 2 && progress < 0))
		return err_sys(e, "the fds given");
	if (fstat(STDIN_FILENO, &st) != 0 || S_ISDIR(st.st_mode))
		return err_set(e, E_INVAL, "standard input is no archive");
	if (dup2(root, FD_ROOT) < 0 || fcntl(FD_ROOT, F_SETFD, FD_CLOEXEC) != 0)
		return err_sys(e, "moving fds");
	if (progress >= 0 &&
	    (dup2(progress, FD_PROGRESS) < 0 || fcntl(FD_PROGRESS, F_SETFD, FD_CLOEXEC) != 0))
		return err_sys(e, "moving fds");
	root = -1;
	progress = progress >= 0 ? -1 : FD_PROGRESS;
	if (close_range(u->progress > 2 ? FD_REST : FD_PROGRESS, ~0u, 0) != 0)
		for (long fd = sysconf(_SC_OPEN_MAX); fd-- > (u->progress > 2 ? FD_REST : FD_PROGRESS);)
			close((int)fd);
	progress = -1;
	u->dirfd = FD_ROOT;
	u->progress = u->progress > 2 ? FD_PROGRESS : u->progress;
	return 0;
}

/*
 * Names are bytes; UTF-8 keeps libarchive from converting them. Loaded now:
 * later the files of the C library would be sought in the hostile root.
 */
static void
load_locale(void)
{
	iconv_t cd;

	if (setlocale(LC_CTYPE, "C.UTF-8") == NULL)
		setlocale(LC_CTYPE, "en_US.UTF-8");
	if ((cd = iconv_open("UTF-8", "UTF-8")) != (iconv_t)-1)
		iconv_close(cd);
}

/*
 * The parent may have died before we asked to die with it: then nobody reads
 * what we say. (A file or a terminal is never in error.)
 */
static bool
is_orphan(const struct unpack *u)
{
	struct pollfd p[] = { { STDERR_FILENO, 0, 0 }, { u->progress, 0, 0 } };

	return poll(p, 2, 0) > 0 && ((p[0].revents | p[1].revents) & POLLERR) != 0;
}

static void
add_digest(void *arg, const void *data, size_t n)
{
	/* Cannot fail: the algorithm needs nothing but the memory that it has. */
	(void)EVP_DigestUpdate(arg, data, n);
}

/* libcrypto reads its configuration and its modules now: later there is no way to a file. */
static int
begin_digest(struct unpack *u, struct err *e)
{
	if (!u->digest)
		return 0;
	if ((u->md = EVP_MD_CTX_new()) == NULL || EVP_DigestInit_ex(u->md, EVP_sha256(), NULL) != 1)
		return err_set(e, E_NOTSUP, "libcrypto lacks sha256");
	u->stream.tap = add_digest;
	u->stream.tap_arg = u->md;
	return 0;
}

static int
tell_digest(struct unpack *u, struct err *e)
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned int n = 0;
	char hex[2 * EVP_MAX_MD_SIZE + 1] = "";

	if (!u->digest)
		return 0;
	if (EVP_DigestFinal_ex(u->md, sum, &n) != 1)
		return err_set(e, E_SYS, "libcrypto refused");
	for (unsigned int i = 0; i < n; i++)
		snprintf(hex + 2 * i, 3, "%02x", sum[i]);
	if (dprintf(STDOUT_FILENO, "sha256:%s %llu\n", hex, (unsigned long long)u->size) < 0)
		return err_sys(e, "telling the digest");
	return 0;
}

static int
run(struct unpack *u, int argc, char **argv, struct err *e)
{
	uint64_t memory;
	int r;

	if ((r = sandbox_begin(e)) < 0 || (r = parse_args(argc, argv, u, e)) < 0 ||
	    (r = settle_fds(u, e)) < 0)
		return r;
	if (is_orphan(u))
		return err_set(e, E_INTR, "nobody waits for the result");
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	umask(0);
	load_locale();
	stream_init(&u->stream, STDIN_FILENO, u->progress, u->max_size);
	u->notes.fd = STDOUT_FILENO;
	place_init(&u->place, u->dirfd, u->layer || u->merge ? &u->own : NULL, u->apart ? &u->notes : NULL);
	if ((r = own_paths_init(&u->own, e)) < 0 || (r = begin_digest(u, e)) < 0 ||
	    (r = stream_peek(&u->stream, &memory, e)) < 0 ||
	    (r = sandbox_enter(u->dirfd, memory, u->max_size, e)) < 0 || (r = unpack_all(u, e)) < 0)
		return r;
	if (u->apart &&
	    ((r = note_add(&u->notes, NOTE_DIGEST, "", e)) < 0 || (r = notes_flush(&u->notes, e)) < 0))
		return r;
	return tell_digest(u, e);
}

static int
exit_status(int r)
{
	switch (-r) {
	case E_OK:
		return EXIT_DONE;
	case E_USAGE:
		return EXIT_WRONG_USE;
	case E_CORRUPT:
	case E_INVAL:
	case E_NOENT:
		return EXIT_ARCHIVE;
	case E_LIMIT:
		return EXIT_LIMIT;
	case E_NOSPC:
		return EXIT_FULL;
	case E_STATE:
		return EXIT_APART;
	default:
		return EXIT_SYSTEM;
	}
}

static void
tell_note(unsigned long long n, const char *what)
{
	if (n > 0)
		dprintf(STDERR_FILENO, "note: %llu %s\n", n, what);
}

int
main(int argc, char **argv)
{
	static struct unpack u = {
		.max_size = DEFAULT_MAX_SIZE, .max_entries = DEFAULT_MAX_ENTRIES, .dirfd = -1, .progress = -1
	};
	struct err e = ERR_INIT;
	int r = run(&u, argc, argv, &e);

	if (r < 0) {
		dprintf(STDERR_FILENO, "%s\n", e.msg);
	} else {
		tell_note(u.devices, "device files left out: a pot has its own /dev");
		tell_note(u.others, "entries of unknown type left out");
		tell_note(u.place.dropped_xattrs, "extended attributes left out");
		tell_note(u.place.untimed, "directories did not keep their time");
	}
	stream_fini(&u.stream);
	place_fini(&u.place);
	own_paths_fini(&u.own);
	EVP_MD_CTX_free(u.md);
	/* Not exit(3): there is nothing to flush, and exit handlers of libraries have no place here. */
	_exit(exit_status(r));
}
