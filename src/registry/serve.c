/*
 * Opening and closing the registry, and the main thread while it serves: it
 * waits for signals (SIGHUP: read auth file and certificate again, open the
 * log anew; SIGINT, SIGTERM: end) and looks after what has to happen now and
 * then: expired uploads, garbage, files that changed.
 */
#include <sys/stat.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "registry/control.h"
#include "registry/gc.h"
#include "registry/login.h"
#include "registry/serve.h"
#include "registry/socket.h"
#include "registry/tls.h"

#define MAPPED_MAX (INT64_C(64) * 1024 * 1024)
#define WORKERS 4
#define STOP_MS 10000
#define LOOK_S 5

struct db *
registry_db(struct registry *g, struct err *e)
{
	struct db *db = pthread_getspecific(g->reader);

	if (db != NULL)
		return db;
	if (db_open(g->store.dir, false, &db, e) < 0)
		return NULL;
	if (pthread_setspecific(g->reader, db) != 0) {
		db_close(db);
		err_nomem(e);
		return NULL;
	}
	return db;
}

static void
close_reader(void *db)
{
	db_close(db);
}

void
registry_close(struct registry *g)
{
	struct db *own;

	if (g == NULL)
		return;
	workers_stop(g->workers);
	workers_stop(g->slow);
	committer_stop(g->committer);
	own = pthread_getspecific(g->reader);
	pthread_setspecific(g->reader, NULL);
	db_close(own);
	pthread_key_delete(g->reader);
	uploads_close(g->uploads);
	cache_free(g->cache);
	limiter_free(g->limiter);
	limiter_free(g->chatter);
	logins_free(g->logins);
	auth_free(g->auth);
	log_close(g->log);
	store_close(&g->store);
	pthread_rwlock_destroy(&g->auth_lock);
	pthread_mutex_destroy(&g->parsing);
	explicit_bzero(g->token_key, sizeof(g->token_key));
	free(g);
}

static int
open_parts(struct registry *g, struct err *e)
{
	const struct options *o = g->options;
	int rc;

	atomic_init(&g->mapped, MAPPED_MAX);
	if ((rc = log_open(o->access_log[0] == '\0' ? NULL : o->access_log, &g->log, e)) < 0 ||
	    (rc = store_open(o->data, &g->store, e)) < 0)
		return rc;
	rc = store_lock(&g->store, e);
	if (rc == -E_BUSY)
		return err_set(e, E_BUSY, "data directory '%s': another pot-registry has it", o->data);
	if (rc < 0)
		return rc;
	if ((rc = token_key(g->store.dirfd, g->token_key, e)) < 0 ||
	    (rc = committer_start(&g->store, &g->committer, e)) < 0 ||
	    (rc = workers_start(WORKERS, &g->workers, e)) < 0 || (rc = workers_start(1, &g->slow, e)) < 0 ||
	    (rc = cache_new(&g->cache, e)) < 0 ||
	    (rc = uploads_open(&g->store, (unsigned)o->max_uploads, &g->uploads, e)) < 0 ||
	    (rc = limiter_new((unsigned)o->rate, (unsigned)o->burst, &g->limiter, e)) < 0 ||
	    (rc = limiter_new(1, 5, &g->chatter, e)) < 0 || (rc = logins_new(&g->logins, e)) < 0)
		return rc;
	return registry_load_auth(g, e);
}

int
registry_open(const struct options *o, struct registry **out, struct err *e)
{
	struct registry *g = calloc(1, sizeof(*g));
	int rc;

	if (g == NULL)
		return err_nomem(e);
	g->options = o;
	g->store = (struct store){ .dirfd = -1, .uploads = -1, .classic = -1, .quarantine = -1, .lock = -1 };
	for (int i = 0; i < DIGEST_ALGS; i++)
		g->store.blobs[i] = -1;
	pthread_rwlock_init(&g->auth_lock, NULL);
	pthread_mutex_init(&g->parsing, NULL);
	rc = pthread_key_create(&g->reader, close_reader);
	if (rc != 0) {
		free(g);
		return err_sysno(e, rc, "make a thread's key");
	}
	rc = open_parts(g, e);
	if (rc < 0)
		registry_close(g);
	else
		*out = g;
	return rc;
}

static unsigned
thread_count(const struct options *o)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	if (o->threads > 0)
		return (unsigned)o->threads;
	/* More than processors only get into each other's way: nothing here waits for long. */
	return n < 2 ? 2 : n > 32 ? 32 : (unsigned)n;
}

