/*
 * The records of images: their text form and the names of their files. The
 * settings of an image come from its config, that is from anybody: they are
 * kept as they are here and judged by who makes a pot of them.
 */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/imgrecord.h"

#define RECORD_VERSION "1"

static int
parse_kv(struct kv *kv, const char *text, size_t len, const char *what, struct err *e)
{
	const char *version;
	int r;

	if ((r = kv_parse(kv, text, len, what, e)) < 0)
		return r;
	version = kv_get(kv, "version");
	if (version == NULL || strcmp(version, RECORD_VERSION) != 0)
		return err_set(e, E_NOTSUP, "%s: its version is %.16s, not " RECORD_VERSION, what,
		    version != NULL ? version : "(none)");
	return 0;
}

static int
get_digest(const struct kv *kv, const char *key, char out[static REF_DIGEST_MAX + 1], const char *what,
    struct err *e)
{
	const char *s = kv_get(kv, key);

	if (s == NULL || !ref_is_digest(s))
		return err_set(e, E_CORRUPT, "%s: its %s is not a digest", what, key);
	snprintf(out, REF_DIGEST_MAX + 1, "%s", s);
	return 0;
}

static void
get_time(const struct kv *kv, const char *key, int64_t *ns)
{
	const char *s = kv_get(kv, key);

	*ns = 0;
	if (s != NULL && text_time(s, ns, key, NULL) < 0)
		*ns = 0;
}

int
img_ref_record_parse(
    struct img_ref_record *rec, const char *text, size_t len, const char *what, struct err *e)
{
	AUTO_FINI(kv) struct kv kv = KV_INIT;
	int r;

	memset(rec, 0, sizeof(*rec));
	if ((r = parse_kv(&kv, text, len, what, e)) < 0 ||
	    (r = get_digest(&kv, "manifest", rec->manifest, what, e)) < 0 ||
	    (r = get_digest(&kv, "digest", rec->digest, what, e)) < 0)
		return r;
	get_time(&kv, "created", &rec->created_ns);
	get_time(&kv, "set", &rec->set_ns);
	return 0;
}

int
img_ref_record_print(const struct img_ref_record *rec, struct buf *b, struct err *e)
{
	char created[TEXT_TIME_LEN], set[TEXT_TIME_LEN];

	text_time_print(rec->created_ns, true, created);
	text_time_print(rec->set_ns, true, set);
	buf_fmt(b, "version=%s\nmanifest=%s\ndigest=%s\ncreated=%s\nset=%s\n", RECORD_VERSION, rec->manifest,
	    rec->digest, created, set);
	return buf_check(b, "the record of an image", e);
}

int
img_ref_path(const struct reference *ref, struct buf *b, struct err *e)
{
	char name[REF_TEXT];

	if (strlen(ref->host) > 255)
		return err_set(e, E_LIMIT, "%.80s…: the name of the host is too long", ref->host);
	ref_print_name(ref, name);
	/* The grammar has no such component; a path is not formed on that alone. */
	if (name[0] == '.' || strstr(name, "/.") != NULL || name[0] == '/' || strstr(name, "//") != NULL)
		return err_set(e, E_INVAL, "'%.80s': not the name of an image", name);
	buf_fmt(b, "refs/%s/%s%s", name, ref->tag[0] != '\0' ? ":" : "@",
	    ref->tag[0] != '\0' ? ref->tag : ref->digest);
	return buf_check(b, "the name of an image", e);
}

void
img_ready_record_fini(struct img_ready_record *rec)
{
	kv_fini(&rec->settings);
}

int
img_ready_record_parse(
    struct img_ready_record *rec, const char *text, size_t len, const char *what, struct err *e)
{
	const char *fs;
	int r;

	memset(rec, 0, sizeof(*rec));
	if ((r = parse_kv(&rec->settings, text, len, what, e)) < 0 ||
	    (r = get_digest(&rec->settings, "manifest", rec->manifest, what, e)) < 0)
		return r;
	fs = kv_get(&rec->settings, "fs");
	if (fs == NULL || strlen(fs) != IMG_FS_LEN - 1 || strspn(fs, "0123456789abcdef") != IMG_FS_LEN - 1)
		return err_set(e, E_CORRUPT, "%s: it names no file system", what);
	snprintf(rec->fs, sizeof(rec->fs), "%s", fs);
	return 0;
}

int
img_ready_record_print(const struct img_ready_record *rec, struct buf *b, struct err *e)
{
	static const char *const own[] = { "version", "manifest", "fs" };
	AUTO_FINI(kv) struct kv kv = KV_INIT;
	int r;

	if ((r = kv_add(&kv, "version", RECORD_VERSION, e)) < 0 ||
	    (r = kv_add(&kv, "manifest", rec->manifest, e)) < 0 || (r = kv_add(&kv, "fs", rec->fs, e)) < 0)
		return r;
	for (size_t i = 0; i < rec->settings.n; i++) {
		const struct kv_pair *p = &rec->settings.v[i];
		bool is_own = false;

		for (size_t k = 0; k < ARRAY_LEN(own); k++)
			is_own = is_own || strcmp(own[k], p->key) == 0;
		if (!is_own && (r = kv_add(&kv, p->key, p->value, e)) < 0)
			return r;
	}
	kv_print(&kv, b);
	return buf_check(b, "the settings of an image", e);
}

int
img_ready_path(const char *manifest, struct buf *b, struct err *e)
{
	if (!ref_is_digest(manifest))
		return err_set(e, E_INVAL, "'%.140s' is not a digest", manifest);
	buf_fmt(b, "ready/%.*s-%s", (int)strcspn(manifest, ":"), manifest, strchr(manifest, ':') + 1);
	return buf_check(b, "the name of a record", e);
}
