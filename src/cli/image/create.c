/* What create and clone do with -f. */
#include <string.h>
#include <unistd.h>

#include <pot/flavour.h>

#include "cli/image/verbs.h"

#define KEPT 65536

/* What is told of steps, on stderr: stdout has nothing to say here. */
struct teller {
	struct cli *cli;
	struct buf kept; /* with -q: output of the step under way, in case it fails */
	bool in_line;    /* output has not ended its line */
};

static void
put_output(struct teller *t, const char *data, size_t len)
{
	if (len == 0)
		return;
	(void)!fwrite(data, 1, len, stderr);
	t->in_line = data[len - 1] != '\n';
}

static void
take_output(struct teller *t, const struct pot_build_event *ev)
{
	if (!t->cli->quiet) {
		put_output(t, ev->data, ev->len);
		return;
	}
	/* The last of it is what tells why. */
	if (t->kept.len + ev->len > KEPT)
		buf_reset(&t->kept);
	buf_add(&t->kept, ev->data, ev->len < KEPT ? ev->len : KEPT);
}

static void
tell_end(struct teller *t, const struct pot_build_event *ev)
{
	char size[TEXT_SIZE_LEN], age[TEXT_AGE_LEN];
	AUTO_FINI(buf) struct buf text = BUF_INIT(8192);

	if (ev->failed)
		put_output(t, buf_cstr(&t->kept), t->kept.len);
	if (t->in_line)
		fputc('\n', stderr);
	t->in_line = false;
	if (ev->failed || t->cli->quiet)
		return;
	text_escape(ev->text, strlen(ev->text), &text);
	if (ev->cached) {
		fprintf(stderr, "%s  CACHED\n", buf_cstr(&text));
		return;
	}
	text_age_print(ev->ms * 1000000, age);
	text_size_print(ev->size, size);
	fprintf(stderr, "%s  %s  %s\n", buf_cstr(&text), age, ev->layer ? size : "changes nothing");
}

static void
tell(void *arg, const struct pot_build_event *ev)
{
	struct teller *t = arg;

	events_end(t->cli);
	if (ev->kind == POT_BUILD_STEP)
		buf_reset(&t->kept);
	else if (ev->kind == POT_BUILD_OUTPUT)
		take_output(t, ev);
	else
		tell_end(t, ev);
}

int
create_flavoured(struct cli *cli, const struct args *a, const struct pot_create_args *in, struct err *e)
{
	AUTO_FREE char **names = args_values(a, "flavour");
	AUTO_FREE char **given = args_values(a, "flavour-arg");
	AUTO_FREE char **dirs = args_values(a, "flavour-dir");
	struct teller t = { .cli = cli, .kept = BUF_INIT(2 * KEPT) };
	const struct pot_flavours flavours = { .names = (const char *const *)names,
		.args = (const char *const *)given,
		.dirs = (const char *const *)dirs,
		.network = args_value(a, "flavour-network"),
		.no_cache = args_has(a, "no-cache"),
		.fn = tell,
		.arg = &t };
	int rc = names == NULL || given == NULL || dirs == NULL
	    ? err_nomem(e)
	    : pot_create_flavoured(cli->ctx, in, &flavours, e);

	buf_fini(&t.kept);
	return rc;
}