static int
start_http(struct registry *g, struct tls *tls, struct err *e)
{
	const struct options *o = g->options;
	struct http_params p = {
		.listen = o->listen,
		.threads = thread_count(o),
		.connections = (unsigned)o->connections,
		.connections_per_addr = (unsigned)o->connections_per_address,
		.idle_ms = (unsigned)o->idle,
		.min_rate = o->min_rate,
		.patience_ms = (unsigned)o->patience,
		.tls = tls,
		.ops = &registry_ops,
		.app = g,
	};

	return http_start(&p, &g->http, e);
}

/* When a file was last changed; 0 when there is none. */
static int64_t
changed(const char *path)
{
	struct stat st;

	if (path[0] == '\0' || stat(path, &st) < 0)
		return 0;
	return (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
}

struct watched {
	int64_t auth, cert, key;
	int64_t gc_next; /* monotonic ms */
};

static void
reload_auth(struct registry *g)
{
	struct err e = ERR_INIT;

	if (g->options->auth[0] == '\0')
		return;
	if (registry_load_auth(g, &e) < 0)
		log_message(g->log, "the old users and rules stay: %s", e.msg);
	else
		log_message(g->log, "users and rules read again");
}

static void
reload_tls(struct registry *g, struct tls *tls)
{
	struct err e = ERR_INIT;

	if (tls == NULL)
		return;
	if (tls_reload(tls, &e) < 0)
		log_message(g->log, "the old certificate stays: %s", e.msg);
	else
		log_message(g->log, "certificate read again");
}

static void
reload(struct registry *g, struct tls *tls)
{
	struct err e = ERR_INIT;

	if (log_reopen(g->log, &e) < 0)
		log_message(g->log, "%s", e.msg);
	reload_auth(g);
	reload_tls(g, tls);
}

static void
look_around(struct registry *g, struct tls *tls, struct watched *w)
{
	const struct options *o = g->options;
	int64_t auth = changed(o->auth), cert = changed(o->tls_cert), key = changed(o->tls_key);
	struct err e = ERR_INIT;
	struct gc_result result;

	if (auth != w->auth && auth != 0)
		reload_auth(g);
	if (tls != NULL && (cert != w->cert || key != w->key) && cert != 0 && key != 0)
		reload_tls(g, tls);
	w->auth = auth;
	w->cert = cert;
	w->key = key;
	uploads_expire(g->uploads, o->upload_expiry / 1000);
	if (o->gc_interval > 0 && !o->read_only && text_monotonic_ms() >= w->gc_next) {
		if (gc_run(g, false, &result, &e) < 0)
			log_message(g->log, "collect garbage: %s", e.msg);
		w->gc_next = text_monotonic_ms() + o->gc_interval;
	}
}

static void
main_loop(struct registry *g, struct tls *tls, const sigset_t *set)
{
	const struct options *o = g->options;
	struct watched w = { changed(o->auth), changed(o->tls_cert), changed(o->tls_key),
		text_monotonic_ms() + o->gc_interval };

	for (;;) {
		struct timespec t = { LOOK_S, 0 };
		int sig = sigtimedwait(set, NULL, &t);

		if (sig == SIGHUP)
			reload(g, tls);
		else if (sig > 0)
			return;
		look_around(g, tls, &w);
	}
}

static int
serve_with(struct registry *g, struct tls *tls, const sigset_t *set, struct err *e)
{
	struct control *control = NULL;
	int rc = start_http(g, tls, e);

	if (rc < 0)
		return rc;
	rc = control_start(g, &control, e);
	if (rc == 0) {
		const char *colon = strrchr(g->options->listen, ':');

		log_message(g->log, "serving %s on %s://%.*s:%u", g->store.dir,
		    tls != NULL ? "https" : "http", (int)(colon - g->options->listen), g->options->listen,
		    http_port(g->http));
		main_loop(g, tls, set);
		log_message(g->log, "ending");
	}
	http_quiesce(g->http, rc < 0 ? 0 : STOP_MS);
	control_stop(control);
	/* No job may resume a request that is gone, none may stay suspended. */
	workers_stop(take_ptr(g->workers));
	workers_stop(take_ptr(g->slow));
	committer_stop(take_ptr(g->committer));
	http_stop(take_ptr(g->http));
	return rc;
}

int
serve(const struct options *o, struct err *e)
{
	struct registry *g = NULL;
	struct tls *tls = NULL;
	sigset_t set;
	int rc;

	memory_settle();
	/* Before any thread: all of them have these blocked, the main thread takes them. */
	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	if ((o->tls_cert[0] == '\0') != (o->tls_key[0] == '\0'))
		return err_set(e, E_USAGE, "--tls-cert and --tls-key go together");
	if (o->tls_cert[0] != '\0') {
		rc = tls_open(o->tls_cert, o->tls_key, &tls, e);
		if (rc < 0)
			return rc;
	}
	rc = registry_open(o, &g, e);
	if (rc == 0)
		rc = serve_with(g, tls, &set, e);
	registry_close(g);
	tls_close(tls);
	return rc;
}
