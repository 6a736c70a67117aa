/*
 * From msgpack to a tree of values. msgpack-c decodes; but it allocates what an
 * array's header claims before it sees an element, so the bytes are counted
 * first (measure), which also bounds depth and number of values.
 */
#include <errno.h>
#include <inttypes.h>
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "nomad/value.h"

/* ---- counting ------------------------------------------------------------- */

struct measure {
	const uint8_t *at, *end;
	size_t nodes;
	size_t text; /* bytes of strings, with a NUL each */
};

/* What one header says: so many bytes of its own, then payload bytes, then so many values. */
struct header {
	size_t own, payload, children;
};

static uint64_t
big_endian(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | *p++;
	return v;
}

/* From the table of formats in the msgpack specification. False: not a format, or cut off. */
static bool
read_header(const uint8_t *p, size_t left, struct header *h)
{
	static const uint8_t sizes[] = { 4, 8, 1, 2, 4, 8, 1, 2, 4, 8 }; /* 0xca … 0xd3 */
	uint8_t b = p[0];
	size_t width = 0; /* of the length that follows */

	*h = (struct header){ 1, 0, 0 };
	if (b < 0x80 || b >= 0xe0 || b == 0xc0 || b == 0xc2 || b == 0xc3)
		return true;
	if (b < 0x90)
		h->children = 2 * (size_t)(b & 0x0f);
	else if (b < 0xa0)
		h->children = b & 0x0f;
	else if (b < 0xc0)
		h->payload = b & 0x1f;
	else if (b >= 0xca && b <= 0xd3)
		h->payload = sizes[b - 0xca];
	else if (b >= 0xc4 && b <= 0xc6)
		width = (size_t)1 << (b - 0xc4);
	else if (b >= 0xd9 && b <= 0xdb)
		width = (size_t)1 << (b - 0xd9);
	else if (b >= 0xdc)
		width = (b & 1) == 0 ? 2 : 4;
	else
		return false; /* 0xc1, and extensions: the agent sends none */
	if (width == 0)
		return true;
	if (left < 1 + width)
		return false;
	h->own += width;
	if (b < 0xdc)
		h->payload = (size_t)big_endian(p + 1, width);
	else
		h->children = (size_t)big_endian(p + 1, width) * (b >= 0xde ? 2 : 1);
	return true;
}

static int
measure(struct measure *m, const char *what, struct err *e)
{
	/* How many values are still to come at each depth. */
	size_t open[VALUE_MAX_DEPTH + 1] = { 1 };
	size_t depth = 0;

	for (;;) {
		size_t left = (size_t)(m->end - m->at);
		struct header h;

		while (open[depth] == 0) {
			if (depth-- == 0)
				return 0;
		}
		open[depth]--;
		if (left == 0 || !read_header(m->at, left, &h) || left - h.own < h.payload)
			return err_set(e, E_INVAL, "%s: it is cut off, or not msgpack", what);
		m->at += h.own + h.payload;
		m->text += h.payload + 1;
		/* Each of them takes a byte at least. */
		if (h.children > (size_t)(m->end - m->at))
			return err_set(e, E_INVAL, "%s: it is cut off, or not msgpack", what);
		if (++m->nodes > VALUE_MAX_NODES)
			return err_set(e, E_LIMIT, "%s: more than %u values", what, VALUE_MAX_NODES);
		if (h.children == 0)
			continue;
		if (depth == VALUE_MAX_DEPTH)
			return err_set(e, E_LIMIT, "%s: nested deeper than %d", what, VALUE_MAX_DEPTH);
		open[++depth] = h.children;
	}
}

/* ---- the tree: one piece of memory, nodes in front, text behind -------------- */

struct builder {
	char *at, *text;
	const char *what;
	struct err *e;
};

static void *
take_nodes(struct builder *b, size_t bytes)
{
	void *p = b->at;

	b->at += bytes;
	return p;
}

