/*
 * Opening an installation: where it stands, its configuration, its node
 * record and, on demand, its storage. What the node record says is decided in
 * node.c.
 */
#include "engine/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"
#include "base/host.h"

/* An absolute path; of an existing directory without links, so that one installation has one name. */
static char *
absolute_path(const char *path, struct err *e)
{
	char cwd[PATH_MAX];
	char *real = realpath(path, NULL), *joined = NULL;

	if (real != NULL)
		return real;
	if (path[0] == '/') {
		joined = strdup(path);
	} else {
		if (getcwd(cwd, sizeof(cwd)) == NULL) {
			err_sys(e, "cannot find the current directory");
			return NULL;
		}
		if (asprintf(&joined, "%s/%s", cwd, path) < 0)
			joined = NULL;
	}
	if (joined == NULL)
		err_nomem(e);
	return joined;
}

static int
find_paths(struct eng *g, const struct pot_open_args *a, struct err *e)
{
	const char *root = a->root != NULL ? a->root : secure_getenv("POT_ROOT");
	const char *conf = a->config != NULL ? a->config : secure_getenv("POT_CONFIG");

	if (root != NULL && *root == '\0')
		return err_set(e, E_INVAL, "the installation directory (--root, POT_ROOT) is empty");
	g->root = absolute_path(root != NULL ? root : host_default_root(), e);
	if (g->root == NULL)
		return -E_NOMEM;
	g->conf_default = conf == NULL;
	if (conf != NULL)
		g->conf_path = strdup(conf);
	else if (root == NULL)
		g->conf_path = strdup(host_default_config());
	else if (asprintf(&g->conf_path, "%s/pot.conf", g->root) < 0)
		g->conf_path = NULL;
	return g->conf_path != NULL ? 0 : err_nomem(e);
}

static int
read_node(struct eng *g, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(KV_FILE_MAX);
	struct err own = ERR_INIT;
	const char *version;
	int rc = file_read(g->root_fd, "node", &text, &own);

	if (rc == -E_NOENT)
		return 0;
	if (rc < 0) {
		if (e != NULL)
			*e = own;
		return err_wrap(e, "%s/node", g->root);
	}
	rc = kv_parse(&g->node, buf_cstr(&text), text.len, "node", e);
	if (rc < 0)
		return err_wrap(e, "%s", g->root);
	version = kv_get(&g->node, "version");
	if (version == NULL || strcmp(version, "1") != 0)
		return err_set(e, E_NOTSUP,
		    "%s was made by another version of pot (node format %s, this one knows 1)", g->root,
		    version == NULL ? "missing" : version);
	return 0;
}

int
eng_open(struct eng **out, const struct pot_open_args *a, struct err *e)
{
	struct eng *g = calloc(1, sizeof(*g));
	int rc;

	if (g == NULL)
		return err_nomem(e);
	g->root_fd = g->pots_fd = -1;
	g->events = a->events;
	g->cancel = a->cancel;
	rc = find_paths(g, a, e);
	if (rc == 0 && !g->conf_default && access(g->conf_path, F_OK) != 0)
		rc = err_sys(e, "cannot read the configuration %s", g->conf_path);
	if (rc == 0)
		rc = config_load(&g->conf, g->conf_path, e);
	if (rc == 0) {
		g->root_fd = open(g->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (g->root_fd < 0 && errno != ENOENT)
			rc = err_sys(e, "cannot open the installation %s", g->root);
	}
	if (rc == 0 && g->root_fd >= 0)
		rc = read_node(g, e);
	if (rc == 0 && g->node.n > 0) {
		g->pots_fd = openat(g->root_fd, "pots", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (g->pots_fd < 0)
			rc = err_sys(e, "cannot open %s/pots", g->root);
	}
	if (rc < 0) {
		eng_close(g);
		return rc;
	}
	*out = g;
	return 0;
}

void
eng_close(struct eng *g)
{
	if (g == NULL)
		return;
	stor_close(g->stor);
	net_close(g->net);
	iso_meter_close(g->meter);
	config_free(g->conf);
	kv_fini(&g->node);
	fd_close(g->root_fd);
	fd_close(g->pots_fd);
	free(g->root);
	free(g->conf_path);
	free(g);
}

int
eng_need_node(struct eng *g, struct err *e)
{
	if (g->pots_fd >= 0)
		return 0;
	err_set(e, E_STATE, "there is no installation at %s", g->root);
	return err_hint(e, "run: pot init");
}

int
eng_need_storage(struct eng *g, struct err *e)
{
	struct stor_params sp = {
		.mechanism = kv_get(&g->node, "storage"),
		.zfs_root = kv_get(&g->node, "zfs_root"),
		.btrfs_root = kv_get(&g->node, "btrfs_root"),
	};
	int rc;

	if (g->stor != NULL)
		return 0;
	rc = eng_need_node(g, e);
	if (rc < 0)
		return rc;
	if (sp.mechanism == NULL)
		return err_set(e, E_CORRUPT, "%s/node does not say which storage is used", g->root);
	return stor_open(&g->stor, g->root, &sp, e);
}

int
eng_need_programs(struct eng *g, struct err *e)
{
	int rc;

	if (g->shim[0] != '\0')
		return 0;
	rc = host_find_program("pot", host_bindir(), g->self, sizeof(g->self), e);
	if (rc == 0)
		rc = host_find_program("pot-shim", host_libexec(), g->shim, sizeof(g->shim), e);
	if (rc < 0)
		g->shim[0] = '\0';
	return rc;
}

int
eng_find_unpack(char out[static PATH_MAX], struct err *e)
{
	return host_find_program("pot-unpack", host_libexec(), out, PATH_MAX, e);
}

bool
eng_cancelled(const struct eng *g)
{
	return g->cancel != NULL && *g->cancel;
}
