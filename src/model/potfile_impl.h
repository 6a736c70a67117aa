/* Between the files of the Potfile parser: the logical line, its places, the table of instructions. */
#ifndef MODEL_POTFILE_IMPL_H
#define MODEL_POTFILE_IMPL_H

#include "model/potfile.h"

/* From `at` in the logical line on, text comes from `src` in the file. */
struct potfile_segment {
	size_t at, src;
};

struct potfile_reader {
	struct potfile *pf;
	size_t pos; /* next byte of pf->text */
	struct buf line;
	struct potfile_segment *segments;
	size_t nsegments, cap;
	size_t counted;    /* up to here … */
	unsigned newlines; /* … so many lines have ended */
	size_t fault;      /* offset in the file of what failed */
	bool triggers;
};

/* Directives at the top; moves behind the BOM. */
int potfile_read_directives(struct potfile_reader *, struct err *) MUST_CHECK;
/* 1: r->line holds the next instruction; 0: the end. */
int potfile_read_line(struct potfile_reader *, struct err *) MUST_CHECK;
/* The line that was read to a step, with the here-documents behind it. */
int potfile_parse_step(struct potfile_reader *, struct potfile_step *, struct err *) MUST_CHECK;
/* Body of a here-document from the lines that follow. */
int potfile_read_heredoc(
    struct potfile_reader *, struct potfile_heredoc *, bool tabs, struct err *) MUST_CHECK;
/* Offset in the file of s, which points into r->line. */
size_t potfile_source(const struct potfile_reader *, const char *s);
/* Sets the fault and an E_INVAL. */
int potfile_fail(struct potfile_reader *, const char *s, struct err *, const char *fmt, ...) PRINTF(4, 5);

#define IN_VARS 1u     /* words are substituted */
#define IN_HEREDOC 2u  /* may have here-documents */
#define IN_TRIGGER 4u  /* may stand behind ONBUILD */
#define IN_SPLIT 8u    /* a value with blanks becomes several words */
#define IN_COMMAND 16u /* JSON or a command line */
#define IN_JSON 32u    /* JSON or words */
#define IN_REST 64u    /* one word, to the end of the line */
#define IN_PAIRS 128u  /* NAME=VALUE … */

struct potfile_row {
	const char *name, *usage;
	unsigned flags;
	size_t min, max; /* words */
};
extern const struct potfile_row potfile_rows[POTFILE_OPS];

/* Blanks, with quotes and escapes respected but kept. Length of the word at s; *open: a quote that does not end. */
size_t potfile_word_length(const char *s, char escape, const char **open);
/* A JSON array of strings: 1 and its strings appended; 0: it is not one. */
int potfile_json(const char *, struct strv *, struct err *) MUST_CHECK;
int potfile_add_word(struct potfile_step *, const char *text, size_t len, size_t at, struct err *) MUST_CHECK;
int potfile_add_flag(
    struct potfile_step *, const char *name, const char *value, size_t at, struct err *) MUST_CHECK;

/* Table of flags: finds the row's name (E_INVAL with the nearest); checks values that have no variable in them. */
const char *potfile_flag_find(enum potfile_op, const char *name, struct err *);
bool potfile_flag_repeats(enum potfile_op, const char *name);
int potfile_flag_check(
    enum potfile_op, const char *name, const char *value, bool expanded, struct err *) MUST_CHECK;
/* Words that are wholly known. *word: the index of the one that is wrong. */
int potfile_words_check(const struct potfile_step *, bool expanded, size_t *word, struct err *) MUST_CHECK;
/* In front of a message, the place. */
int potfile_locate(const struct potfile *, size_t at, struct potfile_place *where, struct err *);

#endif
