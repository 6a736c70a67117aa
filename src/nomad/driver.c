/*
 * The driver: its state, what it can do, and the table of its operations.
 * What they do is in the files beside: task*.c, recover.c, net.c, image.c,
 * fingerprint.c, gc.c; child processes in driver_work.c.
 */
#include <string.h>

#include "nomad/driver_impl.h"

static int
drv_new(struct nomad *n, struct drv **out, struct err *e)
{
	struct drv *d = calloc(1, sizeof(*d));
	struct value *none = NULL;
	int rc = d == NULL ? err_nomem(e) : value_decode(NULL, 0, &none, "", e);

	/* A driver that was attached to again is told no configuration: the usual one holds. */
	if (rc == 0)
		rc = agent_conf_read(&d->conf, none, e);
	value_free(none);
	if (rc < 0) {
		free(d);
		return rc;
	}
	d->nomad = n;
	d->loop = nomad_loop(n);
	d->log = nomad_log(n);
	*out = d;
	return 0;
}

int
drv_open(
    struct drv *d, struct pot_ctx **out, const volatile bool *cancel, struct pot_events events, struct err *e)
{
	return pot_open(out,
	    &(struct pot_open_args){
		.root = d->conf.root, .config = d->conf.config_file, .events = events, .cancel = cancel },
	    e);
}

static void
on_event(void *arg, const struct pot_event *ev)
{
	struct drv *d = arg;

	if (ev->kind == POT_EV_WARN)
		log_warn(d->log, "%s", ev->text);
}

int
drv_ctx(struct drv *d, struct pot_ctx **out, struct err *e)
{
	int rc = d->ctx != NULL ? 0 : drv_open(d, &d->ctx, NULL, (struct pot_events){ on_event, d }, e);

	*out = d->ctx;
	return rc;
}

/* Tasks go on; so does what a child has begun, until it notices. */
static void
drv_free(struct drv *d)
{
	d->leaving = true;
	image_shutdown(d);
	fingerprint_end(d);
	work_end_all(d);
	image_end(d);
	gc_end(d);
	while (d->tasks != NULL)
		task_free(d->tasks);
	pot_close(d->ctx);
	agent_conf_fini(&d->conf);
	free(d->node_id);
	free(d);
}

static int
set_config(struct drv *d, const struct value *v, const struct drv_node *node, struct err *e)
{
	int rc = agent_conf_read(&d->conf, v, e);

	if (rc < 0)
		return rc;
	log_set_level(d->log, d->conf.log_level);
	if (node == NULL)
		return 0;
	d->total_mhz = node->total_mhz;
	d->ncores = (unsigned)node->ncores;
	/* Opened anew where it is needed: the installation may be another one. */
	pot_close(take_ptr(d->ctx));
	return 0;
}

static int
init(struct drv *d, struct err *e)
{
	int rc = d->conf.log_file == NULL || d->begun ? 0 : log_to_file(d->log, d->conf.log_file, e);

	if (rc < 0) {
		/* No reason to run no tasks. */
		log_warn(d->log, "%s", e->msg);
		*e = (struct err)ERR_INIT;
	}
	d->begun = true;
	if (d->conf.enabled)
		gc_begin(d);
	return 0;
}

static void
capabilities(struct drv *d, struct drv_capabilities *c)
{
	*c = (struct drv_capabilities){
		.send_signals = true,
		.exec = true,
		.fs = DRV_FS_IMAGE,
		.nmodes = 4,
		.modes = { DRV_NET_HOST, DRV_NET_GROUP, DRV_NET_TASK, DRV_NET_NONE },
		.must_create_network = false,
		.disable_log_collection = d->conf.no_logs,
	};
}

static void
shutdown_driver(struct drv *d)
{
	image_shutdown(d);
}

const struct drv_ops pot_driver = {
	.name = "pot",
	.version = POT_VERSION,
	.config_spec = agent_spec,
	.task_spec = task_spec,
	.new = drv_new,
	.free = drv_free,
	.set_config = set_config,
	.init = init,
	.capabilities = capabilities,
	.fingerprint = fingerprint_begin,
	.shutdown = shutdown_driver,
	.start = task_start,
	.recover = recover,
	.wait = task_wait,
	.stop = task_stop,
	.destroy = task_destroy,
	.inspect = task_inspect,
	.signal = task_signal,
	.stats = task_stats,
	.exec = task_exec,
	.create_network = net_create,
	.destroy_network = net_destroy,
};
