/*
 * pot completion: scripts for bash, zsh and fish, written from the rows. Names
 * of pots, bases and signals are asked of pot itself when a key is pressed.
 */
#include <string.h>

#include "cli/cli.h"
#include "model/attr.h"

typedef void opt_fn(const struct cmd *, const struct opt *);

/* All options of a verb: its own, the pot's, the global ones. cmd NULL: only those. */
static void
each_opt(const struct cmd *cmd, opt_fn *fn)
{
	if (cmd != NULL && cmd->pot != POT_NONE)
		fn(cmd, &opt_pot);
	for (const struct opt *o = cmd != NULL ? cmd->opts : NULL; o != NULL && o->name != NULL; o++)
		fn(cmd, o);
	for (const struct opt *o = opt_globals; o->name != NULL; o++)
		fn(cmd, o);
}

static bool
is_shown(const struct cmd *c)
{
	return (c->flags & CMD_HIDDEN) == 0;
}

/* What the positionals of a verb are: pots first, where it takes them. */
static unsigned
arg_kind(const struct cmd *c)
{
	if (c->pot != POT_NONE && (c->flags & CMD_NEWPOT) == 0)
		return OPT_POT;
	return c->arg_kind;
}

static void
put_attributes(void)
{
	for (size_t i = 0; i < attr_count; i++)
		printf("%s%s", i > 0 ? " " : "", attr_table[i].name);
}

/* A choice "a|b|c" with blanks between. */
static void
put_choices(const char *arg)
{
	for (; *arg != '\0'; arg++)
		putchar(*arg == '|' ? ' ' : *arg);
}

static bool
is_choice(const struct opt *o)
{
	return o->arg != NULL && strchr(o->arg, '|') != NULL;
}

static void
put_names(const struct cmd *c, const char *between)
{
	fputs(c->name, stdout);
	for (size_t i = 0; c->aliases[i] != NULL; i++)
		printf("%s%s", between, c->aliases[i]);
}

static void
put_verbs(bool aliases)
{
	const char *blank = "";

	for (const struct cmd *const *c = cmd_table; *c != NULL; c++) {
		if (!is_shown(*c))
			continue;
		fputs(blank, stdout);
		if (aliases)
			put_names(*c, " ");
		else
			fputs((*c)->name, stdout);
		blank = " ";
	}
}

/* ---- bash ------------------------------------------------------------------------ */

static const char bash_head[] =
    "# Completion of pot(8) for bash: eval \"$(pot completion bash)\"\n"
    "_pot_ask() {\n"
    "\tlocal i root=()\n"
    "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
    "\t\tcase ${COMP_WORDS[i]} in\n"
    "\t\t--root) root=(--root \"${COMP_WORDS[i+1]}\") ;;\n"
    "\t\tesac\n"
    "\tdone\n"
    "\tcommand pot \"${root[@]}\" \"$@\" 2>/dev/null\n"
    "}\n"
    "_pot_words() { COMPREPLY=($(compgen -W \"$*\" -- \"$cur\")); }\n"
    "_pot_files() { compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- \"$cur\")); }\n"
    "_pot_dirs() { compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- \"$cur\")); }\n"
    "_pot() {\n"
    "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb= i verbs opts\n"
    "\tCOMPREPLY=()\n"
    "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
    "\t\tcase ${COMP_WORDS[i]} in\n"
    "\t\t--root | --config | --format) ((i++)) ;;\n"
    "\t\t-*) ;;\n"
    "\t\t*) verb=${COMP_WORDS[i]}; break ;;\n"
    "\t\tesac\n"
    "\tdone\n";

