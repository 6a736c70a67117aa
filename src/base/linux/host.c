/* base/host.h for Linux: procfs and the places the FHS names. */
#include "base/host.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"

#define BOOT_ID_FILE "/proc/sys/kernel/random/boot_id"

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

int
host_boot_id(uint8_t out[static HOST_BOOT_ID_LEN], struct err *e)
{
	char text[64];
	size_t digits = 0;
	AUTO(fd) int fd = open(BOOT_ID_FILE, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));

	if (n < 0)
		return err_sys(e, "cannot read " BOOT_ID_FILE);
	memset(out, 0, HOST_BOOT_ID_LEN);
	for (ssize_t i = 0; i < n && digits < 2 * HOST_BOOT_ID_LEN; i++) {
		int d = hex_digit(text[i]);

		if (d < 0)
			continue;
		out[digits / 2] |= (uint8_t)(d << (digits % 2 == 0 ? 4 : 0));
		digits++;
	}
	if (digits != 2 * HOST_BOOT_ID_LEN)
		return err_set(e, E_CORRUPT, "%s does not hold a UUID", BOOT_ID_FILE);
	return 0;
}

int
host_self_path(char *out, size_t size, struct err *e)
{
	ssize_t n = readlink("/proc/self/exe", out, size - 1);

	if (n < 0)
		return err_sys(e, "cannot read /proc/self/exe");
	out[n] = '\0';
	return 0;
}

int
host_fd_path(int fd, char *out, size_t size, struct err *e)
{
	(void)e;
	snprintf(out, size, "/proc/self/fd/%d", fd);
	return 0;
}

const char *
host_mount_points(void)
{
	return "/dev";
}

/* The number in a small file, 0 when there is none. */
static unsigned long
read_number(const char *path)
{
	char text[32];
	AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		return 0;
	text[n] = '\0';
	return strtoul(text, NULL, 10);
}

/* Virtual machines often have no cpufreq; x86 tells its clock in cpuinfo, whose first page is enough. */
unsigned
host_cpu_mhz(void)
{
	char text[4096];
	const char *line;
	unsigned long khz = read_number("/sys/devices/system/cpu/cpu0/cpufreq/base_frequency");
	AUTO(fd) int fd = -1;
	ssize_t n;

	if (khz == 0)
		khz = read_number("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq");
	if (khz != 0)
		return (unsigned)(khz / 1000);
	fd = open("/proc/cpuinfo", O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	line = strstr(text, "\ncpu MHz");
	line = line != NULL ? strchr(line, ':') : NULL;
	return line != NULL ? (unsigned)strtoul(line + 1, NULL, 10) : 0;
}

const char *
host_default_root(void)
{
	return "/var/lib/pot";
}

const char *
host_default_config(void)
{
	return "/etc/pot/pot.conf";
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
