/* FreeBSD has no user namespaces: files are made as who one is. */
#include "base/ids.h"

int
ids_enter(uint32_t id, struct err *e)
{
	(void)id;
	return err_set(e, E_NOTSUP, "FreeBSD has no user namespaces");
}

void
ids_leave(void)
{
}
