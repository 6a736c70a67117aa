/* Extended attributes of a file as a sorted list; how they are asked for is each system's. */
#include "image/attrs.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_MAX (4u * 1024 * 1024)

void
attrs_init(struct attrs *a)
{
	a->n = 0;
	a->flags[0] = '\0';
	a->strict = false;
	buf_init(&a->text, TEXT_MAX);
}

void
attrs_fini(struct attrs *a)
{
	buf_fini(&a->text);
}

bool
attrs_add(struct attrs *a, const char *name, const void *value, size_t size)
{
	if (a->n == ATTRS_MAX)
		return false;
	/* Offsets while the buffer may still move. */
	a->v[a->n].name = (const char *)(uintptr_t)a->text.len;
	buf_add(&a->text, name, strlen(name) + 1);
	a->v[a->n].value = (const void *)(uintptr_t)a->text.len;
	a->v[a->n].size = size;
	buf_add(&a->text, size > 0 ? value : "", size > 0 ? size : 1);
	a->n++;
	return !a->text.failed;
}

static int
by_name(const void *a, const void *b)
{
	const struct tar_attr *x = a, *y = b;

	return strcmp(x->name, y->name);
}

void
attrs_finish(struct attrs *a)
{
	for (size_t i = 0; i < a->n; i++) {
		a->v[i].name = a->text.data + (uintptr_t)a->v[i].name;
		a->v[i].value = a->text.data + (uintptr_t)a->v[i].value;
	}
	qsort(a->v, a->n, sizeof(a->v[0]), by_name);
}

int
attrs_foreign(const char *what, struct err *e)
{
	return err_set(e, E_NOTSUP, "it has %s, which no layer carries", what);
}

int
attrs_read(struct attrs *a, int fd, struct err *e)
{
	int r;

	a->n = 0;
	a->flags[0] = '\0';
	buf_reset(&a->text);
	r = attrs_read_os(a, fd, e);
	if (r == 0 && a->text.nomem)
		r = err_nomem(e);
	if (r == 0)
		attrs_finish(a);
	return r;
}

bool
attrs_equal(const struct attrs *a, const struct attrs *b)
{
	if (a->n != b->n || strcmp(a->flags, b->flags) != 0)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->v[i].name, b->v[i].name) != 0 || a->v[i].size != b->v[i].size ||
		    memcmp(a->v[i].value, b->v[i].value, a->v[i].size) != 0)
			return false;
	return true;
}
