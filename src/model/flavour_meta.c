/*
 * What a flavour says of itself (NAME.meta) and what people give it: names
 * with arguments, and the two brought together.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/flavour.h"

#define PARAMETER "parameter"
#define ARGUMENT_MAX 4096

void
flavour_meta_fini(struct flavour_meta *m)
{
	kv_fini(&m->kv);
	*m = (struct flavour_meta){ 0 };
}

/* It becomes a variable of the script. */
static bool
is_parameter_name(const char *s)
{
	if (!isalpha((unsigned char)*s) && *s != '_')
		return false;
	for (; *s != '\0'; s++) {
		if (!isalnum((unsigned char)*s) && *s != '_')
			return false;
	}
	return true;
}

static struct flavour_parameter *
find_parameter(const struct flavour_meta *m, const char *name, size_t len)
{
	for (size_t i = 0; i < m->nparameters; i++) {
		if (strlen(m->parameters[i].name) == len && memcmp(m->parameters[i].name, name, len) == 0)
			return (struct flavour_parameter *)&m->parameters[i];
	}
	return NULL;
}

static int
add_parameter(struct flavour_meta *m, const char *name, struct err *e)
{
	if (!is_parameter_name(name))
		return err_set(e, E_INVAL, "parameter '%.64s': letters, digits and '_' only", name);
	if (find_parameter(m, name, strlen(name)) != NULL)
		return err_set(e, E_INVAL, "parameter '%.64s' stands there twice", name);
	if (m->nparameters == FLAVOUR_PARAMETERS_MAX)
		return err_set(e, E_LIMIT, "more than %d parameters", FLAVOUR_PARAMETERS_MAX);
	m->parameters[m->nparameters++] = (struct flavour_parameter){ .name = name, .description = "" };
	return 0;
}

/* "parameter.NAME.default" and so on. */
static int
set_parameter(struct flavour_meta *m, const char *key, const char *value, struct err *e)
{
	const char *name = key + strlen(PARAMETER) + 1, *dot = strrchr(name, '.');
	struct flavour_parameter *p = dot != NULL ? find_parameter(m, name, (size_t)(dot - name)) : NULL;

	if (p == NULL) {
		err_set(e, E_INVAL, "%s: no such parameter", key);
		return err_hint(e, "declare it with a line parameter=NAME");
	}
	if (strcmp(dot, ".default") == 0)
		p->def = value;
	else if (strcmp(dot, ".description") == 0)
		p->description = value;
	else if (strcmp(dot, ".required") == 0 && (strcmp(value, "yes") == 0 || strcmp(value, "no") == 0))
		p->required = value[0] == 'y';
	else
		return err_set(e, E_INVAL, "%s: known are .default, .description and .required=yes|no", key);
	return 0;
}

static int
set_systems(struct flavour_meta *m, const char *value, struct err *e)
{
	AUTO_FINI(strv) struct strv v = STRV_INIT(8);
	int rc = text_split(value, &v, e);

	if (rc < 0 || (rc = strv_check(&v, "systems", e)) < 0)
		return rc;
	m->on_linux = m->on_freebsd = false;
	for (size_t i = 0; i < v.n; i++) {
		if (strcmp(v.v[i], "linux") == 0)
			m->on_linux = true;
		else if (strcmp(v.v[i], "freebsd") == 0)
			m->on_freebsd = true;
		else
			return err_set(e, E_INVAL, "systems: '%.64s' is neither linux nor freebsd", v.v[i]);
	}
	return v.n == 0 ? err_set(e, E_INVAL, "systems: none is named") : 0;
}

static int
add_need(struct flavour_meta *m, const char *value, struct err *e)
{
	AUTO_FINI(flavour_ref) struct flavour_ref r = FLAVOUR_REF_INIT;

	if (m->nneeds == FLAVOUR_NEEDS_MAX)
		return err_set(e, E_LIMIT, "more than %d flavours are named", FLAVOUR_NEEDS_MAX);
	m->needs[m->nneeds++] = value;
	return flavour_ref_parse(&r, value, e);
}

