/* The auth file. A value never changes once it is made; a reload makes another. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <argon2.h>

#include "base/file.h"
#include "base/text.h"
#include "registry/auth.h"
#include "registry/path.h"
#include "registry/socket.h"

struct user {
	char *name, *hash;
};
struct rule {
	struct strv who, where;
	unsigned rights;
};

struct auth {
	struct user *users;
	size_t n_users;
	struct rule *rules;
	size_t n_rules;
};

/* Cost 12, of a password nobody knows: what an unknown user is compared with. */
static const char nobody[] = "$2b$12$GhvMmNVjRW29ulnudl.LbuAnUtN/LRfe1JsBm1Xu6LE3059z5Tr8m";

void
auth_free(struct auth *a)
{
	if (a == NULL)
		return;
	for (size_t i = 0; i < a->n_users; i++) {
		free(a->users[i].name);
		free(a->users[i].hash);
	}
	for (size_t i = 0; i < a->n_rules; i++) {
		strv_fini(&a->rules[i].who);
		strv_fini(&a->rules[i].where);
	}
	free(a->users);
	free(a->rules);
	free(a);
}

static bool
user_name_is_valid(const char *s)
{
	size_t n = strnlen(s, USER_MAX + 1);

	if (n == 0 || n > USER_MAX || strcmp(s, "anonymous") == 0)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!(s[i] >= 'a' && s[i] <= 'z') && !(s[i] >= 'A' && s[i] <= 'Z') &&
		    !(s[i] >= '0' && s[i] <= '9') && strchr("._@+-", s[i]) == NULL)
			return false;
	}
	return true;
}

static bool
hash_is_known(const char *hash)
{
	if (strncmp(hash, "$argon2id$", 10) == 0)
		return true;
	return strlen(hash) == 60 && hash[0] == '$' && hash[1] == '2' && strchr("aby", hash[2]) != NULL &&
	    hash[3] == '$';
}

static const struct user *
find_user(const struct auth *a, const char *name)
{
	for (size_t i = 0; i < a->n_users; i++) {
		if (strcmp(a->users[i].name, name) == 0)
			return &a->users[i];
	}
	return NULL;
}

static int
add_user(struct auth *a, const char *line, const char *colon, struct err *e)
{
	AUTO_FREE char *name = buf_dup(line, (size_t)(colon - line));
	struct user *grown;

	if (name == NULL)
		return err_nomem(e);
	if (!user_name_is_valid(name))
		return err_set(e, E_INVAL, "'%.64s' is not a valid user name", name);
	if (find_user(a, name) != NULL)
		return err_set(e, E_INVAL, "user '%s' is there twice", name);
	if (!hash_is_known(colon + 1))
		return err_set(e, E_INVAL, "the password of '%s' is not a bcrypt or argon2id hash", name);
	grown = reallocarray(a->users, a->n_users + 1, sizeof(*grown));
	if (grown == NULL)
		return err_nomem(e);
	a->users = grown;
	grown[a->n_users] = (struct user){ take_ptr(name), strdup(colon + 1) };
	return grown[a->n_users++].hash == NULL ? err_nomem(e) : 0;
}

static int
split_list(const char *text, size_t len, struct strv *out, struct err *e)
{
	for (size_t i = 0; i <= len;) {
		const char *comma = memchr(text + i, ',', len - i);
		size_t n = comma == NULL ? len - i : (size_t)(comma - text) - i;

		if (n == 0)
			return err_set(e, E_INVAL, "a list has an empty entry");
		strv_addn(out, text + i, n);
		i += n + 1;
	}
	return strv_check(out, "list", e);
}

int
rights_parse(const char *text, size_t len, bool lax, unsigned *rights, struct err *e)
{
	static const struct {
		const char *name;
		unsigned right;
	} names[] = { { "pull", RIGHT_PULL }, { "push", RIGHT_PUSH }, { "delete", RIGHT_DELETE },
		{ "all", RIGHT_ALL }, { "*", RIGHT_ALL } };

	*rights = 0;
	for (size_t i = 0; i <= len;) {
		const char *comma = memchr(text + i, ',', len - i);
		size_t n = comma == NULL ? len - i : (size_t)(comma - text) - i;
		unsigned right = 0;

		for (size_t k = 0; k < ARRAY_LEN(names); k++) {
			if (strlen(names[k].name) == n && memcmp(names[k].name, text + i, n) == 0)
				right = names[k].right;
		}
		if (right == 0 && !lax) {
			err_set(e, E_INVAL, "'%.*s' is not a right", (int)(n > 32 ? 32 : n), text + i);
			return err_hint(e, "rights are pull, push, delete and all");
		}
		*rights |= right;
		i += n + 1;
	}
	return 0;
}

static int
check_where(const char *where, struct err *e)
{
	size_t n = strlen(where);
	AUTO_FREE char *prefix = NULL;

	if (strcmp(where, "*") == 0)
		return 0;
	prefix = buf_dup(where, n > 2 && strcmp(where + n - 2, "/*") == 0 ? n - 2 : n);
	if (prefix == NULL)
		return err_nomem(e);
	if (!repo_name_is_valid(prefix))
		return err_set(e, E_INVAL, "'%.64s' is neither a repository nor a PREFIX/*", where);
	return 0;
}

