/*
 * The judgement about signatures. Statements come from anybody who may write
 * to the registry: only those count that a key of the rule signed, and that
 * speak of this digest under this name and tag. One key counts once.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/kv.h"
#include "base/text.h"
#include "image/credentials.h"
#include "image/sign.h"
#include "image/trust.h"
#include "model/policy.h"

#define TRUST_DIR "trust"

struct key {
	struct sign_public public;
	const char *file;
	int64_t newest_ns; /* 0: no good signature */
};

struct judge {
	const struct reference *ref;
	char name[REF_NAME_MAX + 1]; /* as the registry knows it */
	char digest[DIGEST_TEXT_LEN];
	struct key *keys;
	size_t n;
	unsigned others, wrong; /* signatures of other keys; of ours about something else */
};

/* ---- reading policy and keys --------------------------------------------------------- */

static int
read_path(const char *path, struct buf *out, struct err *e)
{
	AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return err_sys(e, "%s", path);
	return fd_read_all(fd, out, e);
}

/* Keys that are named without a directory stand beside the policy. */
static int
key_path(const char *policy, const char *file, struct buf *out, struct err *e)
{
	const char *slash = strrchr(policy, '/');

	if (file[0] != '/' && slash != NULL)
		buf_add(out, policy, (size_t)(slash - policy) + 1);
	buf_str(out, file);
	return buf_check(out, "path", e);
}

static int
read_keys(struct judge *j, const struct policy_rule *rule, const char *policy, struct err *e)
{
	int rc;

	j->keys = calloc(rule->keys.n, sizeof(*j->keys));
	if (j->keys == NULL)
		return err_nomem(e);
	for (size_t i = 0; i < rule->keys.n; i++) {
		AUTO_FINI(buf) struct buf text = BUF_INIT(SIGNIFY_FILE_MAX), path = BUF_INIT(4096);
		struct key *k = &j->keys[i];

		k->file = rule->keys.v[i];
		if ((rc = key_path(policy, k->file, &path, e)) < 0 ||
		    (rc = read_path(buf_cstr(&path), &text, e)) < 0 ||
		    (rc = signify_public_parse(buf_cstr(&text), text.len, &k->public, e)) < 0) {
			err_wrap(e, "%s%s%s", policy, policy[0] != '\0' ? ": key " : "key ", k->file);
			return rc;
		}
		for (size_t m = 0; m < i; m++)
			if (memcmp(j->keys[m].public.key, k->public.key, sizeof(k->public.key)) == 0)
				return err_set(
				    e, E_INVAL, "%s and %s are the same key", j->keys[m].file, k->file);
		j->n++;
	}
	return 0;
}

/* ---- judging ---------------------------------------------------------------------------- */

static bool
speaks_of(const struct judge *j, const struct sign_statement *s)
{
	return strcmp(s->digest, j->digest) == 0 && strcmp(s->name, j->name) == 0 &&
	    (j->ref->tag[0] == '\0' || strcmp(s->tag, j->ref->tag) == 0);
}

static int
weigh(void *arg, const struct sign_found *f, struct err *e)
{
	struct judge *j = arg;

	(void)e;
	for (size_t i = 0; i < j->n; i++) {
		struct key *k = &j->keys[i];

		if (signify_verify(&k->public, &f->signature, f->message, f->len, NULL) < 0)
			continue;
		if (!speaks_of(j, &f->statement))
			j->wrong++;
		else if (f->statement.time_ns > k->newest_ns)
			k->newest_ns = f->statement.time_ns;
		return 0;
	}
	j->others++;
	return 0;
}

static int
newest_first(const void *a, const void *b)
{
	const struct key *x = a, *y = b;

	return x->newest_ns < y->newest_ns ? 1 : x->newest_ns > y->newest_ns ? -1 : 0;
}

