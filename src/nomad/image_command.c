/*
 * The command that gets an image: pot-image with its arguments, environment
 * and standard input, of what the job and the agent's configuration say.
 * image.c runs it.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>

#include "base/base64.h"
#include "base/file.h"
#include "base/host.h"
#include "model/reference.h"
#include "nomad/driver_impl.h"

/* Docker's form, for the program's standard input. */
static int
auth_fd(const struct image_want *w, struct err *e)
{
	AUTO_FINI(buf) struct buf plain = BUF_INIT(8192), encoded = BUF_INIT(16384), text = BUF_INIT(32768);
	struct reference ref;
	int fds[2], rc = ref_parse(w->ref, &ref, e);

	if (rc < 0)
		return rc;
	buf_fmt(&plain, "%s:%s", w->conf->auth_user, w->conf->auth_password);
	base64_encode(buf_cstr(&plain), plain.len, &encoded);
	buf_fmt(&text, "{\"auths\":{\"%s\":{\"auth\":\"%s\"}}}", ref.host, buf_cstr(&encoded));
	if ((rc = buf_check(&text, "auth", e)) < 0 || plain.failed || encoded.failed)
		return rc < 0 ? rc : err_set(e, E_LIMIT, "auth: too long");
	if (pipe2(fds, O_CLOEXEC) != 0)
		return err_sys(e, "cannot make a pipe");
	/* An empty pipe takes this much at once. */
	rc = fd_write_all(fds[1], buf_cstr(&text), text.len, "the credentials", e);
	fd_close(fds[1]);
	if (rc < 0)
		fd_close(fds[0]);
	return rc < 0 ? rc : fds[0];
}

static void
add_environment(const struct drv *d, const struct image_want *w, struct strv *env)
{
	static const char *const kept[] = { "http_proxy", "https_proxy", "no_proxy", "all_proxy",
		"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "TZ",
		"ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS" };

	strv_add(env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	strv_add(env, "LANG=C.UTF-8");
	strv_add(env, "HOME=/root");
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		if (getenv(kept[i]) != NULL)
			strv_fmt(env, "%s=%s", kept[i], getenv(kept[i]));
	if (w->conf->auth_user != NULL)
		strv_add(env, "REGISTRY_AUTH_FILE=/dev/stdin");
	else if (d->conf.auth_file != NULL)
		strv_fmt(env, "REGISTRY_AUTH_FILE=%s", d->conf.auth_file);
}

static void
add_option(struct strv *argv, const char *option, const char *value)
{
	if (value != NULL) {
		strv_add(argv, option);
		strv_add(argv, value);
	}
}

static int
add_arguments(struct drv *d, const struct image_want *w, bool classic, struct strv *argv, struct err *e)
{
	const struct agent_conf *a = &d->conf;
	const struct task_conf *c = w->conf;
	char program[PATH_MAX];
	struct reference ref;
	struct pot_ctx *ctx;
	int rc = drv_ctx(d, &ctx, e);

	if (rc == 0)
		rc = host_find_program("pot-image", host_libexec(), program, sizeof(program), e);
	if (rc < 0)
		return rc;
	strv_add(argv, program);
	add_option(argv, "--root", pot_root(ctx));
	add_option(argv, "--config", a->config_file);
	add_option(argv, "--format", "json");
	if (classic) {
		strv_add(argv, "import");
		add_option(argv, "--name", c->pot);
		add_option(argv, "--tag", c->tag);
		add_option(argv, "--url", c->url);
		add_option(argv, "--key", a->pubkey);
		/* The old driver asked for no more. */
		if (a->pubkey == NULL)
			strv_add(argv, "--insecure");
		return strv_check(argv, "words", e);
	}
	rc = ref_parse(w->ref, &ref, e);
	strv_add(argv, "pull");
	for (size_t i = 0; i < a->insecure.n; i++)
		add_option(argv, "--insecure", a->insecure.v[i]);
	if (rc == 0 && (c->plain_http || !c->tls_verify))
		add_option(argv, "--insecure", ref.host);
	add_option(argv, "--ca-file", a->ca_file);
	if (c->verify || (c->form == IMAGE_CLASSIC && a->pubkey != NULL))
		strv_add(argv, "--verify");
	strv_add(argv, w->ref);
	return rc < 0 ? rc : strv_check(argv, "words", e);
}

int
image_command(
    struct drv *d, const struct image_want *w, bool classic, struct image_command *out, struct err *e)
{
	int rc = add_arguments(d, w, classic, &out->argv, e);

	add_environment(d, w, &out->env);
	if (rc == 0)
		rc = strv_check(&out->env, "the environment", e);
	if (rc < 0)
		return rc;
	if (!classic && w->conf->auth_user != NULL) {
		out->in = auth_fd(w, e);
		return out->in < 0 ? out->in : 0;
	}
	out->in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return out->in < 0 ? err_sys(e, "cannot open /dev/null") : 0;
}