static int
take_text(struct builder *b, const char *s, size_t n, const char **out)
{
	if (n > 0 && memchr(s, '\0', n) != NULL)
		return err_set(b->e, E_INVAL, "%s: a string in it holds a NUL", b->what);
	*out = b->text;
	if (n > 0)
		memcpy(b->text, s, n);
	b->text[n] = '\0';
	b->text += n + 1;
	return 0;
}

static int build(struct builder *, const msgpack_object *, struct value *);

static int
build_text(struct builder *b, const char *s, size_t n, struct value *v)
{
	const char *text = NULL;
	int rc = take_text(b, s, n, &text);

	if (rc < 0)
		return rc;
	v->type = VALUE_STRING;
	v->len = n;
	v->s = text;
	return 0;
}

static int
build_list(struct builder *b, const msgpack_object_array *a, struct value *v)
{
	struct value *list = take_nodes(b, a->size * sizeof(*list));
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < a->size; i++)
		rc = build(b, &a->ptr[i], &list[i]);
	v->type = VALUE_LIST;
	v->n = a->size;
	v->list = list;
	return rc;
}

static int
build_map(struct builder *b, const msgpack_object_map *m, struct value *v)
{
	struct value_pair *map = take_nodes(b, m->size * sizeof(*map));
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < m->size; i++) {
		const msgpack_object *key = &m->ptr[i].key;

		if (key->type == MSGPACK_OBJECT_STR)
			rc = take_text(b, key->via.str.ptr, key->via.str.size, &map[i].key);
		else
			rc = err_set(b->e, E_INVAL, "%s: a key in it is not a string", b->what);
		if (rc == 0)
			rc = build(b, &m->ptr[i].val, &map[i].value);
	}
	v->type = VALUE_MAP;
	v->n = m->size;
	v->map = map;
	return rc;
}

static int
build(struct builder *b, const msgpack_object *o, struct value *v)
{
	switch (o->type) {
	case MSGPACK_OBJECT_NIL:
		v->type = VALUE_NIL;
		return 0;
	case MSGPACK_OBJECT_BOOLEAN:
		v->type = VALUE_BOOL;
		v->b = o->via.boolean;
		return 0;
	case MSGPACK_OBJECT_POSITIVE_INTEGER:
		v->type = o->via.u64 <= INT64_MAX ? VALUE_INT : VALUE_FLOAT;
		if (v->type == VALUE_INT)
			v->i = (int64_t)o->via.u64;
		else
			v->f = (double)o->via.u64;
		return 0;
	case MSGPACK_OBJECT_NEGATIVE_INTEGER:
		v->type = VALUE_INT;
		v->i = o->via.i64;
		return 0;
	case MSGPACK_OBJECT_FLOAT32:
	case MSGPACK_OBJECT_FLOAT64:
		v->type = VALUE_FLOAT;
		v->f = o->via.f64;
		return 0;
	case MSGPACK_OBJECT_STR:
		return build_text(b, o->via.str.ptr, o->via.str.size, v);
	case MSGPACK_OBJECT_BIN:
		return build_text(b, o->via.bin.ptr, o->via.bin.size, v);
	case MSGPACK_OBJECT_ARRAY:
		return build_list(b, &o->via.array, v);
	case MSGPACK_OBJECT_MAP:
		return build_map(b, &o->via.map, v);
	default:
		return err_set(b->e, E_INVAL, "%s: a value in it is of an unknown kind", b->what);
	}
}

DEFINE_AUTO(zone, msgpack_zone *, NULL, msgpack_zone_free)

static int
decode(const void *bytes, size_t n, const struct measure *m, struct value *root, struct builder *b)
{
	AUTO(zone) msgpack_zone *zone = msgpack_zone_new(MSGPACK_ZONE_CHUNK_SIZE);
	msgpack_object o;
	size_t at = 0;

	if (zone == NULL)
		return err_nomem(b->e);
	if (msgpack_unpack(bytes, n, &at, zone, &o) != MSGPACK_UNPACK_SUCCESS || at != n)
		return err_set(b->e, E_INVAL, "%s: it is cut off, or not msgpack", b->what);
	return build(b, &o, root);
}

