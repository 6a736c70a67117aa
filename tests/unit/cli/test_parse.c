/* The option parser, on a table of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "cli/cmd.h"

#include "base/auto.h"

const struct opt opt_globals[] = {
	{ "root", 0, "DIR", OPT_DIR, "" },
	{ "format", 0, "table|json", 0, "" },
	{ "quiet", 'q', NULL, 0, "" },
	{ "verbose", 'v', NULL, 0, "" },
	{ "help", 'h', NULL, 0, "" },
	OPT_END,
};

static const struct opt start_opts[] = {
	{ "attach", 'a', NULL, OPT_STATUS, "" },
	{ "time", 't', "SECONDS", 0, "" },
	{ "kind", 'k', "single|multi", 0, "" },
	{ "list", 'l', NULL, OPT_SOLO, "" },
	{ "base", 'b', "BASE", OPT_NOPOT, "" },
	OPT_END,
};
static const struct cmd cmd_start = {
	.name = "start", .aliases = { "up", "go" }, .args = "", .pot = POT_MANY, .opts = start_opts
};

static const struct opt exec_opts[] = {
	{ "tty", 't', NULL, 0, "" },
	{ "env", 'e', "NAME=VALUE", OPT_MANY, "" },
	OPT_END,
};
static const struct cmd cmd_exec = { .name = "exec",
	.args = "COMMAND",
	.min = 1,
	.max = -1,
	.pot = POT_ONE,
	.flags = CMD_TAIL,
	.opts = exec_opts };

static const struct opt list_opts[] = {
	{ "pots", 'p', NULL, 0, "" },
	OPT_END,
};
static const struct cmd cmd_list = { .name = "list", .args = "", .pot = POT_NONE, .opts = list_opts };

static const struct opt set_opts[] = {
	{ "attribute", 'A', "ATTRIBUTE", OPT_MUST, "" },
	OPT_END,
};
static const struct cmd cmd_set = {
	.name = "set", .args = "[VALUE]", .max = 1, .pot = POT_ONE, .opts = set_opts
};
static const struct opt watch_opts[] = {
	{ "once", 0, NULL, 0, "" },
	OPT_END,
};
static const struct cmd cmd_watch = { .name = "watch", .args = "", .pot = POT_ANY, .opts = watch_opts };
static const struct cmd cmd_secret = { .name = "_secret", .args = "", .flags = CMD_HIDDEN };

static const struct cmd *const table[] = { &cmd_start, &cmd_exec, &cmd_list, &cmd_set, &cmd_watch,
	&cmd_secret, NULL };

struct fixture {
	struct args a;
	struct err e;
	int rc;
};

/* Parses "pot WORD…", words separated by blanks; "%" stands for an empty word. */
static void
parse(struct fixture *f, const char *line)
{
	static char copy[512], *argv[64];
	int argc = 0;

	memset(f, 0, sizeof(*f));
	snprintf(copy, sizeof(copy), "pot %s", line);
	for (char *w = strtok(copy, " "); w != NULL; w = strtok(NULL, " "))
		argv[argc++] = strcmp(w, "%") == 0 ? w + 1 : w;
	argv[argc] = NULL;
	f->rc = args_parse(&f->a, argc, argv, table, &f->e);
}

static void
good(struct fixture *f, const char *line)
{
	parse(f, line);
	if (f->rc != 0)
		fail_msg("'%s': %s", line, f->e.msg);
}

static void
bad(const char *line, const char *message, const char *hint)
{
	struct fixture f;

	parse(&f, line);
	if (f.rc != -E_USAGE || strstr(f.e.msg, message) == NULL || strstr(f.e.hint, hint) == NULL)
		fail_msg("'%s': %d '%s' (%s)", line, f.rc, f.e.msg, f.e.hint);
	args_fini(&f.a);
}

/* Words of a vector, joined by commas. */
static const char *
joined(const char *const *v)
{
	static char text[256];

	text[0] = '\0';
	for (; *v != NULL; v++) {
		strncat(text, *v, sizeof(text) - strlen(text) - 1);
		if (v[1] != NULL)
			strncat(text, ",", sizeof(text) - strlen(text) - 1);
	}
	return text;
}

#define rest_of(f) joined((const char *const *)(f).a.rest)

static void
finds_the_pot(void **state)
{
	static const char *const lines[] = { "start web", "start -p web", "start -pweb", "start --pot web",
		"start --pot=web", "start -a web", "start web -a", "up web", "go web", "start -- web" };
	struct fixture f;

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		good(&f, lines[i]);
		assert_ptr_equal(f.a.cmd, &cmd_start);
		assert_string_equal(joined(f.a.pots), "web");
		assert_int_equal(f.a.nrest, 0);
		args_fini(&f.a);
	}
	good(&f, "start a -p b c --pot=d");
	assert_string_equal(joined(f.a.pots), "b,d,a,c");
	args_fini(&f.a);
}

