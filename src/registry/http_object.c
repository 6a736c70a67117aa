/* What replies are made of. An object is built by one thread, then never changed. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "registry/http_impl.h"

static struct http_object *
object_of(struct MHD_Response *response, uint64_t size, bool file, const char *type)
{
	struct http_object *o;

	if (response == NULL)
		return NULL;
	o = calloc(1, sizeof(*o));
	if (o == NULL) {
		MHD_destroy_response(response);
		return NULL;
	}
	o->response = response;
	o->size = size;
	o->file = file;
	atomic_init(&o->owners, 1);
	if (type != NULL)
		http_object_header(o, "Content-Type", "%s", type);
	http_object_header(o, "X-Content-Type-Options", "nosniff");
	return o;
}

struct http_object *
http_object_bytes(const void *data, size_t n, const char *type)
{
	/* libmicrohttpd only reads it. */
	void *copied = n == 0 ? (void *)(uintptr_t) "" : (void *)(uintptr_t)data;

	return object_of(MHD_create_response_from_buffer(
			     n, copied, n == 0 ? MHD_RESPMEM_PERSISTENT : MHD_RESPMEM_MUST_COPY),
	    n, false, type);
}

struct http_object *
http_object_file(int fd, uint64_t offset, uint64_t length, const char *type)
{
	struct MHD_Response *response = MHD_create_response_from_fd_at_offset64(length, fd, offset);

	if (response == NULL)
		close(fd);
	return object_of(response, length, true, type);
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
	if (n >= 0 && n < (int)sizeof(value))
		(void)MHD_add_response_header(o->response, name, value);
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
	MHD_destroy_response(o->response);
	free(o);
}

uint64_t
http_object_size(const struct http_object *o)
{
	return o == NULL ? 0 : o->size;
}
