/*
 * The file of credentials. Read whole, written atomically under a lock;
 * passwords stand in buffers that are wiped. What other programs keep in such
 * a file is kept, what is not understood is passed over.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>

#include "base/base64.h"
#include "base/file.h"
#include "image/auth.h"
#include "image/credentials.h"
#include "image/manifest.h"

#define FILE_MAX (1024 * 1024)
#define LOCK_MS 10000
#define HUB "https://index.docker.io/v1/"

void
credential_init(struct credential *c)
{
	buf_init(&c->user, CRED_PART_MAX);
	buf_init(&c->password, CRED_PART_MAX);
	c->realm[0] = '\0';
}

void
credential_fini(struct credential *c)
{
	buf_fini(&c->user);
	buf_fini(&c->password);
}

static void
auto_json(json_t **j)
{
	json_decref(*j);
}
#define AUTO_JSON __attribute__((cleanup(auto_json)))

/* NULL in *out: there is no such file. */
static int
read_fd(int fd, const char *name, json_t **out, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(FILE_MAX);
	int rc;

	if ((rc = fd_read_all(fd, &text, e)) < 0 ||
	    (rc = img_json_parse(buf_cstr(&text), text.len, FILE_MAX, name, out, e)) < 0)
		return rc;
	if (!json_is_object(*out))
		return err_set(e, E_CORRUPT, "%s: not an object", name);
	return 0;
}

static int
read_own(int rootfd, json_t **out, struct err *e)
{
	AUTO(fd)
	int fd = openat(rootfd, CRED_DIR "/" CRED_FILE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	*out = NULL;
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, "%s", CRED_FILE);
	if (fstat(fd, &st) < 0)
		return err_sys(e, "%s", CRED_FILE);
	if (!S_ISREG(st.st_mode))
		return err_set(e, E_INVAL, "%s is not a file", CRED_FILE);
	if ((st.st_mode & 077) != 0) {
		err_set(e, E_PERM, "%s holds passwords and others may read it (mode %04o)", CRED_FILE,
		    (unsigned)st.st_mode & 07777);
		return err_hint(e, "change those passwords, then chmod 600 it");
	}
	return read_fd(fd, CRED_FILE, out, e);
}

static int
read_extra(const char *path, json_t **out, struct err *e)
{
	AUTO(fd) int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	*out = NULL;
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, "%s", path);
	return read_fd(fd, path, out, e);
}

/* The host's entry under each of the names that programs give it. */
static const json_t *
entry(const json_t *file, const char *host)
{
	const json_t *auths = json_object_get(file, "auths"), *one = json_object_get(auths, host);
	AUTO_FINI(buf) struct buf url = BUF_INIT(1024);

	if (one == NULL) {
		buf_fmt(&url, "https://%s", host);
		one = json_object_get(auths, buf_cstr(&url));
	}
	if (one == NULL && strcmp(host, "docker.io") == 0)
		one = json_object_get(auths, HUB);
	return one;
}

/* 1: user and password were in it. */
static int
take_entry(const json_t *one, const char *host, struct credential *c, struct err *e)
{
	const char *auth = json_string_value(json_object_get(one, "auth"));
	const char *realm = json_string_value(json_object_get(one, "io.pot.realm"));
	char plain[2 * CRED_PART_MAX + 2], *colon;
	ssize_t n;
	int rc;

	if (auth == NULL || auth[0] == '\0')
		return 0;
	n = base64_decode(auth, strlen(auth), plain, sizeof(plain) - 1);
	if (n < 0)
		return err_set(e, E_CORRUPT, "the credentials of %s are damaged", host);
	plain[n] = '\0';
	colon = strchr(plain, ':');
	if (colon != NULL) {
		buf_reset(&c->user);
		buf_add(&c->user, plain, (size_t)(colon - plain));
		buf_reset(&c->password);
		buf_str(&c->password, colon + 1);
	}
	explicit_bzero(plain, sizeof(plain));
	if (colon == NULL)
		return err_set(e, E_CORRUPT, "the credentials of %s are damaged", host);
	snprintf(c->realm, sizeof(c->realm), "%s", realm != NULL ? realm : "");
	if ((rc = buf_check(&c->user, "user", e)) < 0 || (rc = buf_check(&c->password, "password", e)) < 0)
		return rc;
	return 1;
}

