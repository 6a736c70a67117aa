/* libpot: images of registries. Names are read, the store and the storage opened; the rest is image/'s. */
#include <stdio.h>
#include <string.h>

#include "image/credentials.h"
#include "image/pull.h"
#include "image/push.h"
#include "lib/images.h"
#include "lib/remote.h"

void
lib_net(struct pot_ctx *c, const struct pot_net *n, struct img_net *out)
{
	*out = (struct img_net){
		.rootfd = c->eng->root_fd,
		.auth_file = n->auth_file,
		.insecure = n->insecure,
		.ca_file = n->ca_file,
		.stall_s = n->stall_s,
		.cancel = c->eng->cancel,
		.events = &c->eng->events,
	};
}

int
lib_policy(struct pot_ctx *c, struct buf *path, struct err *e)
{
	const char *slash = strrchr(c->eng->conf_path, '/');

	if (slash != NULL)
		buf_add(path, c->eng->conf_path, (size_t)(slash - c->eng->conf_path) + 1);
	buf_str(path, "policy.conf");
	return buf_check(path, "path", e);
}

static enum streams_mode
streams_mode(const struct pot_ctx *c, enum pot_streams asked)
{
	const char *said = config_get(c->eng->conf, "pull_streams");

	if (asked == POT_STREAMS_CONFIGURED)
		asked = strcmp(said, "never") == 0 ? POT_STREAMS_NEVER
		    : strcmp(said, "always") == 0  ? POT_STREAMS_ALWAYS
						   : POT_STREAMS_AUTO;
	return asked == POT_STREAMS_NEVER ? STREAMS_NEVER
	    : asked == POT_STREAMS_ALWAYS ? STREAMS_ALWAYS
					  : STREAMS_AUTO;
}

int
pot_image_pull(struct pot_ctx *c, const struct pot_pull_args *a, struct pot_transfer *t, struct err *e)
{
	AUTO(img_store) struct img_store *store = NULL;
	AUTO_FINI(buf) struct buf policy = BUF_INIT(4096);
	struct img_pull_args in = { .max_size = a->max_size };
	struct img_pull_result out;
	struct reference ref, as;
	struct img_net net;
	int rc;

	*t = (struct pot_transfer){ .digest = "" };
	if ((rc = lib_ref(a->name, &ref, e)) < 0 || (a->as != NULL && (rc = lib_ref(a->as, &as, e)) < 0) ||
	    (rc = lib_store(c, &store, e)) < 0 || (rc = eng_need_storage(c->eng, e)) < 0 ||
	    (rc = lib_policy(c, &policy, e)) < 0)
		return rc;
	in.trust = (struct trust_args){ buf_cstr(&policy), a->verify, a->older };
	lib_net(c, &a->net, &net);
	in.streams = streams_mode(c, a->streams);
	in.store = store;
	in.stor = c->eng->stor;
	in.net = &net;
	in.ref = &ref;
	in.as = a->as != NULL ? &as : NULL;
	if ((rc = img_pull(&in, &out, e)) < 0)
		return rc;
	memcpy(t->digest, out.digest, sizeof(t->digest));
	memcpy(t->id, out.manifest, sizeof(t->id));
	t->bytes = out.fetched;
	t->blobs = out.layers;
	t->moved = out.layers_fetched;
	t->streams = out.streams;
	t->changed = out.changed;
	snprintf(t->signed_by, sizeof(t->signed_by), "%s", out.trust.signed_by);
	return 0;
}

