/* libpot: keys and signatures. Files of keys are read and made here; what is in them is image/'s. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "image/sign.h"
#include "image/trust.h"
#include "lib/images.h"
#include "lib/remote.h"
#include "model/policy.h"

/* ---- keys ---------------------------------------------------------------------------- */

static int
read_key(const char *path, bool secret, struct buf *out, struct err *e)
{
	AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		return err_sys(e, "key %s", path);
	if (secret && S_ISREG(st.st_mode) && (st.st_mode & 077) != 0) {
		err_set(e, E_PERM, "key %s: others may read it", path);
		return err_hint(e, "chmod 600 it, and think about who has read it");
	}
	return fd_read_all(fd, out, e);
}

int
lib_key(const struct pot_sign_key *k, struct sign_secret *s, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(SIGNIFY_FILE_MAX);
	int rc;

	if ((rc = read_key(k->file, true, &text, e)) < 0)
		return rc;
	rc = signify_secret_parse(buf_cstr(&text), text.len, k->passphrase, s, e);
	if (rc < 0)
		err_wrap(e, "%s", k->file);
	return rc;
}

int
pot_key_is_locked(const char *file, bool *locked, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(SIGNIFY_FILE_MAX);
	int rc;

	if ((rc = read_key(file, true, &text, e)) < 0)
		return rc;
	rc = signify_secret_is_locked(buf_cstr(&text), text.len, locked, e);
	if (rc < 0)
		err_wrap(e, "%s", file);
	return rc;
}

static int
write_new(const char *path, mode_t mode, const struct buf *text, struct err *e)
{
	AUTO(fd) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	int rc;

	if (fd < 0)
		return err_sys(e, "cannot make %s", path);
	rc = fd_write_all(fd, buf_cstr(text), text->len, path, e);
	if (rc == 0 && fsync(fd) != 0)
		rc = err_sys(e, "%s", path);
	if (rc < 0)
		unlink(path);
	return rc;
}

int
pot_keygen(const char *public_file, const char *secret_file, const char *passphrase, const char *comment,
    struct err *e)
{
	AUTO_FINI(buf) struct buf secret = BUF_INIT(SIGNIFY_FILE_MAX), public = BUF_INIT(SIGNIFY_FILE_MAX);
	AUTO_FINI(sign_secret) struct sign_secret s;
	char line[SIGNIFY_COMMENT_MAX];
	struct sign_public p;
	int rc;

	if ((rc = signify_generate(&s, &p, e)) < 0)
		return rc;
	if (snprintf(line, sizeof(line), "%s secret key", comment) >= (int)sizeof(line))
		return err_set(e, E_INVAL, "the comment is too long");
	if ((rc = signify_secret_print(&s, passphrase, line, &secret, e)) < 0)
		return rc;
	snprintf(line, sizeof(line), "%s public key", comment);
	if ((rc = signify_public_print(&p, line, &public, e)) < 0 ||
	    (rc = write_new(secret_file, 0600, &secret, e)) < 0)
		return rc;
	rc = write_new(public_file, 0644, &public, e);
	if (rc < 0)
		unlink(secret_file);
	return rc;
}

/* ---- images in registries --------------------------------------------------------------- */

static int
find(struct pot_ctx *c, const char *name, const struct img_net *net, struct reference *ref, struct remote *r,
    struct remote_manifest *m, struct err *e)
{
	int rc;

	if ((rc = lib_need_root(e)) < 0 || (rc = eng_need_node(c->eng, e)) < 0 ||
	    (rc = lib_ref(name, ref, e)) < 0 || (rc = remote_open(r, net, ref, e)) < 0)
		return rc;
	return remote_manifest_get(r, ref->digest[0] != '\0' ? ref->digest : ref->tag, NULL, m, e);
}

int
pot_image_sign(struct pot_ctx *c, const char *name, const struct pot_sign_key *k, const struct pot_net *n,
    char digest[POT_DIGEST_LEN], struct err *e)
{
	AUTO_FINI(sign_secret) struct sign_secret key = { .number = { 0 } };
	AUTO(img_store) struct img_store *store = NULL;
	AUTO_FINI(remote_manifest) struct remote_manifest m;
	AUTO_FINI(remote) struct remote r = REMOTE_INIT;
	struct referrer_subject subject;
	struct reference ref;
	struct img_net net;
	int rc;

	remote_manifest_init(&m);
	lib_net(c, n, &net);
	if ((rc = lib_key(k, &key, e)) < 0 || (rc = find(c, name, &net, &ref, &r, &m, e)) < 0 ||
	    (rc = lib_store(c, &store, e)) < 0)
		return rc;
	subject = (struct referrer_subject){ m.digest, m.text.len, m.parsed->media_type };
	digest_print(&m.digest, digest);
	return sign_push(&r, store, &key, &subject, ref.tag, e);
}

/* Keys on the command line are a rule of their own. */
static int
verify_keys(struct remote *r, const struct reference *ref, const struct digest *d, const char *const *keys,
    struct trust_verdict *v, struct err *e)
{
	AUTO_FINI(strv) struct strv list = STRV_INIT(POLICY_KEYS_MAX);
	int rc;

	for (; *keys != NULL; keys++)
		strv_add(&list, *keys);
	rc = strv_check(&list, "keys", e);
	return rc < 0 ? rc : trust_check_keys(r, ref, d, &list, v, e);
}

int
pot_image_verify(struct pot_ctx *c, const char *name, const char *const *keys, const struct pot_net *n,
    struct pot_verdict *out, struct err *e)
{
	AUTO_FINI(remote_manifest) struct remote_manifest m;
	AUTO_FINI(remote) struct remote r = REMOTE_INIT;
	AUTO_FINI(buf) struct buf policy = BUF_INIT(4096);
	struct trust_args args = { .verify = true };
	struct trust_verdict v;
	struct reference ref;
	struct img_net net;
	int rc;

	*out = (struct pot_verdict){ .digest = "" };
	remote_manifest_init(&m);
	lib_net(c, n, &net);
	if ((rc = lib_policy(c, &policy, e)) < 0 || (rc = find(c, name, &net, &ref, &r, &m, e)) < 0)
		return rc;
	args.policy = buf_cstr(&policy);
	digest_print(&m.digest, out->digest);
	if (keys != NULL && keys[0] != NULL)
		rc = verify_keys(&r, &ref, &m.digest, keys, &v, e);
	else
		rc = trust_check(&r, &ref, &m.digest, &args, &v, e);
	if (rc < 0)
		return rc;
	snprintf(out->rule, sizeof(out->rule), "%s", v.rule);
	snprintf(out->signed_by, sizeof(out->signed_by), "%s", v.signed_by);
	out->good = v.good;
	out->need = v.need;
	out->time_ns = v.time_ns;
	return 0;
}
