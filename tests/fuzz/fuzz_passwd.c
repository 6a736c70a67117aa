/*
 * passwd and group of a hostile root. Input: spec, NUL, passwd, NUL, group.
 * Whatever is found must stand in the text; a name that is not there never
 * becomes a user.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "model/passwd.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = malloc(size + 3);
	struct passwd_user u;
	struct err e = ERR_INIT;
	const char *passwd, *group;
	char name[64];

	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	memset(text + size, 0, 3);
	passwd = text + strlen(text) + 1;
	group = passwd + strlen(passwd) + 1;
	if (group > text + size)
		group = text + size;
	if (passwd > text + size)
		passwd = text + size;
	if (passwd_lookup(passwd, group, text, &u, &e) == 0) {
		if (u.uid == (uid_t)-1 || u.gid == (gid_t)-1 || u.ngroups == 0 || u.groups[0] != u.gid ||
		    u.ngroups > PASSWD_GROUPS_MAX || u.home[0] != '/')
			abort();
		if (text[0] != '\0' && strspn(text, "0123456789") < strcspn(text, ":") && u.name[0] == '\0')
			abort();
		if (u.name[0] != '\0' && strstr(passwd, u.name) == NULL)
			abort();
	} else if (e.code == 0 || e.msg[0] == '\0') {
		abort();
	}
	passwd_name(passwd, 0, name);
	return 0;
}