int
value_decode(const void *bytes, size_t n, struct value **out, const char *what, struct err *e)
{
	AUTO(value) struct value *root = NULL;
	struct measure m = { bytes, (const uint8_t *)bytes + n, 0, 0 };
	struct builder b = { NULL, NULL, what, e };
	size_t nodes;
	int rc = 0;

	if (n > VALUE_MAX_BYTES)
		return err_set(e, E_LIMIT, "%s: larger than %u bytes", what, VALUE_MAX_BYTES);
	if (n > 0)
		rc = measure(&m, what, e);
	if (rc < 0)
		return rc;
	if (m.at != m.end)
		return err_set(e, E_INVAL, "%s: something follows it", what);
	/* A pair of a map is a key and a value, and larger than neither alone. */
	nodes = (m.nodes + 1) * sizeof(struct value_pair);
	root = calloc(1, nodes + m.text + 1);
	if (root == NULL)
		return err_nomem(e);
	b.at = (char *)(root + 1);
	b.text = (char *)root + nodes;
	root->type = VALUE_MAP;
	if (n > 0)
		rc = decode(bytes, n, &m, root, &b);
	if (rc == 0 && root->type == VALUE_NIL)
		*root = (struct value){ .type = VALUE_MAP };
	if (rc == 0 && root->type != VALUE_MAP)
		rc = err_set(e, E_INVAL, "%s: it is not a map", what);
	if (rc == 0)
		*out = take_ptr(root);
	return rc;
}

void
value_free(struct value *v)
{
	free(v);
}

/* ---- reading --------------------------------------------------------------- */

static const char *
type_text(const struct value *v)
{
	static const char *const names[] = { "nothing", "a bool", "a number", "a number", "a string",
		"a list", "a map" };

	return names[v->type];
}

static int
wrong(const struct value *v, const char *key, const char *want, const char *what, struct err *e)
{
	return err_set(e, E_INVAL, "%s: %s: %s is wanted, not %s", what, key, want, type_text(v));
}

const struct value *
value_get(const struct value *map, const char *key)
{
	for (size_t i = 0; map != NULL && map->type == VALUE_MAP && i < map->n; i++) {
		if (strcmp(map->map[i].key, key) == 0)
			return map->map[i].value.type == VALUE_NIL ? NULL : &map->map[i].value;
	}
	return NULL;
}

int
value_string(const struct value *map, const char *key, const char **out, const char *what, struct err *e)
{
	const struct value *v = value_get(map, key);

	if (v == NULL)
		return 0;
	if (v->type != VALUE_STRING)
		return wrong(v, key, "a string", what, e);
	*out = v->s;
	return 1;
}

int
value_bool(const struct value *map, const char *key, bool *out, const char *what, struct err *e)
{
	const struct value *v = value_get(map, key);

	if (v == NULL)
		return 0;
	if (v->type == VALUE_BOOL)
		*out = v->b;
	else if (v->type == VALUE_STRING && (strcmp(v->s, "true") == 0 || strcmp(v->s, "false") == 0))
		*out = v->s[0] == 't';
	else
		return wrong(v, key, "true or false", what, e);
	return 1;
}

/* A whole number in any of the forms in which one may come. */
static bool
is_whole(const struct value *v, int64_t *out)
{
	double f;
	char *end;

	if (v->type == VALUE_INT) {
		*out = v->i;
		return true;
	}
	if (v->type == VALUE_STRING) {
		errno = 0;
		*out = strtoll(v->s, &end, 10);
		return errno == 0 && end != v->s && *end == '\0' && strchr("-0123456789", v->s[0]) != NULL;
	}
	if (v->type != VALUE_FLOAT)
		return false;
	f = v->f;
	/* 2^63 is a double, the largest int64_t is not. */
	if (!(f >= -9223372036854775808.0 && f < 9223372036854775808.0))
		return false;
	*out = (int64_t)f;
	return (double)*out == f;
}