static void
takes_any_pots(void **state)
{
	struct fixture f;

	good(&f, "watch");
	assert_int_equal(f.a.npots, 0);
	assert_null(f.a.pots[0]);
	args_fini(&f.a);
	good(&f, "watch --once web db");
	assert_string_equal(joined(f.a.pots), "web,db");
	args_fini(&f.a);
	good(&f, "watch -p web db --once");
	assert_string_equal(joined(f.a.pots), "web,db");
	assert_int_equal(f.a.nrest, 0);
	args_fini(&f.a);
	bad("watch web %", "name of the pot is empty", "pot help watch");
	bad("watch -p", "option '-p' needs NAME", "pot help watch");
}

static void
reads_options(void **state)
{
	struct fixture f;

	good(&f, "start -at 10 web");
	assert_true(args_has(&f.a, "attach"));
	assert_string_equal(args_value(&f.a, "time"), "10");
	assert_true(args_flagged(&f.a, OPT_STATUS));
	args_fini(&f.a);
	good(&f, "start -at10 web");
	assert_string_equal(args_value(&f.a, "time"), "10");
	args_fini(&f.a);
	good(&f, "start --time=10 --attach web");
	assert_string_equal(args_value(&f.a, "time"), "10");
	args_fini(&f.a);
	good(&f, "start --time= web");
	assert_string_equal(args_value(&f.a, "time"), "");
	args_fini(&f.a);
	good(&f, "start -t -5 web"); /* a value may begin with a hyphen */
	assert_string_equal(args_value(&f.a, "time"), "-5");
	assert_false(args_has(&f.a, "attach"));
	assert_null(args_value(&f.a, "kind"));
	args_fini(&f.a);
	good(&f, "start -aaaa web");
	assert_int_equal(args_count(&f.a, "attach"), 4);
	args_fini(&f.a);
}

static void
takes_global_options_anywhere(void **state)
{
	static const char *const lines[] = { "--root /x -q -vv start web", "start web --root=/x -q -v -v",
		"--root=/x start -q web -vv", "-qvv --root /x start web" };
	struct fixture f;

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		good(&f, lines[i]);
		assert_string_equal(args_value(&f.a, "root"), "/x");
		assert_true(args_has(&f.a, "quiet"));
		assert_int_equal(args_count(&f.a, "verbose"), 2);
		assert_string_equal(joined(f.a.pots), "web");
		args_fini(&f.a);
	}
}

static void
leaves_a_command_alone(void **state)
{
	struct fixture f;

	good(&f, "exec web ls -t -e x --root --");
	assert_string_equal(rest_of(f), "ls,-t,-e,x,--root,--");
	assert_false(args_has(&f.a, "tty"));
	assert_string_equal(joined(f.a.pots), "web");
	args_fini(&f.a);
	good(&f, "exec -p web ls -t");
	assert_string_equal(rest_of(f), "ls,-t");
	args_fini(&f.a);
	good(&f, "exec web -t ls -q");
	assert_true(args_has(&f.a, "tty"));
	assert_false(args_has(&f.a, "quiet"));
	assert_string_equal(rest_of(f), "ls,-q");
	args_fini(&f.a);
	good(&f, "exec -t -- web -x -t");
	assert_string_equal(rest_of(f), "-x,-t");
	assert_int_equal(args_count(&f.a, "tty"), 1);
	args_fini(&f.a);
	good(&f, "exec web -- ls -t");
	assert_string_equal(rest_of(f), "ls,-t");
	args_fini(&f.a);
	good(&f, "exec web ls -p other"); /* -p is the command's own */
	assert_string_equal(joined(f.a.pots), "web");
	assert_string_equal(rest_of(f), "ls,-p,other");
	args_fini(&f.a);
	good(&f, "exec web sh -c -h");
	assert_false(f.a.help);
	args_fini(&f.a);
}

static void
repeats(void **state)
{
	struct fixture f;
	AUTO_FREE char **values = NULL;

	good(&f, "exec -e A=1 --env B=2 --env=C=3 web ls");
	values = args_values(&f.a, "env");
	assert_string_equal(joined((const char *const *)values), "A=1,B=2,C=3");
	args_fini(&f.a);
	bad("start -t 1 -t 2 web", "given twice", "pot help start");
	bad("start --root a --root b web", "given twice", "pot help start");
}