static void
bash_kind(unsigned kind)
{
	if ((kind & OPT_FILE) != 0)
		fputs("_pot_files", stdout);
	else if ((kind & OPT_DIR) != 0)
		fputs("_pot_dirs", stdout);
	else if ((kind & OPT_POT) != 0)
		fputs("_pot_words \"$(_pot_ask list -q)\"", stdout);
	else if ((kind & OPT_BASE) != 0)
		fputs("_pot_words \"$(_pot_ask list -b -q)\"", stdout);
	else if ((kind & OPT_BRIDGE) != 0)
		fputs("_pot_words \"$(_pot_ask list -B -q)\"", stdout);
	else if ((kind & OPT_SIGNAL) != 0)
		fputs("_pot_words \"$(_pot_ask kill -l)\"", stdout);
	else if ((kind & OPT_ATTR) != 0) {
		fputs("_pot_words ", stdout);
		put_attributes();
	} else if ((kind & OPT_VERB) != 0)
		fputs("_pot_words \"$verbs\"", stdout);
	else
		fputs(":", stdout);
}

/* One arm of the case on "VERB OPTION" that completes the option's value. */
static void
bash_arm(const struct cmd *cmd, const struct opt *o)
{
	if (o->arg == NULL)
		return;
	printf("\t\"%s --%s\"", cmd != NULL ? cmd->name : "", o->name);
	if (o->letter != 0)
		printf(" | \"%s -%c\"", cmd != NULL ? cmd->name : "", o->letter);
	fputs(") ", stdout);
	if (is_choice(o)) {
		fputs("_pot_words ", stdout);
		put_choices(o->arg);
	} else if (o == &opt_pot && cmd != NULL && (cmd->flags & CMD_NEWPOT) != 0) {
		putchar(':');
	} else {
		bash_kind(o->flags);
	}
	fputs("; return ;;\n", stdout);
}

static void
bash_opt(const struct cmd *cmd, const struct opt *o)
{
	printf(" --%s", o->name);
	if (o->letter != 0)
		printf(" -%c", o->letter);
}

static void
bash_script(void)
{
	fputs(bash_head, stdout);
	fputs("\tverbs=\"", stdout);
	put_verbs(true);
	fputs("\"\n\tcase $verb in\n", stdout);
	for (const struct cmd *const *c = cmd_table; *c != NULL; c++) {
		if (!is_shown(*c) || (*c)->aliases[0] == NULL)
			continue;
		fputs("\t", stdout);
		for (size_t i = 0; (*c)->aliases[i] != NULL; i++)
			printf("%s%s", i > 0 ? " | " : "", (*c)->aliases[i]);
		printf(") verb=%s ;;\n", (*c)->name);
	}
	fputs("\tesac\n\tcase \"$verb $prev\" in\n", stdout);
	for (const struct opt *o = opt_globals; o->name != NULL; o++)
		bash_arm(NULL, o);
	for (const struct cmd *const *c = cmd_table; *c != NULL; c++)
		if (is_shown(*c))
			each_opt(*c, bash_arm);
	fputs("\tesac\n\tcase $verb in\n", stdout);
	for (const struct cmd *const *c = cmd_table; *c != NULL; c++) {
		if (!is_shown(*c))
			continue;
		printf("\t%s)\n\t\topts=\"", (*c)->name);
		each_opt(*c, bash_opt);
		fputs("\"\n\t\t[[ $cur == -* ]] || { ", stdout);
		bash_kind(arg_kind(*c));
		fputs("; return; }\n\t\t;;\n", stdout);
	}
	fputs("\t*)\n\t\topts=\"", stdout);
	each_opt(NULL, bash_opt);
	fputs("\"\n\t\t[[ $cur == -* ]] || { _pot_words \"$verbs\"; return; }\n\t\t;;\n\tesac\n"
	      "\t_pot_words \"$opts\"\n}\ncomplete -F _pot pot\n",
	    stdout);
}

/* ---- zsh ------------------------------------------------------------------------- */

/* In a quoted word of _arguments: no quote, bracket or colon of ours may end something. */
static void
zsh_text(const char *s)
{
	for (; *s != '\0'; s++) {
		if (*s == '\'')
			fputs("'\\''", stdout);
		else if (strchr("[]:\\", *s) != NULL)
			printf("\\%c", *s);
		else
			putchar(*s);
	}
}

