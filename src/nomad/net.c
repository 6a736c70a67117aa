/*
 * Bridges of allocations: all tasks of a group meet on one. Its name comes from the allocation alone,
 * and the pots on it are its reference count, so that whoever dies when, the next one who looks knows
 * whether it is still needed.
 */
#include <ctype.h>
#include <string.h>

#include "nomad/driver_impl.h"

#define PREFIX "nmd-"
#define HOSTS 14 /* of a bridge without bridge_size */

void
net_bridge_name(const char *alloc, char out[static POT_NAME_LEN])
{
	size_t n = (size_t)snprintf(out, POT_NAME_LEN, PREFIX);

	for (; *alloc != '\0' && n < POT_NAME_LEN - 1; alloc++)
		if (isalnum((unsigned char)*alloc))
			out[n++] = *alloc;
	out[n] = '\0';
}

bool
net_bridge_is_ours(const char *name)
{
	return strncmp(name, PREFIX, strlen(PREFIX)) == 0;
}

int
net_bridge_need(struct pot_ctx *ctx, const char *name, unsigned hosts, struct err *e)
{
	struct err own = ERR_INIT;
	int rc = pot_bridge_create(ctx, name, hosts != 0 ? hosts : HOSTS, &own);

	if (rc == 0 || rc == -E_EXIST)
		return 0;
	*e = own;
	return err_wrap(e, "the bridge of the allocation");
}

void
net_bridge_release(struct pot_ctx *ctx, const char *name)
{
	/* E_BUSY: another task of the allocation is on it. */
	(void)!pot_bridge_destroy(ctx, name, NULL);
}

/* ---- CreateNetwork and DestroyNetwork ------------------------------------------------------ */

struct network {
	struct drv *d;
	struct call *call;
	char bridge[POT_NAME_LEN];
	char hostname[256];
	bool destroy;
};

static int
make(void *arg, struct say *s, struct pot_ctx *ctx, struct kv *out, struct err *e)
{
	const struct network *n = arg;
	struct err own = ERR_INIT;
	int rc;

	(void)s;
	rc = n->destroy ? pot_bridge_destroy(ctx, n->bridge, &own)
			: pot_bridge_create(ctx, n->bridge, HOSTS, &own);
	if (rc == 0)
		return kv_add(out, "made", "yes", e);
	/* The last of its tasks takes it away. */
	if (rc == (n->destroy ? -E_NOENT : -E_EXIST) || (n->destroy && rc == -E_BUSY))
		return 0;
	*e = own;
	return rc;
}

static void
made(void *arg, int rc, const struct kv *out, const struct err *e)
{
	struct network *n = arg;
	const struct drv_kv label = { "pot_bridge", n->bridge };
	struct drv_created_network answer = {
		.spec = { .mode = DRV_NET_GROUP,
		    .path = "",
		    .labels = { 1, &label },
		    .hostname = n->hostname,
		    .address = "" },
		.created = kv_get(out, "made") != NULL,
	};

	if (rc < 0)
		call_fail(n->call, e, true);
	else if (n->destroy)
		call_done(n->call);
	else
		call_network(n->call, &answer);
	free(n);
}

static const struct work_ops ops = { make, NULL, made };

static void
begin(struct drv *d, struct call *c, const char *bridge, const char *hostname, bool destroy)
{
	struct network *n = calloc(1, sizeof(*n));
	struct err e = ERR_INIT;
	int rc = n == NULL ? err_nomem(&e) : 0;

	if (rc == 0) {
		n->d = d;
		n->call = c;
		n->destroy = destroy;
		snprintf(n->bridge, sizeof(n->bridge), "%s", bridge);
		snprintf(n->hostname, sizeof(n->hostname), "%s", hostname);
		rc = work_new(d, &ops, n, NULL, &e);
	}
	if (rc < 0) {
		free(n);
		call_fail(c, &e, true);
	}
}

void
net_create(struct drv *d, struct call *c, const char *alloc, const char *hostname)
{
	char bridge[POT_NAME_LEN];

	net_bridge_name(alloc, bridge);
	begin(d, c, bridge, hostname, false);
}

void
net_destroy(struct drv *d, struct call *c, const char *alloc, const struct drv_net_isolation *spec)
{
	char bridge[POT_NAME_LEN];

	net_bridge_name(alloc, bridge);
	/* One that the agent made is its own to remove. */
	for (size_t i = 0; spec != NULL && i < spec->labels.n; i++)
		if (strcmp(spec->labels.v[i].key, "pot_bridge") == 0)
			snprintf(bridge, sizeof(bridge), "%.63s", spec->labels.v[i].value);
	begin(d, c, bridge, "", true);
}
