/*
 * The file system ids of the calling thread.  The kernel takes the
 * capabilities over files away when the id stops being 0, and gives them back
 * when it is 0 again; in between they are raised by hand.
 */
#include "base/ids.h"

#include <linux/capability.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <unistd.h>

static int
raise_permitted(void)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2];

	if (syscall(SYS_capget, &h, d) != 0)
		return -1;
	d[0].effective = d[0].permitted;
	d[1].effective = d[1].permitted;
	return (int)syscall(SYS_capset, &h, d);
}

int
ids_enter(uint32_t id, struct err *e)
{
	setfsgid(id);
	setfsuid(id);
	if ((uint32_t)setfsuid((uid_t)-1) == id && raise_permitted() == 0)
		return 0;
	(void)!err_sys(e, "cannot make files as user %u", (unsigned)id);
	ids_leave();
	return -E_SYS;
}

void
ids_leave(void)
{
	setfsuid(geteuid());
	setfsgid(getegid());
}