static int
set_key(struct flavour_meta *m, const struct kv_pair *p, struct err *e)
{
	static const char *const names[] = { "title", "description", "version", "licence", "systems",
		"flavour", PARAMETER };
	const char **texts[] = { &m->title, &m->description, &m->version, &m->licence }, *near;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		if (strcmp(p->key, names[i]) != 0)
			continue;
		if (*texts[i] != NULL)
			return err_set(e, E_INVAL, "%s stands there twice", p->key);
		*texts[i] = p->value;
		return 0;
	}
	if (strcmp(p->key, "systems") == 0)
		return set_systems(m, p->value, e);
	if (strcmp(p->key, "flavour") == 0)
		return add_need(m, p->value, e);
	/* Declared in a first pass. */
	if (strcmp(p->key, PARAMETER) == 0)
		return 0;
	if (strncmp(p->key, PARAMETER ".", strlen(PARAMETER) + 1) == 0)
		return set_parameter(m, p->key, p->value, e);
	err_set(e, E_INVAL, "unknown key '%.64s'", p->key);
	near = text_nearest(p->key, names, ARRAY_LEN(names));
	if (near != NULL)
		err_hint(e, "did you mean %s?", near);
	return -E_INVAL;
}

static int
check_meta(struct flavour_meta *m, struct err *e)
{
	const char **texts[] = { &m->title, &m->description, &m->version, &m->licence };

	if (m->title == NULL || m->title[0] == '\0')
		return err_set(e, E_INVAL, "title is missing");
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		if (*texts[i] == NULL)
			*texts[i] = "";
	}
	for (size_t i = 0; i < m->nparameters; i++) {
		if (m->parameters[i].required && m->parameters[i].def != NULL)
			return err_set(e, E_INVAL, "parameter '%s' is required and has a default",
			    m->parameters[i].name);
	}
	return 0;
}

int
flavour_meta_parse(struct flavour_meta *m, const char *text, size_t len, const char *what, struct err *e)
{
	int rc;

	*m = (struct flavour_meta){ .on_linux = true, .on_freebsd = true };
	if (len > FLAVOUR_FILE_MAX)
		return err_set(e, E_LIMIT, "%s: larger than %d bytes", what, FLAVOUR_FILE_MAX);
	if ((rc = kv_parse(&m->kv, text, len, what, e)) < 0) {
		flavour_meta_fini(m);
		return rc;
	}
	for (size_t i = 0; rc == 0 && i < m->kv.n; i++) {
		if (strcmp(m->kv.v[i].key, PARAMETER) == 0)
			rc = add_parameter(m, m->kv.v[i].value, e);
	}
	for (size_t i = 0; rc == 0 && i < m->kv.n; i++)
		rc = set_key(m, &m->kv.v[i], e);
	if (rc == 0)
		rc = check_meta(m, e);
	if (rc < 0) {
		err_wrap(e, "%s", what);
		flavour_meta_fini(m);
	}
	return rc;
}

void
flavour_ref_fini(struct flavour_ref *r)
{
	free(r->name);
	kv_fini(&r->args);
	*r = (struct flavour_ref)FLAVOUR_REF_INIT;
}

static int
digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0'
	    : c >= 'a' && c <= 'f'  ? c - 'a' + 10
	    : c >= 'A' && c <= 'F'  ? c - 'A' + 10
				    : -1;
}

static int
decode(const char *s, size_t len, struct buf *out, struct err *e)
{
	for (size_t i = 0; i < len; i++) {
		char c = s[i];

		if (c == '%') {
			if (i + 2 >= len || digit(s[i + 1]) < 0 || digit(s[i + 2]) < 0)
				return err_set(e, E_INVAL, "'%%' without two hexadecimal digits");
			c = (char)(digit(s[i + 1]) * 16 + digit(s[i + 2]));
			i += 2;
		}
		if (c == '\0')
			return err_set(e, E_INVAL, "a NUL byte");
		buf_add(out, &c, 1);
	}
	return buf_check(out, "argument", e);
}

