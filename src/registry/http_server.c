/* The server as a whole: its socket, libmicrohttpd's options, connections coming and going. */
#include <sys/socket.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "registry/http_impl.h"
#include "registry/http_request.h"
#include "registry/tls.h"

#define CONN_MEMORY ((size_t)64 * 1024) /* head of a request, and the buffer that a body comes through */
#define BACKLOG 511

/* "HOST:PORT", "[HOST]:PORT", ":PORT". */
static int
split_listen(const char *text, char host[static 256], char port[static 8], struct err *e)
{
	const char *colon = strrchr(text, ':');
	size_t n;
	uint64_t number;
	int rc;

	if (colon == NULL || (n = (size_t)(colon - text)) > 255)
		return err_set(e, E_INVAL, "address '%.80s': it is not ADDRESS:PORT", text);
	rc = text_uint(colon + 1, 0, 65535, &number, "port", e);
	if (rc < 0)
		return rc;
	snprintf(port, 8, "%u", (unsigned)number);
	if (n >= 2 && text[0] == '[' && text[n - 1] == ']') {
		text++;
		n -= 2;
	}
	memcpy(host, text, n);
	host[n] = '\0';
	return 0;
}

static int
bind_to(const struct addrinfo *ai, const char *text, struct err *e)
{
	AUTO(fd) int fd = socket(ai->ai_family, ai->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int one = 1, zero = 0;

	if (fd < 0)
		return err_sys(e, "make a socket");
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (ai->ai_family == AF_INET6) /* "[::]" means both families */
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0) {
		err_sys(e, "listen on '%s'", text);
		return err_hint(
		    e, "is another server running there? choose another address: --listen ADDRESS:PORT");
	}
	return take_fd(fd);
}

static int
listen_on(const char *text, unsigned *port, struct err *e)
{
	struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM },
			*list;
	char host[256], service[8];
	struct sockaddr_storage bound;
	socklen_t len = sizeof(bound);
	int rc = split_listen(text, host, service, e);

	if (rc < 0)
		return rc;
	rc = getaddrinfo(host[0] == '\0' ? NULL : host, service, &hints, &list);
	if (rc != 0)
		return err_set(e, E_INVAL, "address '%.80s': %s", text, gai_strerror(rc));
	rc = bind_to(list, text, e);
	freeaddrinfo(list);
	if (rc < 0)
		return rc;
	*port = 0;
	if (getsockname(rc, (struct sockaddr *)&bound, &len) == 0)
		*port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
							  : ((struct sockaddr_in *)&bound)->sin_port);
	return rc;
}

static void
print_addr(const struct sockaddr *sa, char out[static HTTP_ADDR_LEN])
{
	const void *raw = sa->sa_family == AF_INET6
	    ? (const void *)&((const struct sockaddr_in6 *)sa)->sin6_addr
	    : (const void *)&((const struct sockaddr_in *)sa)->sin_addr;

	if (inet_ntop(sa->sa_family, raw, out, HTTP_ADDR_LEN) == NULL)
		snprintf(out, HTTP_ADDR_LEN, "-");
	if (strncmp(out, "::ffff:", 7) == 0 && strchr(out, '.') != NULL)
		memmove(out, out + 7, strlen(out + 7) + 1);
}

static void
on_connection(void *arg, struct MHD_Connection *mhd, void **ctx, enum MHD_ConnectionNotificationCode what)
{
	struct http_server *s = arg;
	struct conn *c = *ctx;
	int one = 1;

	if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (c != NULL) {
			reaper_remove(s, c);
			free(c);
		}
		accept_closed(s);
		*ctx = NULL;
		return;
	}
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return;
	c->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	print_addr(MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr, c->addr);
	(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	conn_idle(s, c);
	reaper_add(s, c);
	*ctx = c;
}

/* Paths are decoded by path.c, once. */
static size_t
keep_escapes(void *arg, struct MHD_Connection *mhd, char *s)
{
	return strlen(s);
}