int
cred_get(int rootfd, const char *extra, const char *host, struct credential *c, struct err *e)
{
	AUTO_JSON json_t *file = NULL, *own = NULL;
	int rc;

	if (extra != NULL && extra[0] != '\0') {
		if ((rc = read_extra(extra, &file, e)) < 0 ||
		    (rc = take_entry(entry(file, host), host, c, e)) != 0)
			return rc;
	}
	if ((rc = read_own(rootfd, &own, e)) < 0)
		return rc;
	return take_entry(entry(own, host), host, c, e);
}

static int
write_own(int dir, json_t *file, struct err *e)
{
	AUTO_FREE char *text = json_dumps(file, JSON_INDENT(2) | JSON_SORT_KEYS);
	int rc;

	if (text == NULL)
		return err_nomem(e);
	rc = file_write_atomic(dir, CRED_FILE, 0600, text, strlen(text), e);
	explicit_bzero(text, strlen(text));
	return rc;
}

/* The file as it is, nobody else changing it until *lock is closed. *file NULL: there is none yet. */
static int
open_own(int rootfd, int *dir, int *lock, json_t **file, struct err *e)
{
	if ((*dir = dir_make(rootfd, CRED_DIR, 0700, e)) < 0)
		return *dir;
	if ((*lock = lock_file(*dir, "." CRED_FILE ".lock", true, LOCK_MS, e)) < 0)
		return *lock;
	return read_own(rootfd, file, e);
}

static json_t *
make_entry(const struct credential *c)
{
	AUTO_FINI(buf) struct buf auth = BUF_INIT(4 * CRED_PART_MAX);
	json_t *one = json_object();

	auth_basic(buf_cstr(&c->user), buf_cstr(&c->password), &auth);
	if (one == NULL || auth.failed ||
	    json_object_set_new(one, "auth", json_string(buf_cstr(&auth) + strlen("Basic "))) < 0 ||
	    (c->realm[0] != '\0' && json_object_set_new(one, "io.pot.realm", json_string(c->realm)) < 0)) {
		json_decref(one);
		return NULL;
	}
	return one;
}

int
cred_set(int rootfd, const char *host, const struct credential *c, struct err *e)
{
	AUTO(fd) int lock = -1, dir = -1;
	AUTO_JSON json_t *file = NULL;
	json_t *auths;
	int rc;

	if ((rc = open_own(rootfd, &dir, &lock, &file, e)) < 0)
		return rc;
	if (file == NULL && (file = json_object()) == NULL)
		return err_nomem(e);
	auths = json_object_get(file, "auths");
	if (!json_is_object(auths)) {
		auths = json_object();
		if (json_object_set_new(file, "auths", auths) < 0)
			return err_nomem(e);
	}
	if (json_object_set_new(auths, host, make_entry(c)) < 0)
		return err_nomem(e);
	return write_own(dir, file, e);
}

int
cred_remove(int rootfd, const char *host, struct err *e)
{
	AUTO(fd) int lock = -1, dir = -1;
	AUTO_JSON json_t *file = NULL;
	json_t *auths;
	int rc;

	if ((rc = open_own(rootfd, &dir, &lock, &file, e)) < 0)
		return rc;
	auths = json_object_get(file, "auths");
	if (json_object_get(auths, host) == NULL)
		return 0;
	if (json_object_del(auths, host) < 0)
		return err_nomem(e);
	rc = write_own(dir, file, e);
	return rc < 0 ? rc : 1;
}
