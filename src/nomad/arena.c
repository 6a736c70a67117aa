/*
 * Memory in chunks; a large piece has one of its own.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "nomad/arena.h"

#define CHUNK ((size_t)4096 - 64) /* with malloc's own a page */
#define ALIGN _Alignof(max_align_t)

struct arena_chunk {
	struct arena_chunk *next;
	size_t left;
	_Alignas(max_align_t) char data[];
};

static void *
pb_alloc(void *arg, size_t size)
{
	return arena_get(arg, 1, size);
}

static void
pb_free(void *arg, void *p)
{
}

void
arena_init(struct arena *a, size_t max)
{
	*a = (struct arena){ NULL, 0, max, false, { pb_alloc, pb_free, a } };
}

void
arena_fini(struct arena *a)
{
	while (a->chunks != NULL) {
		struct arena_chunk *c = a->chunks;

		a->chunks = c->next;
		free(c);
	}
	a->used = 0;
}

static struct arena_chunk *
add_chunk(struct arena *a, size_t need)
{
	size_t size = need > CHUNK / 4 ? need : CHUNK;
	struct arena_chunk *c;

	if (a->max - a->used < size)
		return NULL;
	c = malloc(sizeof(*c) + size);
	if (c == NULL)
		return NULL;
	a->used += size;
	c->left = size;
	/* A piece with a chunk of its own goes behind the one that still has room. */
	if (size == CHUNK || a->chunks == NULL) {
		c->next = a->chunks;
		a->chunks = c;
	} else {
		c->next = a->chunks->next;
		a->chunks->next = c;
	}
	return c;
}

void *
arena_get(struct arena *a, size_t n, size_t size)
{
	struct arena_chunk *c = a->chunks;
	size_t need;
	void *p;

	if (__builtin_mul_overflow(n, size, &need) || need > SIZE_MAX - ALIGN) {
		a->failed = true;
		return NULL;
	}
	need = need == 0 ? ALIGN : (need + ALIGN - 1) / ALIGN * ALIGN;
	if (c == NULL || c->left < need)
		c = add_chunk(a, need);
	if (c == NULL) {
		a->failed = true;
		return NULL;
	}
	/* From its end downwards: what is left says where. */
	c->left -= need;
	p = c->data + c->left;
	memset(p, 0, need);
	return p;
}

char *
arena_text(struct arena *a, const char *text)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(a->max);
	char *copy;

	if (text == NULL)
		return NULL;
	text_escape(text, strlen(text), &b);
	copy = b.failed ? NULL : arena_get(a, 1, b.len + 1);
	if (copy == NULL)
		a->failed = true;
	else
		memcpy(copy, buf_cstr(&b), b.len);
	return copy;
}