static int
add_argument(struct flavour_ref *r, const char *s, size_t len, struct err *e)
{
	AUTO_FINI(buf) struct buf value = BUF_INIT(ARGUMENT_MAX);
	const char *eq = memchr(s, '=', len);
	AUTO_FREE char *name = NULL;
	int rc;

	if (eq == NULL || eq == s)
		return err_set(e, E_INVAL, "NAME=VALUE is wanted after '?' and '&'");
	name = buf_dup(s, (size_t)(eq - s));
	if (name == NULL)
		return err_nomem(e);
	if (!is_parameter_name(name))
		return err_set(e, E_INVAL, "'%.64s' is not a parameter's name", name);
	if (kv_get(&r->args, name) != NULL)
		return err_set(e, E_INVAL, "'%.64s' is given twice", name);
	rc = decode(eq + 1, len - (size_t)(eq + 1 - s), &value, e);
	return rc < 0 ? rc : kv_add(&r->args, name, buf_cstr(&value), e);
}

int
flavour_ref_parse(struct flavour_ref *r, const char *text, struct err *e)
{
	size_t len = strcspn(text, "?");
	const char *s = text + len;
	int rc = 0;

	*r = (struct flavour_ref)FLAVOUR_REF_INIT;
	if (len == 0 || strlen(text) > 65536)
		return err_set(e, E_INVAL, "'%.64s' names no flavour", text);
	r->name = buf_dup(text, len);
	if (r->name == NULL)
		return err_nomem(e);
	while (rc == 0 && *s != '\0') {
		s++;
		len = strcspn(s, "&");
		rc = add_argument(r, s, len, e);
		s += len;
	}
	if (rc < 0) {
		err_wrap(e, "flavour '%.64s'", r->name);
		flavour_ref_fini(r);
	}
	return rc;
}

static int
check_known(const struct flavour_meta *m, const struct flavour_ref *r, struct err *e)
{
	const char *names[FLAVOUR_PARAMETERS_MAX], *near;

	for (size_t i = 0; i < m->nparameters; i++)
		names[i] = m->parameters[i].name;
	for (size_t i = 0; i < r->args.n; i++) {
		const char *name = r->args.v[i].key;

		if (find_parameter(m, name, strlen(name)) != NULL)
			continue;
		err_set(e, E_INVAL, "flavour '%.64s': it has no parameter '%.64s'", r->name, name);
		near = text_nearest(name, names, m->nparameters);
		if (near != NULL)
			err_hint(e, "did you mean %s?", near);
		return -E_INVAL;
	}
	return 0;
}

int
flavour_arguments(const struct flavour_meta *m, const struct flavour_ref *r, struct strv *out, struct err *e)
{
	int rc = check_known(m, r, e);

	for (size_t i = 0; rc == 0 && i < m->nparameters; i++) {
		const struct flavour_parameter *p = &m->parameters[i];
		const char *value = kv_get(&r->args, p->name);

		if (value == NULL)
			value = p->def;
		if (value == NULL && p->required) {
			err_set(
			    e, E_INVAL, "flavour '%.64s': the parameter '%s' is needed", r->name, p->name);
			return err_hint(e, "give it: -f '%.64s?%s=…'", r->name, p->name);
		}
		strv_fmt(out, "%s=%s", p->name, value != NULL ? value : "");
	}
	return rc < 0 ? rc : strv_check(out, "arguments", e);
}

int
flavour_arg_parse(const char *text, char **name, char **key, const char **value, struct err *e)
{
	const char *eq = strchr(text, '='), *dot = eq;

	while (dot != NULL && dot > text && *dot != '.')
		dot--;
	*name = *key = NULL;
	if (eq == NULL || dot == text || dot + 1 == eq)
		return err_set(e, E_INVAL, "'%.64s': not FLAVOUR.PARAMETER=VALUE", text);
	*name = buf_dup(text, (size_t)(dot - text));
	*key = buf_dup(dot + 1, (size_t)(eq - dot - 1));
	*value = eq + 1;
	if (*name == NULL || *key == NULL) {
		free(take_ptr(*name));
		free(take_ptr(*key));
		return err_nomem(e);
	}
	return 0;
}