static void __attribute__((format(printf, 2, 0))) on_log(void *arg, const char *fmt, va_list ap)
{
	struct http_server *s = arg;
	char line[512];

	vsnprintf(line, sizeof(line), fmt, ap);
	line[strcspn(line, "\r\n")] = '\0';
	s->params.ops->log(s->params.app, line);
}

static int
start_daemon(struct http_server *s, struct err *e)
{
	const struct http_params *p = &s->params;
	unsigned flags = MHD_USE_AUTO_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET |
	    MHD_USE_TURBO | MHD_USE_ERROR_LOG;
	struct MHD_OptionItem options[] = {
		{ MHD_OPTION_EXTERNAL_LOGGER, (intptr_t)on_log, s },
		/* Divided among the threads, which the acceptor's limit is not. */
		{ MHD_OPTION_CONNECTION_LIMIT, (intptr_t)p->connections * p->threads, NULL },
		{ MHD_OPTION_PER_IP_CONNECTION_LIMIT, (intptr_t)p->connections_per_addr, NULL },
		{ MHD_OPTION_CONNECTION_MEMORY_LIMIT, (intptr_t)CONN_MEMORY, NULL },
		{ MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)p->threads, NULL },
		{ MHD_OPTION_THREAD_STACK_SIZE, (intptr_t)(512 * 1024), NULL },
		{ MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, s },
		{ MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_completed, s },
		{ MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)on_target, s },
		{ MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)keep_escapes, s },
		{ MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL },
		{ p->tls == NULL ? MHD_OPTION_END : MHD_OPTION_HTTPS_CERT_CALLBACK, 0,
		    p->tls == NULL ? NULL : tls_callback(p->tls) },
		{ MHD_OPTION_END, 0, NULL },
	};

	if (p->tls != NULL)
		flags |= MHD_USE_TLS;
	s->daemon =
	    MHD_start_daemon(flags, 0, NULL, NULL, on_request, s, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
	return s->daemon == NULL ? err_set(e, E_SYS, "start the HTTP server: libmicrohttpd refused") : 0;
}

void
http_stop(struct http_server *s)
{
	accept_stop(s);
	if (s->daemon != NULL)
		MHD_stop_daemon(s->daemon);
	reaper_stop(s);
	fd_close(s->told[0]);
	fd_close(s->told[1]);
	fd_close(s->listen_fd < 0 ? -1 : s->listen_fd);
	free(s);
}

int
http_start(const struct http_params *p, struct http_server **out, struct err *e)
{
	struct http_server *s = calloc(1, sizeof(*s));
	int rc;

	if (s == NULL)
		return err_nomem(e);
	s->params = *p;
	s->told[0] = s->told[1] = -1;
	rc = s->listen_fd = listen_on(p->listen, &s->port, e);
	if (rc >= 0)
		rc = reaper_start(s, e);
	if (rc >= 0)
		rc = start_daemon(s, e);
	if (rc >= 0)
		rc = accept_start(s, e);
	if (rc < 0) {
		http_stop(s);
		return rc;
	}
	*out = s;
	return 0;
}

/* Waits on the reaper's condition: a closing connection has nothing else to tell it with. */
static void
wait_for_requests(struct http_server *s, int ms)
{
	int64_t until = text_monotonic_ms() + ms;

	while (atomic_load(&s->requests) > 0) {
		struct timespec t;
		int64_t now = text_monotonic_ms(), next = now + 50;

		if (now >= until)
			return;
		t.tv_sec = next / 1000;
		t.tv_nsec = next % 1000 * 1000000;
		pthread_mutex_lock(&s->lock);
		(void)pthread_cond_timedwait(&s->wake, &s->lock, &t);
		pthread_mutex_unlock(&s->lock);
	}
}

void
http_quiesce(struct http_server *s, int ms)
{
	accept_stop(s);
	wait_for_requests(s, ms);
}

unsigned
http_port(const struct http_server *s)
{
	return s->port;
}

bool
http_is_tls(const struct http_server *s)
{
	return s->params.tls != NULL;
}

unsigned
http_connections(const struct http_server *s)
{
	const union MHD_DaemonInfo *info =
	    MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);

	return info == NULL ? 0 : info->num_connections;
}
