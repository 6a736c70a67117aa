/*
 * One message per row. The agent's rules: a key with a default is a Default
 * around the attribute, and as that takes the implied name away, every
 * attribute and block carries its name itself.
 */
#include "nomad/schema.h"

static Pb__Spec *
new_spec(struct arena *a, Pb__Spec__BlockCase which)
{
	Pb__Spec *s = arena_new(a, Pb__Spec);

	if (s == NULL)
		return NULL;
	pb__spec__init(s);
	s->block_case = which;
	return s;
}

static char *
text(const char *s)
{
	return (char *)(uintptr_t)s; /* protobuf-c's structs know no const; nothing writes to it */
}

static Pb__Spec *
attribute(struct arena *a, const struct spec *row)
{
	Pb__Spec *s = new_spec(a, PB__SPEC__BLOCK_ATTR);
	Pb__Attr *attr = arena_new(a, Pb__Attr);

	if (s == NULL || attr == NULL)
		return NULL;
	pb__attr__init(attr);
	attr->name = text(row->name);
	attr->type = text(row->type);
	attr->required = row->required;
	s->attr = attr;
	return s;
}

static Pb__Spec *
block(struct arena *a, const struct spec *row)
{
	Pb__Spec *s = new_spec(a, PB__SPEC__BLOCK_BLOCK_VALUE);
	Pb__Block *b = arena_new(a, Pb__Block);

	if (s == NULL || b == NULL)
		return NULL;
	pb__block__init(b);
	b->name = text(row->name);
	b->required = row->required;
	b->nested = schema_make(a, row->rows);
	s->block_value = b;
	return s;
}

static Pb__Spec *
block_list(struct arena *a, const struct spec *row)
{
	Pb__Spec *s = new_spec(a, PB__SPEC__BLOCK_BLOCK_LIST);
	Pb__BlockList *b = arena_new(a, Pb__BlockList);

	if (s == NULL || b == NULL)
		return NULL;
	pb__block_list__init(b);
	b->name = text(row->name);
	b->min_items = row->min;
	b->max_items = row->max;
	b->nested = schema_make(a, row->rows);
	s->block_list = b;
	return s;
}

static Pb__Spec *
block_attrs(struct arena *a, const struct spec *row)
{
	Pb__Spec *s = new_spec(a, PB__SPEC__BLOCK_BLOCK_ATTRS);
	Pb__BlockAttrs *b = arena_new(a, Pb__BlockAttrs);

	if (s == NULL || b == NULL)
		return NULL;
	pb__block_attrs__init(b);
	b->name = text(row->name);
	b->type = text(row->type);
	b->required = row->required;
	s->block_attrs = b;
	return s;
}

static Pb__Spec *
with_preset(struct arena *a, Pb__Spec *primary, const char *preset)
{
	Pb__Spec *s = new_spec(a, PB__SPEC__BLOCK_DEFAULT_VALUE);
	Pb__Spec *value = new_spec(a, PB__SPEC__BLOCK_LITERAL);
	Pb__Default *d = arena_new(a, Pb__Default);
	Pb__Literal *literal = arena_new(a, Pb__Literal);

	if (s == NULL || value == NULL || d == NULL || literal == NULL)
		return NULL;
	pb__default__init(d);
	pb__literal__init(literal);
	literal->value = text(preset);
	value->literal = literal;
	d->primary = primary;
	d->preset = value;
	s->default_value = d;
	return s;
}

static Pb__Spec *
make_row(struct arena *a, const struct spec *row)
{
	static Pb__Spec *(*const makers[])(struct arena *, const struct spec *) = {
		[SPEC_ATTR] = attribute,
		[SPEC_BLOCK] = block,
		[SPEC_BLOCK_LIST] = block_list,
		[SPEC_BLOCK_ATTRS] = block_attrs,
	};
	Pb__Spec *s = makers[row->kind](a, row);

	return s != NULL && row->preset != NULL ? with_preset(a, s, row->preset) : s;
}

Pb__Spec *
schema_make(struct arena *a, const struct spec *rows)
{
	Pb__Spec *s = new_spec(a, PB__SPEC__BLOCK_OBJECT);
	Pb__Object *object = arena_new(a, Pb__Object);
	Pb__Object__AttributesEntry *entries;
	size_t n = 0;

	while (rows != NULL && rows[n].name != NULL)
		n++;
	entries = arena_get(a, n, sizeof(*entries));
	if (s == NULL || object == NULL || entries == NULL)
		return NULL;
	pb__object__init(object);
	object->attributes = arena_get(a, n, sizeof(*object->attributes));
	if (object->attributes == NULL)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		pb__object__attributes_entry__init(&entries[i]);
		entries[i].key = text(rows[i].name);
		entries[i].value = make_row(a, &rows[i]);
		object->attributes[object->n_attributes++] = &entries[i];
	}
	s->object = object;
	return a->failed ? NULL : s;
}