static void
sum_up(struct judge *j, struct trust_verdict *v)
{
	size_t at = 0;

	qsort(j->keys, j->n, sizeof(*j->keys), newest_first);
	for (size_t i = 0; i < j->n && j->keys[i].newest_ns > 0; i++) {
		int n = snprintf(v->signed_by + at, sizeof(v->signed_by) - at, "%s%s",
		    v->good > 0 ? ", " : "", j->keys[i].file);

		v->good++;
		if (n > 0 && (size_t)n < sizeof(v->signed_by) - at)
			at += (size_t)n;
	}
	if (v->good >= v->need && v->need > 0)
		v->time_ns = j->keys[v->need - 1].newest_ns;
}

/* ---- going back in time --------------------------------------------------------------------- */

/* The name of the record: any reference, one file name. */
static int
record_name(const struct reference *ref, char out[static DIGEST_HEX_LEN], struct err *e)
{
	char text[REF_TEXT];
	struct reference r = *ref;
	struct digest d;
	int rc;

	r.digest[0] = '\0';
	ref_print(&r, text);
	rc = digest_of(DIGEST_SHA256, text, strlen(text), &d, e);
	if (rc == 0)
		digest_hex(&d, out);
	return rc;
}

/* 1 and what is recorded; 0: nothing. */
static int
read_record(int rootfd, const struct reference *ref, struct kv *kv, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(KV_FILE_MAX);
	char name[DIGEST_HEX_LEN], path[DIGEST_HEX_LEN + sizeof(CRED_DIR TRUST_DIR) + 2];
	int rc;

	if ((rc = record_name(ref, name, e)) < 0)
		return rc;
	snprintf(path, sizeof(path), CRED_DIR "/" TRUST_DIR "/%s", name);
	rc = file_read(rootfd, path, &text, e);
	if (rc == -E_NOENT)
		return 0;
	if (rc < 0 || (rc = kv_parse(kv, buf_cstr(&text), text.len, path, e)) < 0)
		return rc;
	return 1;
}

static int
check_time(struct remote *r, const struct reference *ref, const struct judge *j,
    const struct trust_verdict *v, struct err *e)
{
	AUTO_FINI(kv) struct kv kv = KV_INIT;
	char text[REF_TEXT];
	const char *time, *digest;
	uint64_t then;
	int rc;

	if (ref->tag[0] == '\0')
		return 0;
	if ((rc = read_record(r->net->rootfd, ref, &kv, e)) <= 0)
		return rc;
	time = kv_get(&kv, "time");
	digest = kv_get(&kv, "digest");
	if (time == NULL || digest == NULL || text_uint(time, 0, INT64_MAX, &then, "time", NULL) < 0)
		return err_set(e, E_CORRUPT, "the record of the last signature is damaged");
	if (strcmp(digest, j->digest) == 0 || v->time_ns >= (int64_t)then)
		return 0;
	ref_print(ref, text);
	err_set(e, E_PERM, "%s: what the registry gives was signed before what this name meant here already",
	    text);
	return err_hint(e, "somebody may be handing out an old image; if that is meant, give --allow-older");
}

int
trust_note(int rootfd, const struct reference *ref, const struct digest *d, const struct trust_verdict *v,
    struct err *e)
{
	AUTO_FINI(kv) struct kv kv = KV_INIT;
	AUTO_FINI(buf) struct buf text = BUF_INIT(KV_FILE_MAX);
	AUTO(fd) int above = -1, dir = -1;
	char name[DIGEST_HEX_LEN], time[32], full[REF_TEXT], digest[DIGEST_TEXT_LEN];
	int rc;

	if (v->time_ns == 0 || ref->tag[0] == '\0')
		return 0;
	snprintf(time, sizeof(time), "%lld", (long long)v->time_ns);
	ref_print(ref, full);
	if ((rc = record_name(ref, name, e)) < 0 || (rc = kv_add(&kv, "name", full, e)) < 0 ||
	    (rc = kv_add(&kv, "digest", digest_print(d, digest), e)) < 0 ||
	    (rc = kv_add(&kv, "time", time, e)) < 0)
		return rc;
	kv_print(&kv, &text);
	if ((rc = buf_check(&text, "record", e)) < 0)
		return rc;
	above = dir_make(rootfd, CRED_DIR, 0700, e);
	if (above < 0)
		return above;
	dir = dir_make(above, TRUST_DIR, 0700, e);
	return dir < 0 ? dir : file_write_atomic(dir, name, 0600, buf_cstr(&text), text.len, e);
}

