/* What FreeBSD has no form of: user namespaces, networks made ahead of a pot, id-mapped mounts. */
#include "isolation/isolation.h"

const bool iso_has_userns = false;

int
iso_userns(uint32_t first, uint32_t count, struct err *e)
{
	return err_set(e, E_NOTSUP, "FreeBSD has no user namespaces");
}

int
iso_ahead(uint32_t first, uint32_t ids, bool net, struct iso_ahead **out, int *userns_fd, struct err *e)
{
	*out = NULL;
	*userns_fd = -1;
	return ids == 0 ? 0 : iso_userns(first, ids, e);
}

bool
iso_ahead_net(struct iso_ahead *a, int fds[static 2])
{
	return false;
}

void
iso_ahead_free(struct iso_ahead *a)
{
}

int
iso_idmap(int mount_fd, int userns_fd, bool recursive, struct err *e)
{
	return err_set(e, E_NOTSUP, "FreeBSD has no id-mapped mounts");
}

int
iso_userns_of(const struct iso_ref *ref, int *fd, uint32_t *first, uint32_t *ids, struct err *e)
{
	*fd = -1;
	*first = *ids = 0;
	return 0;
}
