/* base/host.h for FreeBSD: sysctl(3) and the places hier(7) names. */
#include <sys/types.h>
#include <sys/sysctl.h>
#include <sys/time.h>
#include <sys/user.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/host.h"

int
host_boot_id(uint8_t out[static HOST_BOOT_ID_LEN], struct err *e)
{
	struct timeval boot;
	size_t len = sizeof(boot);
	int64_t sec, usec;

	/* The time of the boot moves with clock steps; kern.boot_id exists since 14. */
	len = HOST_BOOT_ID_LEN;
	if (sysctlbyname("kern.boot_id", out, &len, NULL, 0) == 0 && len == HOST_BOOT_ID_LEN)
		return 0;
	len = sizeof(boot);
	if (sysctlbyname("kern.boottime", &boot, &len, NULL, 0) != 0)
		return err_sys(e, "cannot read kern.boottime");
	sec = boot.tv_sec;
	usec = boot.tv_usec;
	memcpy(out, &sec, sizeof(sec));
	memcpy(out + 8, &usec, sizeof(usec));
	return 0;
}

int
host_self_path(char *out, size_t size, struct err *e)
{
	int mib[] = { CTL_KERN, KERN_PROC, KERN_PROC_PATHNAME, -1 };

	if (sysctl(mib, 4, out, &size, NULL, 0) != 0)
		return err_sys(e, "cannot find the path of this program");
	return 0;
}

int
host_fd_path(int fd, char *out, size_t size, struct err *e)
{
	struct kinfo_file kf = { .kf_structsize = sizeof(kf) };

	if (fcntl(fd, F_KINFO, &kf) != 0)
		return err_sys(e, "cannot find the path of an open file");
	if (kf.kf_path[0] != '/')
		return err_set(e, E_STATE, "an open file has no path: it was removed, or moved just now");
	if ((size_t)snprintf(out, size, "%s", kf.kf_path) >= size)
		return err_set(e, E_LIMIT, "%.64s…: the path is too long", kf.kf_path);
	return 0;
}

/* devfs(5) has no room for them. */
const char *
host_mount_points(void)
{
	return "";
}

unsigned
host_cpu_mhz(void)
{
	int mhz = 0;
	size_t len = sizeof(mhz);

	return sysctlbyname("hw.clockrate", &mhz, &len, NULL, 0) == 0 && mhz > 0 ? (unsigned)mhz : 0;
}

const char *
host_default_root(void)
{
	return "/opt/pot";
}

const char *
host_default_config(void)
{
	return "/usr/local/etc/pot/pot.conf";
}

const char *
host_libexec(void)
{
	return POT_LIBEXEC;
}

const char *
host_bindir(void)
{
	return POT_BINDIR;
}