static void
zsh_kind(unsigned kind)
{
	if ((kind & OPT_FILE) != 0)
		fputs("_files", stdout);
	else if ((kind & OPT_DIR) != 0)
		fputs("_files -/", stdout);
	else if ((kind & OPT_POT) != 0)
		fputs("_pot_pots", stdout);
	else if ((kind & OPT_BASE) != 0)
		fputs("_pot_bases", stdout);
	else if ((kind & OPT_BRIDGE) != 0)
		fputs("_pot_bridges", stdout);
	else if ((kind & OPT_SIGNAL) != 0)
		fputs("_pot_signals", stdout);
	else if ((kind & OPT_VERB) != 0)
		fputs("_pot_verbs", stdout);
	else if ((kind & OPT_ATTR) != 0) {
		putchar('(');
		put_attributes();
		putchar(')');
	} else {
		putchar(' ');
	}
}

static void
zsh_spec(const struct cmd *cmd, const struct opt *o, bool letter)
{
	bool new_name = o == &opt_pot && cmd != NULL && (cmd->flags & CMD_NEWPOT) != 0;

	fputs("\t\t'", stdout);
	if ((o->flags & OPT_MANY) != 0)
		putchar('*');
	if (letter)
		printf("-%c", o->letter);
	else
		printf("--%s", o->name);
	putchar('[');
	zsh_text(o->text);
	putchar(']');
	if (o->arg != NULL) {
		putchar(':');
		zsh_text(is_choice(o) ? o->name : o->arg);
		putchar(':');
		if (is_choice(o)) {
			putchar('(');
			put_choices(o->arg);
			putchar(')');
		} else {
			zsh_kind(new_name ? 0 : o->flags);
		}
	}
	fputs("' \\\n", stdout);
}

static void
zsh_opt(const struct cmd *cmd, const struct opt *o)
{
	if (o->letter != 0)
		zsh_spec(cmd, o, true);
	zsh_spec(cmd, o, false);
}

static const char zsh_head[] =
    "#compdef pot\n"
    "# Completion of pot(8) for zsh: pot completion zsh > a directory of $fpath/_pot\n"
    "_pot_pots() { compadd -- ${(f)\"$(command pot list -q 2>/dev/null)\"} }\n"
    "_pot_bases() { compadd -- ${(f)\"$(command pot list -b -q 2>/dev/null)\"} }\n"
    "_pot_bridges() { compadd -- ${(f)\"$(command pot list -B -q 2>/dev/null)\"} }\n"
    "_pot_signals() { compadd -- ${(f)\"$(command pot kill -l 2>/dev/null)\"} }\n";

static void
zsh_script(void)
{
	fputs(zsh_head, stdout);
	fputs("_pot_verbs() {\n\tlocal -a verbs=(\n", stdout);
	for (const struct cmd *const *c = cmd_table; *c != NULL; c++) {
		if (!is_shown(*c))
			continue;
		printf("\t\t'%s:", (*c)->name);
		zsh_text((*c)->summary);
		fputs("'\n", stdout);
		for (size_t i = 0; (*c)->aliases[i] != NULL; i++)
			printf("\t\t'%s:the same as %s'\n", (*c)->aliases[i], (*c)->name);
	}
	fputs("\t)\n\t_describe command verbs\n}\n_pot() {\n\tlocal context state line\n\t_arguments -C \\\n",
	    stdout);
	each_opt(NULL, zsh_opt);
	fputs("\t\t'1:command:_pot_verbs' '*::argument:->verb'\n\t[[ $state == verb ]] || return\n\tcase "
	      "$line[1] in\n",
	    stdout);
	for (const struct cmd *const *c = cmd_table; *c != NULL; c++) {
		if (!is_shown(*c))
			continue;
		putchar('\t');
		put_names(*c, "|");
		fputs(")\n\t\t_arguments -s \\\n", stdout);
		each_opt(*c, zsh_opt);
		fputs("\t\t'*:argument:", stdout);
		zsh_kind(arg_kind(*c));
		fputs("' ;;\n", stdout);
	}
	fputs("\tesac\n}\nif [[ $funcstack[1] == _pot ]]; then _pot \"$@\"; else compdef _pot pot; fi\n",
	    stdout);
}

/* ---- fish ------------------------------------------------------------------------- */

