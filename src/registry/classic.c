#include "registry/registry.h"
enum http_next
classic_get(struct req *r)
{
	return reply_error(r, 404, "NAME_UNKNOWN", "x");
}
