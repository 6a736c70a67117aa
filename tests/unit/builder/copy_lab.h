/* A context, a tree and a builder of which nothing is there but what COPY uses. */
#ifndef TEST_COPY_LAB_H
#define TEST_COPY_LAB_H

#include "../base/scratch.h"
#include "builder/copy_impl.h"

struct lab {
	struct scratch *scratch;
	int src, dst, build, tmp;
	struct eng eng;
	struct bld bld;
	char warning[256];
	unsigned looks; /* how often a tree was looked at */
};

/* What builder.c does in the real thing. lab_tree is what any tree is. */
extern struct lab *lab_now;

int lab_setup(void **state);
int lab_teardown(void **state);
#define lab_test(f) cmocka_unit_test_setup_teardown(f, lab_setup, lab_teardown)

/* One instruction, as it stands in a Potfile, from l->src to l->dst. */
int lab_copy(struct lab *, const char *text, struct err *);
int lab_digest(struct lab *, const char *text, struct digest *, struct err *);
/* Under the ignore rules of this text. */
int lab_copy_ignoring(struct lab *, const char *text, const char *rules, struct err *);
/* Calls between() after the digest and before the copy. */
int lab_copy_changing(struct lab *, const char *text, void (*between)(struct lab *), struct err *);

/* Every path below fd with its type, mode and content, one a line, sorted: "f 644 a/b=text\n". */
char *lab_list(int fd);
#define assert_tree(fd, want)                      \
	do {                                       \
		char *got_ = lab_list(fd);         \
		assert_string_equal(got_, (want)); \
		free(got_);                        \
	} while (0)

void lab_file(int dirfd, const char *path, const char *text); /* with its directories */
void lab_mode(int dirfd, const char *path, mode_t);

#endif