static void
prefers_the_row(void **state)
{
	struct fixture f;

	good(&f, "list -p");
	assert_true(args_has(&f.a, "pots"));
	assert_int_equal(f.a.npots, 0);
	args_fini(&f.a);
}

static void
stands_in_for_the_pot(void **state)
{
	struct fixture f;

	good(&f, "start -l");
	assert_true(args_flagged(&f.a, OPT_SOLO));
	args_fini(&f.a);
	good(&f, "start -b base");
	assert_int_equal(f.a.npots, 0);
	args_fini(&f.a);
	good(&f, "set -A x web value");
	assert_string_equal(joined(f.a.pots), "web");
	assert_string_equal(rest_of(f), "value");
	args_fini(&f.a);
	bad("start -b base web", "unexpected argument 'web'", "");
	bad("start -b base -p web", "either a pot or", "");
	bad("start -l web", "unexpected argument 'web'", "");
}

static void
helps_whatever_else_is_wrong(void **state)
{
	static const char *const lines[] = { "start -h", "-h start", "start --help --nonsense", "set -h" };
	struct fixture f;

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		good(&f, lines[i]);
		assert_true(f.a.help);
		assert_non_null(f.a.cmd);
		args_fini(&f.a);
	}
	good(&f, "-h");
	assert_true(f.a.help);
	assert_null(f.a.cmd);
	args_fini(&f.a);
	parse(&f, "");
	assert_int_equal(f.rc, 0);
	assert_null(f.a.cmd);
	args_fini(&f.a);
}

static void
refuses(void **state)
{
	bad("strat web", "unknown command 'strat'", "did you mean 'start'");
	bad("lst", "unknown command 'lst'", "did you mean 'list'");
	bad("xyzzy", "unknown command 'xyzzy'", "see 'pot help'");
	bad("_secre", "unknown command", "see 'pot help'"); /* hidden: not suggested */
	bad("start --atach web", "start: unknown option '--atach'",
	    "did you mean '--attach'? See 'pot help start'");
	bad("start --verbos web", "unknown option", "did you mean '--verbose'");
	bad("start --zzzzzz web", "unknown option '--zzzzzz'", "pot help start");
	bad("--nonsense", "unknown option '--nonsense'", "see 'pot help'");
	bad("start -x web", "unknown option '-x'", "pot help start");
	bad("start -ax web", "unknown option '-x'", "");
	bad("start", "which pot?", "pot help start");
	bad("start -t", "option '-t' needs SECONDS", "");
	bad("start --time", "option '--time' needs SECONDS", "");
	bad("start --attach=yes web", "takes no value", "");
	bad("start -k double web", "'double' is not one of single|multi", "");
	bad("start -k singl web", "is not one of", "");
	bad("start -k single|multi web", "is not one of", "");
	bad("--format xml start web", "'xml' is not one of table|json", "");
	bad("start %", "the name of the pot is empty", "");
	bad("start -p %", "the name of the pot is empty", "");
	bad("set web", "option '-A' ('--attribute ATTRIBUTE') is missing", "");
	bad("set -A x web a b", "unexpected argument 'b'", "");
	bad("set -A x -p a -p b", "a second one", "");
	bad("exec web", "missing argument: COMMAND", "pot help exec");
	bad("exec", "which pot?", "");
	bad("list web", "unexpected argument 'web'", "");
	bad("list --pot web", "unknown option '--pot'", "did you mean '--pots'");
}

static void
knows_hidden_verbs(void **state)
{
	struct fixture f;

	good(&f, "_secret");
	assert_ptr_equal(f.a.cmd, &cmd_secret);
	args_fini(&f.a);
}

static void
excludes(void **state)
{
	struct fixture f;

	good(&f, "start -a -t 3 web");
	assert_int_equal(args_exclusive(&f.a, "attach", "time", &f.e), -E_USAGE);
	assert_non_null(strstr(f.e.msg, "exclude each other"));
	assert_int_equal(args_exclusive(&f.a, "attach", "kind", &f.e), 0);
	args_fini(&f.a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_the_pot),
		cmocka_unit_test(takes_any_pots),
		cmocka_unit_test(reads_options),
		cmocka_unit_test(takes_global_options_anywhere),
		cmocka_unit_test(leaves_a_command_alone),
		cmocka_unit_test(repeats),
		cmocka_unit_test(prefers_the_row),
		cmocka_unit_test(stands_in_for_the_pot),
		cmocka_unit_test(helps_whatever_else_is_wrong),
		cmocka_unit_test(refuses),
		cmocka_unit_test(knows_hidden_verbs),
		cmocka_unit_test(excludes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
