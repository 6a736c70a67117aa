/*
 * The program pot-registry: its verbs, options and help. Reads the
 * configuration file first, then the options, which win.
 */
#include <sys/stat.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "registry/control.h"
#include "registry/serve.h"
#include "registry/socket.h"

#define BCRYPT_COST 11

struct verb {
	const char *name, *help;
	int (*run)(const struct options *, bool dry, struct err *);
};

static int
run_serve(const struct options *o, bool dry, struct err *e)
{
	return serve(o, e);
}

/* By the server that has the directory, or here when there is none. */
static int
maintain(const struct options *o, const char *command, struct err *e)
{
	struct registry *g;
	int rc = control_ask(o->data, command, stdout, e);

	if (rc != -E_NOENT)
		return rc;
	rc = registry_open(o, &g, e);
	if (rc < 0)
		return rc;
	rc = control_run(g, command, stdout, e);
	registry_close(g);
	return rc;
}

static int
run_gc(const struct options *o, bool dry, struct err *e)
{
	return maintain(o, dry ? "gc dry" : "gc", e);
}

static int
run_verify(const struct options *o, bool dry, struct err *e)
{
	return maintain(o, "verify", e);
}

/* From the terminal without echo, or the first line of standard input. */
static int
read_password(char *out, size_t size, struct err *e)
{
	const char *typed;

	if (isatty(STDIN_FILENO)) {
		typed = getpass("Password: ");
		if (typed == NULL || strlen(typed) >= size)
			return err_set(e, E_INVAL, "password: none was typed");
		snprintf(out, size, "%s", typed);
	} else if (fgets(out, (int)size, stdin) == NULL) {
		return err_set(e, E_INVAL, "password: none on standard input");
	}
	out[strcspn(out, "\r\n")] = '\0';
	return out[0] == '\0' ? err_set(e, E_INVAL, "password: it is empty") : 0;
}

static int
run_passwd(const struct options *o, bool dry, struct err *e)
{
	char password[256], hash[64];
	int rc = read_password(password, sizeof(password), e);

	if (rc == 0 && !bcrypt_make(password, BCRYPT_COST, hash))
		rc = err_set(e, E_NOTSUP, "password: this system cannot make bcrypt hashes");
	explicit_bzero(password, sizeof(password));
	if (rc == 0)
		printf("%s\n", hash);
	return rc;
}

static const struct verb verbs[] = {
	{ "serve", "serve until SIGTERM; SIGHUP reads users, rules and certificate again", run_serve },
	{ "gc", "remove what nothing refers to any more (--dry-run only says what)", run_gc },
	{ "verify", "read every blob, move damaged ones to quarantine/", run_verify },
	{ "hash-password", "read a password, print its hash for the auth file", run_passwd },
};

static void
print_help(void)
{
	printf("usage: pot-registry [serve|gc|verify|hash-password] [option ...]\n\nVerbs:\n");
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		printf("  %-14s %s\n", verbs[i].name, verbs[i].help);
	printf("\nOptions (in the configuration file without dashes before, and with _ for -):\n");
	printf(
	    "  --config FILE  read settings from this file (/etc/pot/pot-registry.conf when it is there)\n");
	for (size_t i = 0; i < option_count; i++) {
		const struct option_row *row = &option_rows[i];
		char left[64];

		snprintf(left, sizeof(left), "--%s%s%s", row->name, row->arg == NULL ? "" : " ",
		    row->arg == NULL ? "" : row->arg);
		printf("  %-32s %s", left, row->help);
		if (row->arg != NULL && row->value[0] != '\0')
			printf(" [%s]", row->value);
		printf("\n");
	}
}

struct command {
	const struct verb *verb;
	const char *config;
	bool dry, help, version;
};

static const struct option_row *
find_option(const char *name, size_t n)
{
	for (size_t i = 0; i < option_count; i++) {
		if (strlen(option_rows[i].name) == n && strncmp(option_rows[i].name, name, n) == 0)
			return &option_rows[i];
	}
	return NULL;
}

