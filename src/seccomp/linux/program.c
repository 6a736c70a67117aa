/*
 * From decisions to a program: per architecture a search tree over ranges of
 * call numbers that get the same answer, and tests of arguments at its leaves.
 * A program written this way is a third of what one comparison per call takes,
 * and the kernel's work at load time grows with the length (docs/performance.md).
 *
 * Instructions are made from the last to the first, so that every jump goes
 * to a place that is already known. A jump's distance has 8 bits: an answer
 * that is too far behind is made again, other places get a stepping stone.
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>

#include "seccomp/linux/filter.h"

#define JUMP_MAX 255

/* Where to go on: an answer, or an instruction that is already made. */
struct place {
	bool is_ret;
	uint32_t ret;
	size_t at; /* counted from the program's end */
};

/* A run of call numbers from `first` on. Up to EXCEPTIONS numbers in it go elsewhere. */
#define EXCEPTIONS 3
struct run {
	uint32_t first;
	struct place to;
	unsigned nexc;
	uint32_t exc_nr[EXCEPTIONS];
	struct place exc_to[EXCEPTIONS];
};

struct maker {
	struct sock_filter *v; /* backwards */
	size_t n;
	bool full;
	bool wide;
	struct run *runs;
	size_t nruns;
};

static struct place
answer(uint32_t ret)
{
	return (struct place){ .is_ret = true, .ret = ret };
}

static bool
same(const struct place *a, const struct place *b)
{
	return a->is_ret == b->is_ret && (a->is_ret ? a->ret == b->ret : a->at == b->at);
}

static size_t
put(struct maker *m, uint16_t code, uint8_t jt, uint8_t jf, uint32_t k)
{
	if (m->n >= SEC_INSNS_MAX) {
		m->full = true;
		return 0;
	}
	m->v[m->n] = (struct sock_filter){ code, jt, jf, k };
	return m->n++;
}

/* How far the next instruction is from one that is there. */
static size_t
distance(const struct maker *m, size_t at)
{
	return m->n - at - 1;
}

/* The nearest instruction that answers so; made when there is none in reach. */
static size_t
reach_answer(struct maker *m, uint32_t ret)
{
	size_t from = m->n > JUMP_MAX - 1 ? m->n - (JUMP_MAX - 1) : 0;

	for (size_t i = m->n; i > from; i--) {
		if (m->v[i - 1].code == (BPF_RET | BPF_K) && m->v[i - 1].k == ret)
			return i - 1;
	}
	return put(m, BPF_RET | BPF_K, 0, 0, ret);
}

/* An instruction from which `p` goes on, near enough that two more may come before the jump to it. */
static size_t
reach(struct maker *m, const struct place *p)
{
	if (p->is_ret)
		return reach_answer(m, p->ret);
	if (distance(m, p->at) <= JUMP_MAX - 2)
		return p->at;
	return put(m, BPF_JMP | BPF_JA, 0, 0, (uint32_t)distance(m, p->at));
}

static struct place
branch(struct maker *m, uint16_t test, uint32_t k, const struct place *yes, const struct place *no)
{
	size_t jt, jf;

	if (same(yes, no))
		return *yes;
	jt = reach(m, yes);
	jf = reach(m, no);
	return (struct place){ .at = put(m, BPF_JMP | test | BPF_K, (uint8_t)distance(m, jt),
				   (uint8_t)distance(m, jf), k) };
}

/* An instruction that has no jump in it goes on with the one behind it. */
static struct place
straight(struct maker *m, uint16_t code, uint32_t k, const struct place *next)
{
	if (next->is_ret &&
	    (m->n == 0 || m->v[m->n - 1].code != (BPF_RET | BPF_K) || m->v[m->n - 1].k != next->ret))
		put(m, BPF_RET | BPF_K, 0, 0, next->ret);
	else if (!next->is_ret && next->at != m->n - 1)
		put(m, BPF_JMP | BPF_JA, 0, 0, (uint32_t)distance(m, next->at));
	return (struct place){ .at = put(m, code, 0, 0, k) };
}

/* Half of an argument: its lower or its upper 32 bits are compared. */
struct half {
	uint32_t offset, value, mask;
};