static void
fish_text(const char *s)
{
	putchar('\'');
	for (; *s != '\0'; s++) {
		if (*s == '\'' || *s == '\\')
			putchar('\\');
		putchar(*s);
	}
	putchar('\'');
}

static void
fish_kind(unsigned kind)
{
	if ((kind & OPT_FILE) != 0)
		fputs(" -F", stdout);
	else if ((kind & OPT_DIR) != 0)
		fputs(" -a '(__fish_complete_directories)'", stdout);
	else if ((kind & OPT_POT) != 0)
		fputs(" -a '(command pot list -q 2>/dev/null)'", stdout);
	else if ((kind & OPT_BASE) != 0)
		fputs(" -a '(command pot list -b -q 2>/dev/null)'", stdout);
	else if ((kind & OPT_BRIDGE) != 0)
		fputs(" -a '(command pot list -B -q 2>/dev/null)'", stdout);
	else if ((kind & OPT_SIGNAL) != 0)
		fputs(" -a '(command pot kill -l 2>/dev/null)'", stdout);
	else if ((kind & (OPT_ATTR | OPT_VERB)) != 0) {
		fputs(" -a '", stdout);
		if ((kind & OPT_ATTR) != 0)
			put_attributes();
		else
			put_verbs(true);
		putchar('\'');
	}
}

static void
fish_opt(const struct cmd *cmd, const struct opt *o)
{
	bool new_name = o == &opt_pot && cmd != NULL && (cmd->flags & CMD_NEWPOT) != 0;

	fputs("complete -c pot", stdout);
	if (cmd != NULL) {
		fputs(" -n '__fish_seen_subcommand_from ", stdout);
		put_names(cmd, " ");
		putchar('\'');
	}
	printf(" -l %s", o->name);
	if (o->letter != 0)
		printf(" -s %c", o->letter);
	if (o->arg != NULL)
		fputs(" -x", stdout);
	if (is_choice(o)) {
		fputs(" -a '", stdout);
		put_choices(o->arg);
		putchar('\'');
	} else if (!new_name) {
		fish_kind(o->flags);
	}
	fputs(" -d ", stdout);
	fish_text(o->text);
	putchar('\n');
}

static void
fish_verb(const struct cmd *c)
{
	printf("complete -c pot -n __fish_use_subcommand -a '");
	put_names(c, " ");
	fputs("' -d ", stdout);
	fish_text(c->summary);
	putchar('\n');
	if (c->pot != POT_NONE)
		fish_opt(c, &opt_pot);
	for (const struct opt *o = c->opts; o != NULL && o->name != NULL; o++)
		fish_opt(c, o);
	if (arg_kind(c) == 0)
		return;
	fputs("complete -c pot -n '__fish_seen_subcommand_from ", stdout);
	put_names(c, " ");
	putchar('\'');
	fish_kind(arg_kind(c));
	putchar('\n');
}

static void
fish_script(void)
{
	fputs("# Completion of pot(8) for fish: pot completion fish | source\ncomplete -c pot -f\n", stdout);
	for (const struct opt *o = opt_globals; o->name != NULL; o++)
		fish_opt(NULL, o);
	for (const struct cmd *const *c = cmd_table; *c != NULL; c++)
		if (is_shown(*c))
			fish_verb(*c);
}

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	static const struct shell {
		const char *name;
		void (*write)(void);
	} shells[] = { { "bash", bash_script }, { "zsh", zsh_script }, { "fish", fish_script } };

	for (size_t i = 0; i < ARRAY_LEN(shells); i++) {
		if (strcmp(a->rest[0], shells[i].name) == 0) {
			shells[i].write();
			return 0;
		}
	}
	return args_usage(a, e, "no completion for '%.32s': bash, zsh or fish", a->rest[0]);
}

const struct cmd cmd_completion = {
	.name = "completion",
	.group = "Help",
	.summary = "write the completion script of a shell",
	.text =
	    "Prints a script for bash, zsh or fish that completes commands, options and the names of pots,\n"
	    "bases, signals and attributes.",
	.args = "bash|zsh|fish",
	.min = 1,
	.max = 1,
	.flags = CMD_NOCTX,
	.example = "eval \"$(pot completion bash)\"",
	.run = run,
};