int
value_int(const struct value *map, const char *key, int64_t lo, int64_t hi, int64_t *out, const char *what,
    struct err *e)
{
	const struct value *v = value_get(map, key);
	int64_t n;

	if (v == NULL)
		return 0;
	if (!is_whole(v, &n))
		return wrong(v, key, "a whole number", what, e);
	if (n < lo || n > hi)
		return err_set(e, E_INVAL, "%s: %s: %" PRId64 " is not in %" PRId64 " to %" PRId64, what, key,
		    n, lo, hi);
	*out = n;
	return 1;
}

int
value_print(const struct value *v, struct buf *b, const char *what, struct err *e)
{
	switch (v->type) {
	case VALUE_STRING:
		buf_str(b, v->s);
		break;
	case VALUE_BOOL:
		buf_str(b, v->b ? "true" : "false");
		break;
	case VALUE_INT:
		buf_fmt(b, "%" PRId64, v->i);
		break;
	case VALUE_FLOAT:
		buf_fmt(b, "%.17g", v->f);
		break;
	default:
		return err_set(e, E_INVAL, "%s: a string is wanted, not %s", what, type_text(v));
	}
	return buf_check(b, what, e);
}

static int
add_text(const struct value *v, struct strv *out, const char *key, const char *what, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(VALUE_MAX_BYTES);
	struct err why = ERR_INIT;
	int rc;

	rc = value_print(v, &b, key, &why);
	if (rc < 0)
		return err_set(e, (enum err_code)why.code, "%s: %s", what, why.msg);
	strv_add(out, buf_cstr(&b));
	return strv_check(out, what, e);
}

int
value_strings(const struct value *map, const char *key, struct strv *out, const char *what, struct err *e)
{
	const struct value *v = value_get(map, key);
	char where[96];
	int rc = 0;

	if (v == NULL)
		return 0;
	if (v->type == VALUE_MAP)
		return wrong(v, key, "a list of strings", what, e);
	if (v->type != VALUE_LIST)
		rc = add_text(v, out, key, what, e);
	for (size_t i = 0; v->type == VALUE_LIST && rc == 0 && i < v->n; i++) {
		snprintf(where, sizeof(where), "%.64s[%zu]", key, i);
		rc = add_text(&v->list[i], out, where, what, e);
	}
	return rc < 0 ? rc : 1;
}

static int
add_pairs(const struct value *v, const char *key, struct strv *out, const char *what, struct err *e)
{
	char where[160];
	int rc = 0;

	if (v->type != VALUE_MAP)
		return wrong(v, key, "a map of strings", what, e);
	for (size_t i = 0; rc == 0 && i < v->n; i++) {
		if (v->map[i].value.type == VALUE_NIL)
			continue;
		snprintf(where, sizeof(where), "%.64s.%.80s", key, v->map[i].key);
		strv_add(out, v->map[i].key);
		rc = add_text(&v->map[i].value, out, where, what, e);
	}
	return rc;
}

int
value_map(const struct value *map, const char *key, struct strv *out, const char *what, struct err *e)
{
	const struct value *v = value_get(map, key);
	int rc = 0;

	if (v == NULL)
		return 0;
	if (v->type != VALUE_LIST)
		rc = add_pairs(v, key, out, what, e);
	for (size_t i = 0; v->type == VALUE_LIST && rc == 0 && i < v->n; i++)
		rc = add_pairs(&v->list[i], key, out, what, e);
	return rc < 0 ? rc : 1;
}

int
value_block(
    const struct value *map, const char *key, const struct value **out, const char *what, struct err *e)
{
	const struct value *v = value_get(map, key);

	if (v != NULL && v->type == VALUE_LIST) {
		if (v->n > 1)
			return err_set(e, E_INVAL, "%s: %s: it may stand once only", what, key);
		v = v->n == 1 ? &v->list[0] : NULL;
	}
	if (v == NULL)
		return 0;
	if (v->type != VALUE_MAP)
		return wrong(v, key, "a block", what, e);
	*out = v;
	return 1;
}