static struct half
half_of(const struct sec_cond *c, bool upper)
{
	uint64_t mask = c->op == SEC_MASKED ? c->mask : UINT64_MAX;

	return (struct half){
		/* Little-endian: both machines are. */
		.offset = (uint32_t)(offsetof(struct seccomp_data, args) + 8u * c->arg + (upper ? 4 : 0)),
		.value = (uint32_t)(upper ? c->value >> 32 : c->value),
		.mask = (uint32_t)(upper ? mask >> 32 : mask),
	};
}

static struct place
load(struct maker *m, uint32_t offset, const struct place *next)
{
	if (next->is_ret)
		return *next;
	return straight(m, BPF_LD | BPF_W | BPF_ABS, offset, next);
}

static struct place
equal_half(struct maker *m, const struct half *h, const struct place *yes, const struct place *no)
{
	struct place p;

	if ((h->value & ~h->mask) != 0)
		return *no;
	if (h->mask == 0)
		return *yes;
	p = branch(m, BPF_JEQ, h->value, yes, no);
	if (h->mask != UINT32_MAX && !p.is_ret)
		p = straight(m, BPF_ALU | BPF_AND | BPF_K, h->mask, &p);
	return load(m, h->offset, &p);
}

static struct place
equal(struct maker *m, const struct sec_cond *c, const struct place *yes, const struct place *no)
{
	struct half low = half_of(c, false), high = half_of(c, true);
	struct place p = equal_half(m, &low, yes, no);

	return m->wide ? equal_half(m, &high, &p, no) : p;
}

/* Unsigned: argument > value, or >= with or_equal. */
static struct place
greater(
    struct maker *m, const struct sec_cond *c, bool or_equal, const struct place *yes, const struct place *no)
{
	struct half low = half_of(c, false), high = half_of(c, true);
	struct place p = branch(m, or_equal ? BPF_JGE : BPF_JGT, low.value, yes, no);

	p = load(m, low.offset, &p);
	if (!m->wide)
		return p;
	p = branch(m, BPF_JEQ, high.value, &p, no);
	p = branch(m, BPF_JGT, high.value, yes, &p);
	return load(m, high.offset, &p);
}

static struct place
test(struct maker *m, const struct sec_cond *c, const struct place *yes, const struct place *no)
{
	switch (c->op) {
	case SEC_NE:
		return equal(m, c, no, yes);
	case SEC_LT:
		return greater(m, c, true, no, yes);
	case SEC_LE:
		return greater(m, c, false, no, yes);
	case SEC_GE:
		return greater(m, c, true, yes, no);
	case SEC_GT:
		return greater(m, c, false, yes, no);
	case SEC_EQ:
	case SEC_MASKED:
		break;
	}
	return equal(m, c, yes, no);
}

/* The n rules of one call, those with tests first. */
static struct place
call(struct maker *m, const struct sec_rule *r, size_t n, uint32_t otherwise)
{
	struct place next = answer(otherwise);
	size_t tested = 0;

	while (tested < n && r[tested].nconds > 0)
		tested++;
	if (tested < n)
		next = answer(r[tested].ret);
	for (size_t i = tested; i > 0; i--) {
		struct place yes = answer(r[i - 1].ret);

		for (unsigned c = r[i - 1].nconds; c > 0; c--)
			yes = test(m, &r[i - 1].conds[c - 1], &yes, &next);
		next = yes;
	}
	return next;
}

static void
add_run(struct maker *m, uint32_t first, struct place to)
{
	if (m->nruns > 0 && same(&m->runs[m->nruns - 1].to, &to))
		return;
	m->runs[m->nruns++] = (struct run){ .first = first, .to = to };
}

static void
make_runs(struct maker *m, const struct sec_arch *a, uint32_t otherwise)
{
	uint32_t next = 0; /* the first number not decided yet */

	for (size_t i = 0, n; i < a->nrules; i += n) {
		const struct sec_rule *r = &a->rules[i];

		for (n = 1; i + n < a->nrules && r[n].nr == r->nr; n++)
			;
		if (r->nr > next)
			add_run(m, next, answer(otherwise));
		next = r->nr + 1;
		if (r->ret != SEC_RET_ANY)
			add_run(m, r->nr, call(m, r, n, otherwise));
		else if (m->nruns == 0) /* else it goes with what is in front of it */
			add_run(m, r->nr, answer(otherwise));
	}
	add_run(m, next, answer(otherwise));
	if (a->limit != 0)
		add_run(m, a->limit, answer(SECCOMP_RET_ERRNO | ENOSYS));
}

