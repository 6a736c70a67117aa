/*
 * What follows from a list of changes: all names of a file go into the layer
 * when one does, and so do the directories above what goes.
 */
#include <stdlib.h>

#include "image/diff.h"

struct by_inode {
	uint64_t dev, ino;
	uint32_t index;
};

static int
compare_inodes(const void *a, const void *b)
{
	const struct by_inode *x = a, *y = b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

/* All names of a file go into the layer when one does: the first as the file, the others as links to it. */
static void
join_names(struct changes *c, const struct by_inode *v, size_t n)
{
	bool any = false;

	for (size_t i = 0; i < n; i++)
		any = any || c->v[v[i].index].emit;
	for (size_t i = 0; any && i < n; i++) {
		c->v[v[i].index].emit = true;
		if (i > 0)
			c->v[v[i].index].link = v[0].index;
	}
}

static int
join_links(struct changes *c, struct err *e)
{
	AUTO_FREE struct by_inode *v = NULL;
	size_t n = 0;

	for (size_t i = 0; i < c->n; i++)
		n += c->v[i].kind != CHANGE_DIR && c->v[i].kind != CHANGE_WHITEOUT && c->v[i].nlink > 1;
	if (n == 0)
		return 0;
	if ((v = calloc(n, sizeof(*v))) == NULL)
		return err_nomem(e);
	n = 0;
	for (size_t i = 0; i < c->n; i++)
		if (c->v[i].kind != CHANGE_DIR && c->v[i].kind != CHANGE_WHITEOUT && c->v[i].nlink > 1)
			v[n++] = (struct by_inode){ c->v[i].dev, c->v[i].ino, (uint32_t)i };
	qsort(v, n, sizeof(*v), compare_inodes);
	for (size_t i = 0, k; i < n; i = k) {
		for (k = i + 1; k < n && v[k].dev == v[i].dev && v[k].ino == v[i].ino;)
			k++;
		join_names(c, v + i, k - i);
	}
	return 0;
}

/* The directories above what goes into the layer go, too; a parent stands before its children. */
static void
emit_parents(struct changes *c)
{
	for (size_t i = c->n; i-- > 0;)
		if (c->v[i].emit && c->v[i].parent != CHANGE_NONE)
			c->v[c->v[i].parent].emit = true;
	for (size_t i = 0; i < c->n; i++)
		if (c->v[i].emit && c->v[i].link == CHANGE_NONE)
			c->bytes += c->v[i].size;
}

int
changes_settle(struct changes *c, struct err *e)
{
	int r = join_links(c, e);

	if (r == 0)
		emit_parents(c);
	return r;
}