int
pot_image_push(struct pot_ctx *c, const struct pot_push_args *a, struct pot_transfer *t, struct err *e)
{
	AUTO(img_store) struct img_store *store = NULL;
	AUTO_FINI(sign_secret) struct sign_secret key = { .number = { 0 } };
	struct img_push_args in = { .image = NULL };
	struct img_push_result out;
	struct reference ref, dest;
	struct img_net net;
	int rc;

	*t = (struct pot_transfer){ .digest = "" };
	if ((rc = lib_ref(a->name, &ref, e)) < 0 ||
	    (a->dest != NULL && (rc = lib_ref(a->dest, &dest, e)) < 0) || (rc = lib_store(c, &store, e)) < 0)
		return rc;
	if (a->key != NULL) {
		if ((rc = lib_key(a->key, &key, e)) < 0)
			return rc;
		in.key = &key;
		snprintf(t->signed_by, sizeof(t->signed_by), "%s", a->key->file);
	}
	if (a->streams) {
		if ((rc = eng_need_storage(c->eng, e)) < 0)
			return rc;
		in.stor = c->eng->stor;
	}
	lib_net(c, &a->net, &net);
	in.store = store;
	in.net = &net;
	in.image = &ref;
	in.dest = a->dest != NULL ? &dest : &ref;
	if ((rc = img_push(&in, &out, e)) < 0)
		return rc;
	memcpy(t->digest, out.digest, sizeof(t->digest));
	t->bytes = out.sent;
	t->blobs = out.blobs;
	t->moved = out.blobs_sent;
	t->mounted = out.blobs_mounted;
	t->streams = out.streams;
	return 0;
}

/* ---- credentials --------------------------------------------------------------------- */

static int
need_root_dir(struct pot_ctx *c, struct err *e)
{
	int rc = lib_need_root(e);

	return rc < 0 ? rc : eng_need_node(c->eng, e);
}

static int
prove(const struct pot_login_args *a, const struct img_net *net, const char *host, char realm[256],
    struct err *e)
{
	const struct http_params hp = { net->stall_s, net->cancel };
	struct client_params cp = { .host = host,
		.insecure = img_net_is_insecure(net, host),
		.login = true,
		.ca_file = net->ca_file,
		.user = a->user,
		.password = a->password,
		.events = net->events };
	AUTO(http) struct http *http = NULL;
	AUTO(client) struct client *client = NULL;
	int rc;

	/* The user types the password for this registry: the realm that it names now is the one to trust. */
	cp.trust_realm = true;
	if ((rc = http_new(&http, &hp, e)) < 0 || (rc = client_new(&client, http, &cp, e)) < 0 ||
	    (rc = client_hello(client, e)) < 0)
		return rc;
	if (!client_asks(client))
		event_warn(net->events, "registry %s asks for no log-in: the password was not proved", host);
	snprintf(realm, 256, "%s", client_realm_host(client));
	return 0;
}

int
pot_login(struct pot_ctx *c, const struct pot_login_args *a, char realm[256], struct err *e)
{
	AUTO_FINI(credential) struct credential cred;
	char host[REF_HOST_MAX + 1];
	struct img_net net;
	int rc;

	credential_init(&cred);
	realm[0] = '\0';
	if ((rc = need_root_dir(c, e)) < 0 || (rc = ref_parse_host(a->host, host, e)) < 0)
		return rc;
	if (strchr(a->user, ':') != NULL)
		return err_set(e, E_INVAL, "a user's name has no colon");
	buf_str(&cred.user, a->user);
	buf_str(&cred.password, a->password);
	if ((rc = buf_check(&cred.user, "the user's name", e)) < 0 ||
	    (rc = buf_check(&cred.password, "the password", e)) < 0)
		return rc;
	lib_net(c, &a->net, &net);
	if ((rc = prove(a, &net, host, realm, e)) < 0)
		return rc;
	snprintf(cred.realm, sizeof(cred.realm), "%s", realm);
	return cred_set(c->eng->root_fd, host, &cred, e);
}

int
pot_logout(struct pot_ctx *c, const char *name, struct err *e)
{
	char host[REF_HOST_MAX + 1];
	int rc;

	if ((rc = need_root_dir(c, e)) < 0 || (rc = ref_parse_host(name, host, e)) < 0 ||
	    (rc = cred_remove(c->eng->root_fd, host, e)) < 0)
		return rc;
	return rc == 1 ? 0 : err_set(e, E_NOENT, "there are no credentials for %s", host);
}