/* ---- the question ------------------------------------------------------------------------------ */

static int
refuse(const struct judge *j, const struct trust_verdict *v, const char *full, struct err *e)
{
	err_set(e, E_PERM, "%s: %s: %u of %u signatures", v->rule, full, v->good, v->need);
	if (j->wrong > 0)
		err_hint(e, "%u more are of these keys, but for another image, name or tag", j->wrong);
	else if (j->others > 0)
		err_hint(e, "%u more are of keys that the rule does not name", j->others);
	else
		err_hint(e, "sign it with: pot sign --key KEY %.150s", full);
	return -e->code;
}

static int
judge(struct judge *j, struct remote *r, const struct policy_rule *rule, const struct digest *d,
    const struct trust_args *a, struct trust_verdict *v, struct err *e)
{
	char full[REF_TEXT];
	int rc;

	ref_print(j->ref, full);
	v->need = rule->need;
	if ((rc = read_keys(j, rule, a->policy, e)) < 0 || (rc = sign_each(r, d, weigh, j, e)) < 0)
		return rc;
	sum_up(j, v);
	if (v->good < v->need)
		return refuse(j, v, full, e);
	return a->older ? 0 : check_time(r, j->ref, j, v, e);
}

int
trust_check(struct remote *r, const struct reference *ref, const struct digest *d, const struct trust_args *a,
    struct trust_verdict *v, struct err *e)
{
	AUTO_FINI(policy) struct policy policy = { NULL, 0 };
	AUTO_FINI(buf) struct buf text = BUF_INIT(POLICY_FILE_MAX);
	struct judge j = { .ref = ref };
	const struct policy_rule *rule;
	char name[REF_TEXT];
	int rc;

	*v = (struct trust_verdict){ .rule = "" };
	rc = read_path(a->policy, &text, e);
	if (rc < 0 && rc != -E_NOENT)
		return rc;
	if ((rc = policy_parse(&policy, buf_cstr(&text), text.len, a->policy, e)) < 0)
		return rc;
	ref_print_name(ref, name);
	rule = policy_find(&policy, name);
	if (rule != NULL)
		snprintf(v->rule, sizeof(v->rule), "%.200s:%u: rule '%.200s'", a->policy, rule->line,
		    rule->prefix);
	if (rule != NULL && rule->what == POLICY_REJECT)
		return err_set(e, E_PERM, "%s: %s is not to be used", v->rule, name);
	if (rule == NULL || rule->what == POLICY_ACCEPT) {
		if (!a->verify)
			return 0;
		err_set(e, E_PERM, "%s: nothing says who must have signed it", name);
		return err_hint(e, "write into %.120s: %.80s require 1 KEYFILE", a->policy, name);
	}
	snprintf(j.name, sizeof(j.name), "%s", r->name);
	digest_print(d, j.digest);
	rc = judge(&j, r, rule, d, a, v, e);
	free(j.keys);
	return rc;
}

int
trust_check_keys(struct remote *r, const struct reference *ref, const struct digest *d,
    const struct strv *keys, struct trust_verdict *v, struct err *e)
{
	const struct policy_rule rule = { .what = POLICY_REQUIRE, .need = (unsigned)keys->n, .keys = *keys };
	const struct trust_args args = { .policy = "", .older = true };
	struct judge j = { .ref = ref };
	int rc;

	*v = (struct trust_verdict){ .rule = "the keys given" };
	snprintf(j.name, sizeof(j.name), "%s", r->name);
	digest_print(d, j.digest);
	rc = judge(&j, r, &rule, d, &args, v, e);
	free(j.keys);
	return rc;
}