/*
 * A single number between two runs of the same kind becomes an exception of
 * one run: one instruction instead of two.
 */
static void
fold_runs(struct maker *m)
{
	size_t out = 0;

	for (size_t i = 0; i < m->nruns; i++) {
		struct run *before = out > 0 ? &m->runs[out - 1] : NULL, *r = &m->runs[i];

		if (before != NULL && i + 1 < m->nruns && before->nexc < EXCEPTIONS &&
		    r[1].first == r->first + 1 && same(&before->to, &r[1].to)) {
			before->exc_nr[before->nexc] = r->first;
			before->exc_to[before->nexc++] = r->to;
			i++;
		} else {
			m->runs[out++] = *r;
		}
	}
	m->nruns = out;
}

static struct place
tree(struct maker *m, size_t from, size_t to)
{
	size_t middle = from + (to - from) / 2;
	struct place low, high;

	if (to - from == 1) {
		struct run *r = &m->runs[from];
		struct place p = r->to;

		for (unsigned i = 0; i < r->nexc; i++)
			p = branch(m, BPF_JEQ, r->exc_nr[i], &r->exc_to[i], &p);
		return p;
	}
	high = tree(m, middle, to);
	low = tree(m, from, middle);
	return branch(m, BPF_JGE, m->runs[middle].first, &high, &low);
}

static int
compare_rules(const void *va, const void *vb)
{
	const struct sec_rule *a = va, *b = vb;

	if (a->nr != b->nr)
		return a->nr < b->nr ? -1 : 1;
	if ((a->nconds == 0) != (b->nconds == 0))
		return a->nconds == 0 ? 1 : -1;
	return a->order < b->order ? -1 : 1;
}

static enum sec_result
make_arch(struct maker *m, struct sec_arch *a, uint32_t otherwise, struct place *entry)
{
	if (a->nrules > 0)
		qsort(a->rules, a->nrules, sizeof(*a->rules), compare_rules);
	m->runs = malloc((2 * a->nrules + 3) * sizeof(*m->runs));
	m->nruns = 0;
	m->wide = a->wide;
	if (m->runs == NULL)
		return SEC_NOMEM;
	make_runs(m, a, otherwise);
	fold_runs(m);
	*entry = tree(m, 0, m->nruns);
	*entry = load(m, offsetof(struct seccomp_data, nr), entry);
	free(m->runs);
	return SEC_OK;
}

enum sec_result
sec_program(struct sec_filter *f, struct sec_prog *prog)
{
	struct sock_filter *back = malloc(SEC_INSNS_MAX * sizeof(*back));
	struct maker m = { .v = back };
	struct place entry[SEC_ARCHS_MAX], p = answer(f->no_arch);
	enum sec_result r = back == NULL ? SEC_NOMEM : SEC_OK;

	for (unsigned i = f->narchs; r == SEC_OK && i > 0; i--)
		r = make_arch(&m, &f->archs[i - 1], f->otherwise, &entry[i - 1]);
	for (unsigned i = f->narchs; r == SEC_OK && i > 0; i--)
		p = branch(&m, BPF_JEQ, f->archs[i - 1].audit, &entry[i - 1], &p);
	if (r == SEC_OK) {
		straight(&m, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), &p);
		r = m.full ? SEC_TOO_LONG : SEC_OK;
	}
	prog->n = 0;
	for (size_t i = m.n; r == SEC_OK && i > 0; i--)
		prog->v[prog->n++] = back[i - 1];
	free(back);
	return r;
}

enum sec_result
sec_add(struct sec_arch *a, const struct sec_rule *rule)
{
	if (a->nrules == a->cap) {
		size_t cap = a->cap == 0 ? 512 : 2 * a->cap;
		struct sec_rule *v = cap > SEC_RULES_MAX ? NULL : realloc(a->rules, cap * sizeof(*v));

		if (v == NULL)
			return cap > SEC_RULES_MAX ? SEC_TOO_LONG : SEC_NOMEM;
		a->rules = v;
		a->cap = cap;
	}
	a->rules[a->nrules] = *rule;
	a->rules[a->nrules].order = (unsigned)a->nrules;
	a->nrules++;
	return SEC_OK;
}

void
sec_filter_fini(struct sec_filter *f)
{
	for (unsigned i = 0; i < f->narchs; i++)
		free(f->archs[i].rules);
	memset(f, 0, sizeof(*f));
}