/* One "--name[=value]"; *i moves over a value of its own. Settings only when o is given. */
static int
take_option(struct command *c, struct options *o, int argc, char **argv, int *i, struct err *e)
{
	const char *name = argv[*i] + 2, *eq = strchr(name, '='), *value = eq == NULL ? NULL : eq + 1;
	size_t n = eq == NULL ? strlen(name) : (size_t)(eq - name);
	const struct option_row *row = find_option(name, n);
	bool is_config = n == 6 && strncmp(name, "config", n) == 0;
	const char *what = argv[*i];

	if (strcmp(what, "--help") == 0 || strcmp(what, "--version") == 0 || strcmp(what, "--dry-run") == 0) {
		c->help |= what[2] == 'h';
		c->version |= what[2] == 'v';
		c->dry |= what[2] == 'd';
		return 0;
	}
	if (row == NULL && !is_config) {
		err_set(e, E_USAGE, "option '%.64s': not known", what);
		return err_hint(e, "try: pot-registry --help");
	}
	if (row != NULL && row->arg == NULL) {
		value = value == NULL ? "yes" : value;
	} else if (value == NULL) {
		if (*i + 1 >= argc)
			return err_set(e, E_USAGE, "option '%.64s': it takes a value", what);
		value = argv[++*i];
	}
	if (is_config)
		c->config = value;
	else if (o != NULL)
		return option_set(o, row->name, value, what, e);
	return 0;
}

static int
take_verb(struct command *c, const char *word, struct err *e)
{
	if (c->verb != NULL)
		return err_set(e, E_USAGE, "'%.64s': one verb only", word);
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		if (strcmp(verbs[i].name, word) == 0)
			c->verb = &verbs[i];
	}
	if (c->verb != NULL)
		return 0;
	err_set(e, E_USAGE, "'%.64s': not a verb", word);
	return err_hint(e, "try: pot-registry --help");
}

/* Twice: first to find the configuration file, then, over its settings, for everything else. */
static int
parse(struct command *c, struct options *o, int argc, char **argv, struct err *e)
{
	int rc = 0;

	for (int i = 1; rc == 0 && i < argc; i++) {
		if (strcmp(argv[i], "-h") == 0)
			c->help = true;
		else if (strncmp(argv[i], "--", 2) == 0 && argv[i][2] != '\0')
			rc = take_option(c, o, argc, argv, &i, e);
		else if (o == NULL)
			rc = take_verb(c, argv[i], e);
	}
	return rc;
}

static int
read_config(const struct command *c, struct options *o, struct err *e)
{
	static const char standard[] = "/etc/pot/pot-registry.conf";

	if (c->config != NULL)
		return options_read(o, c->config, e);
	return access(standard, F_OK) == 0 ? options_read(o, standard, e) : 0;
}

static int
run(int argc, char **argv, struct err *e)
{
	struct command c = { NULL, NULL, false, false, false };
	struct options o;
	int rc = parse(&c, NULL, argc, argv, e);

	if (rc < 0)
		return rc;
	if (c.help || c.version) {
		if (c.help)
			print_help();
		else
			printf("pot-registry %s\n", REGISTRY_VERSION);
		return 0;
	}
	if (c.verb == NULL) {
		err_set(e, E_USAGE, "what is to be done is missing");
		return err_hint(e, "try: pot-registry serve, or --help");
	}
	rc = options_init(&o, e);
	if (rc < 0)
		return rc;
	rc = read_config(&c, &o, e);
	if (rc == 0)
		rc = parse(&c, &o, argc, argv, e);
	if (rc == 0)
		rc = c.verb->run(&o, c.dry, e);
	options_fini(&o);
	return rc;
}

int
main(int argc, char **argv)
{
	struct err e = ERR_INIT;

	if (run(argc, argv, &e) == 0)
		return fflush(stdout) == 0 ? 0 : 1;
	fprintf(stderr, "pot-registry: %s%s%s%s\n", e.msg, e.hint[0] != '\0' ? " (" : "", e.hint,
	    e.hint[0] != '\0' ? ")" : "");
	return err_exit_status((enum err_code)e.code);
}
