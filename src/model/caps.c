/*
 * The names of capabilities and sets of them. Which a pot gets is decided by
 * the engine; taking the others away is isolation's.
 */
#include "model/caps.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/auto.h"
#include "base/text.h"

/* linux/capability.h, in its order. */
const char *const caps_names[] = { "chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill",
	"setgid", "setuid", "setpcap", "linux_immutable", "net_bind_service", "net_broadcast", "net_admin",
	"net_raw", "ipc_lock", "ipc_owner", "sys_module", "sys_rawio", "sys_chroot", "sys_ptrace",
	"sys_pacct", "sys_admin", "sys_boot", "sys_nice", "sys_resource", "sys_time", "sys_tty_config",
	"mknod", "lease", "audit_write", "audit_control", "setfcap", "mac_override", "mac_admin", "syslog",
	"wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf", "checkpoint_restore" };
const size_t caps_count = ARRAY_LEN(caps_names);

int
caps_parse(const char *name, uint64_t *set, struct err *e)
{
	const char *bare = strncasecmp(name, "cap_", 4) == 0 ? name + 4 : name, *near;

	if (strcasecmp(bare, "all") == 0) {
		*set |= CAPS_ALL;
		return 0;
	}
	for (size_t i = 0; i < caps_count; i++) {
		if (strcasecmp(bare, caps_names[i]) == 0) {
			*set |= UINT64_C(1) << i;
			return 0;
		}
	}
	(void)!err_set(e, E_INVAL, "there is no capability '%.64s'", name);
	near = text_nearest(bare, caps_names, caps_count);
	if (near != NULL)
		return err_hint(e, "did you mean %s?", near);
	return err_hint(e, "pot-security(7) lists them");
}

void
caps_print(uint64_t set, struct buf *b)
{
	const char *gap = "";

	for (size_t i = 0; i < caps_count; i++) {
		if ((set >> i & 1) == 0)
			continue;
		buf_fmt(b, "%s%s", gap, caps_names[i]);
		gap = " ";
	}
}
