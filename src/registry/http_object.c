/* What replies are made of. An object is built by one thread, then never changed. */
#include <sys/mman.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "registry/http_impl.h"

static struct http_object *
object_new(uint64_t size)
{
	struct http_object *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return NULL;
	o->size = size;
	o->fd = -1;
	atomic_init(&o->owners, 1);
	return o;
}

static struct http_object *
add_type(struct http_object *o, const char *type)
{
	if (type != NULL)
		http_object_header(o, "Content-Type", "%s", type);
	http_object_header(o, "X-Content-Type-Options", "nosniff");
	return o;
}

struct http_object *
http_object_bytes(const void *data, size_t n, const char *type)
{
	struct http_object *o = object_new(n);
	/* libmicrohttpd only reads it. */
	void *copied = n == 0 ? (void *)(uintptr_t) "" : (void *)(uintptr_t)data;

	if (o == NULL)
		return NULL;
	o->response = MHD_create_response_from_buffer(
	    n, copied, n == 0 ? MHD_RESPMEM_PERSISTENT : MHD_RESPMEM_MUST_COPY);
	if (o->response == NULL) {
		free(o);
		return NULL;
	}
	return add_type(o, type);
}

struct http_object *
http_object_file(int fd, uint64_t offset, uint64_t length, const char *type)
{
	struct http_object *o = object_new(length);

	if (o == NULL) {
		fd_close(fd);
		return NULL;
	}
	o->file = true;
	o->fd = fd;
	o->offset = offset;
	return add_type(o, type);
}

struct mapping {
	void *at;
	size_t size;
	_Atomic int64_t *budget;
};

/* Called when the last connection has sent it. */
static void
mapping_free(void *arg)
{
	struct mapping *m = arg;

	if (m->at != MAP_FAILED)
		(void)munmap(m->at, m->size);
	atomic_fetch_add(m->budget, (int64_t)m->size);
	free(m);
}

/* NULL: it is too large, or the budget is used up. */
static struct mapping *
map_file(int fd, uint64_t length, _Atomic int64_t *budget)
{
	struct mapping *m;

	if (length == 0 || length > HTTP_MAPPED_MAX || (m = calloc(1, sizeof(*m))) == NULL)
		return NULL;
	*m = (struct mapping){ MAP_FAILED, length, budget };
	if (atomic_fetch_sub(budget, (int64_t)length) >= (int64_t)length)
		m->at = mmap(NULL, length, PROT_READ, MAP_SHARED, fd, 0);
	if (m->at != MAP_FAILED)
		return m;
	mapping_free(m);
	return NULL;
}

static struct http_object *
mapped_object(struct mapping *m)
{
	struct http_object *o = object_new(m->size);

	if (o != NULL)
		o->response =
		    MHD_create_response_from_buffer_with_free_callback_cls(m->size, m->at, mapping_free, m);
	if (o != NULL && o->response != NULL)
		return o;
	free(o);
	mapping_free(m);
	return NULL;
}

struct http_object *
http_object_mapped(int fd, uint64_t length, const char *type, _Atomic int64_t *budget)
{
	struct mapping *m = map_file(fd, length, budget);
	struct http_object *o = m == NULL ? NULL : mapped_object(m);

	if (o == NULL)
		return http_object_file(fd, 0, length, type);
	fd_close(fd);
	return add_type(o, type);
}

void
http_object_header(struct http_object *o, const char *name, const char *fmt, ...)
{
	char value[1200];
	va_list ap;
	int n;

	if (o == NULL)
		return;
	va_start(ap, fmt);
	n = vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	if (n < 0 || n >= (int)sizeof(value))
		return;
	if (!o->file) {
		(void)MHD_add_response_header(o->response, name, value);
	} else if (o->n_headers < OBJECT_HEADERS &&
	    (o->headers[o->n_headers].value = strdup(value)) != NULL) {
		o->headers[o->n_headers++].name = name;
	}
}

struct MHD_Response *
http_object_response(const struct http_object *o)
{
	struct MHD_Response *response;
	int fd = fcntl(o->fd, F_DUPFD_CLOEXEC, 3);

	if (fd < 0)
		return NULL;
	response = MHD_create_response_from_fd_at_offset64(o->size, fd, o->offset);
	if (response == NULL) {
		fd_close(fd);
		return NULL;
	}
	for (size_t i = 0; i < o->n_headers; i++)
		(void)MHD_add_response_header(response, o->headers[i].name, o->headers[i].value);
	return response;
}

struct http_object *
http_object_get(struct http_object *o)
{
	if (o != NULL)
		atomic_fetch_add(&o->owners, 1);
	return o;
}

void
http_object_put(struct http_object *o)
{
	if (o == NULL || atomic_fetch_sub(&o->owners, 1) != 1)
		return;
	if (o->response != NULL)
		MHD_destroy_response(o->response);
	for (size_t i = 0; i < o->n_headers; i++)
		free(o->headers[i].value);
	fd_close(o->fd);
	free(o);
}

uint64_t
http_object_size(const struct http_object *o)
{
	return o == NULL ? 0 : o->size;
}