/* "allow WHO WHERE RIGHTS", split at blanks. */
static int
add_rule(struct auth *a, const char *line, struct err *e)
{
	struct strv words = STRV_INIT(8);
	struct rule *grown, *r;
	int rc = text_split(line, &words, e);

	if (rc == 0 && words.n != 4)
		rc = err_set(e, E_INVAL, "a rule is: allow WHO WHERE RIGHTS");
	if (rc == 0 && (grown = reallocarray(a->rules, a->n_rules + 1, sizeof(*grown))) == NULL)
		rc = err_nomem(e);
	if (rc < 0) {
		strv_fini(&words);
		return rc;
	}
	a->rules = grown;
	r = &grown[a->n_rules++];
	*r = (struct rule){ STRV_INIT(1000), STRV_INIT(1000), 0 };
	rc = split_list(words.v[1], strlen(words.v[1]), &r->who, e);
	if (rc == 0)
		rc = split_list(words.v[2], strlen(words.v[2]), &r->where, e);
	for (size_t i = 0; rc == 0 && i < r->where.n; i++)
		rc = check_where(r->where.v[i], e);
	if (rc == 0)
		rc = rights_parse(words.v[3], strlen(words.v[3]), false, &r->rights, e);
	strv_fini(&words);
	return rc;
}

/* A rule for somebody who is not there is a spelling mistake. */
static int
check_rules(const struct auth *a, struct err *e)
{
	for (size_t i = 0; i < a->n_rules; i++) {
		for (size_t k = 0; k < a->rules[i].who.n; k++) {
			const char *who = a->rules[i].who.v[k];

			if (strcmp(who, "*") != 0 && strcmp(who, "anonymous") != 0 &&
			    find_user(a, who) == NULL)
				return err_set(
				    e, E_INVAL, "rule %zu is for user '%.64s', who is not there", i + 1, who);
		}
	}
	return 0;
}

static int
parse_line(struct auth *a, char *line, struct err *e)
{
	char *end = line + strlen(line);
	const char *colon;

	while (end > line && strchr(" \t\r", end[-1]) != NULL)
		*--end = '\0';
	line += strspn(line, " \t");
	if (*line == '\0' || *line == '#')
		return 0;
	if (strncmp(line, "allow ", 6) == 0 || strncmp(line, "allow\t", 6) == 0)
		return add_rule(a, line, e);
	colon = strchr(line, ':');
	if (colon == NULL)
		return err_set(e, E_INVAL, "it is neither NAME:HASH nor a rule");
	return add_user(a, line, colon, e);
}

int
auth_parse(const char *text, size_t len, const char *what, struct auth **out, struct err *e)
{
	AUTO(auth) struct auth *a = calloc(1, sizeof(*a));
	unsigned number = 1;
	int rc;

	if (a == NULL)
		return err_nomem(e);
	if (memchr(text, '\0', len) != NULL)
		return err_set(e, E_INVAL, "%s: there is a NUL in it", what);
	for (size_t i = 0; i < len; number++) {
		const char *nl = memchr(text + i, '\n', len - i);
		size_t n = nl == NULL ? len - i : (size_t)(nl - text) - i;
		AUTO_FREE char *line = buf_dup(text + i, n);

		rc = line == NULL ? err_nomem(e) : parse_line(a, line, e);
		if (rc < 0)
			return err_wrap(e, "%s:%u", what, number);
		i += n + 1;
	}
	rc = check_rules(a, e);
	if (rc < 0)
		return err_wrap(e, "%s", what);
	*out = take_ptr(a);
	return 0;
}

int
auth_load(const char *file, struct auth **out, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(AUTH_FILE_MAX);
	int rc = file_read(AT_FDCWD, file, &text, e);

	if (rc < 0)
		return err_wrap(e, "auth file '%s'", file);
	return auth_parse(buf_cstr(&text), text.len, file, out, e);
}

bool
auth_has_user(const struct auth *a, const char *user)
{
	return find_user(a, user) != NULL;
}

static bool
rule_is_for(const struct rule *r, const char *user)
{
	for (size_t i = 0; i < r->who.n; i++) {
		const char *who = r->who.v[i];

		if (strcmp(who, "anonymous") == 0 ||
		    (user != NULL && (strcmp(who, "*") == 0 || strcmp(who, user) == 0)))
			return true;
	}
	return false;
}

static bool
rule_covers(const struct rule *r, const char *repo)
{
	for (size_t i = 0; i < r->where.n; i++) {
		const char *where = r->where.v[i];
		size_t n = strlen(where);

		if (strcmp(where, "*") == 0 || strcmp(where, repo) == 0)
			return true;
		if (n > 2 && strcmp(where + n - 2, "/*") == 0 && strncmp(repo, where, n - 1) == 0)
			return true;
	}
	return false;
}

unsigned
auth_rights(const struct auth *a, const char *user, const char *repo)
{
	unsigned rights = 0;

	/* A user that was taken out of the file has what everybody has. */
	if (user != NULL && find_user(a, user) == NULL)
		user = NULL;
	for (size_t i = 0; i < a->n_rules; i++) {
		if (rule_is_for(&a->rules[i], user) && rule_covers(&a->rules[i], repo))
			rights |= a->rules[i].rights;
	}
	return rights;
}

bool
auth_verify(const struct auth *a, const char *user, const char *password)
{
	const struct user *u = find_user(a, user);
	const char *hash = u == NULL ? nobody : u->hash;
	bool fits = hash[1] == 'a' ? argon2id_verify(hash, password, strlen(password)) == ARGON2_OK
				   : bcrypt_check(password, hash);

	return fits && u != NULL;
}
