/*
 * The order of a scan: nodes sorted by name, numbered, and the digest over
 * them. Pure. What a directory gives first, or which of a file's names it
 * gives first, shows nowhere.
 */
#include <string.h>

#include "builder/copy_scan.h"

static uint32_t
merge(const struct scan *s, uint32_t a, uint32_t b)
{
	uint32_t head = SCAN_NONE, *tail = &head;

	while (a != SCAN_NONE && b != SCAN_NONE) {
		bool first = strcmp(scan_text(s, s->nodes[a].name), scan_text(s, s->nodes[b].name)) <= 0;
		uint32_t *from = first ? &a : &b;

		*tail = *from;
		tail = &s->nodes[*from].next;
		*from = *tail;
	}
	*tail = a != SCAN_NONE ? a : b;
	return head;
}

/* Lists of 1, 2, 4 … sorted nodes are merged as they come: no more memory, any number of them. */
void
scan_sort(struct scan *s, uint32_t dir)
{
	uint32_t bins[33], node = s->nodes[dir].child, all = SCAN_NONE;
	size_t i;

	for (i = 0; i < ARRAY_LEN(bins); i++)
		bins[i] = SCAN_NONE;
	while (node != SCAN_NONE) {
		uint32_t next = s->nodes[node].next;

		s->nodes[node].next = SCAN_NONE;
		for (i = 0; i + 1 < ARRAY_LEN(bins) && bins[i] != SCAN_NONE; i++) {
			node = merge(s, bins[i], node);
			bins[i] = SCAN_NONE;
		}
		bins[i] = bins[i] == SCAN_NONE ? node : merge(s, bins[i], node);
		node = next;
	}
	for (i = 0; i < ARRAY_LEN(bins); i++)
		all = merge(s, bins[i], all);
	s->nodes[dir].child = all;
}

uint32_t
scan_next(const struct scan *s, uint32_t top, uint32_t at)
{
	if (s->nodes[at].child != SCAN_NONE)
		return s->nodes[at].child;
	while (at != top && s->nodes[at].next == SCAN_NONE)
		at = s->nodes[at].parent;
	return at == top ? SCAN_NONE : s->nodes[at].next;
}

void
scan_settle(struct scan *s, uint32_t top)
{
	uint32_t order = 0;

	/* The name that the directories happened to give first notes the one that comes first in order. */
	for (uint32_t at = top; at != SCAN_NONE; at = scan_next(s, top, at)) {
		struct scan_node *n = &s->nodes[at];

		n->order = order++;
		if (n->first != SCAN_NONE && s->nodes[n->first].lead == SCAN_NONE)
			s->nodes[n->first].lead = at;
	}
	for (uint32_t at = top; at != SCAN_NONE; at = scan_next(s, top, at)) {
		struct scan_node *n = &s->nodes[at];

		if (n->first != SCAN_NONE)
			n->first = s->nodes[n->first].lead;
	}
}

/* In a form without padding; numbers in the machine's order, as the table of sums has them. */
static int
add_node(const struct scan *s, const struct scan_item *item, uint32_t at, bool owners, struct hasher *h,
    struct err *e)
{
	static const struct sum none;
	const struct scan_node *n = &s->nodes[at];
	/* Where it is copied to, the top has another name, and of its content goes nothing but that. */
	bool top = at == item->node, bare = top && item->top;
	const char *name = top ? "" : scan_text(s, n->name);
	const char *target = S_ISLNK(n->mode) ? scan_text(s, n->link) : "";
	const uint64_t head[] = { bare ? S_IFDIR : n->mode, bare || !owners ? 0 : n->uid,
		bare || !owners ? 0 : n->gid, top ? 0 : s->nodes[n->parent].order,
		n->first == SCAN_NONE ? 0 : s->nodes[n->first].order, n->first != SCAN_NONE, n->implied,
		strlen(name) };
	int rc = hasher_add(h, head, sizeof(head), e);

	if (rc == 0)
		rc = hasher_add(h, name, strlen(name), e);
	if (rc == 0)
		rc = hasher_add(h, target, strlen(target) + 1, e);
	return rc < 0 ? rc : hasher_add(h, bare ? &none : &n->sum, sizeof(n->sum), e);
}

int
scan_digest(const struct scan *s, bool owners, struct hasher *h, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < s->nitems && rc == 0; i++) {
		const struct scan_item *item = &s->items[i];
		/* Only what is copied itself has a name where it goes. */
		const char *name = item->top ? "" : scan_text(s, item->name);
		const uint64_t head[] = { item->top, item->glob, item->parents, strlen(name) };

		rc = hasher_add(h, head, sizeof(head), e);
		if (rc == 0)
			rc = hasher_add(h, name, strlen(name), e);
		for (uint32_t at = item->node; at != SCAN_NONE && rc == 0; at = scan_next(s, item->node, at))
			rc = add_node(s, item, at, owners, h, e);
	}
	return rc;
}
