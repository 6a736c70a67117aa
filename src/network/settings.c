/*
 * The record of the host's settings that were changed, see settings.h.
 *
 *   ROOT/net/sysctl   boot=ID, and lines set=OLD NEW NAME
 */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/host.h"
#include "network/settings.h"

#define RECORD "sysctl"
#define RECORD_MAX 65536

static int
boot_text(char out[static 2 * HOST_BOOT_ID_LEN + 1], struct err *e)
{
	uint8_t id[HOST_BOOT_ID_LEN];
	int rc = host_boot_id(id, e);

	for (size_t i = 0; rc == 0 && i < sizeof(id); i++)
		snprintf(out + 2 * i, 3, "%02x", id[i]);
	return rc;
}

int
net_settings_read(const struct net *n, struct kv *kv, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(RECORD_MAX);
	char boot[2 * HOST_BOOT_ID_LEN + 1];
	struct err why = ERR_INIT;
	const char *of;
	int rc = boot_text(boot, e);

	if (rc < 0)
		return rc;
	rc = file_read(n->fd, RECORD, &b, &why);
	if (rc == 0)
		rc = kv_parse(kv, buf_cstr(&b), b.len, RECORD, &why);
	if (rc < 0 && rc != -E_NOENT) {
		if (e != NULL)
			*e = why;
		return rc;
	}
	of = kv_get(kv, "boot");
	if (of == NULL || strcmp(of, boot) != 0) {
		kv_fini(kv);
		*kv = (struct kv)KV_INIT;
		return kv_set(kv, "boot", boot, e);
	}
	return 0;
}

int
net_settings_write(const struct net *n, const struct kv *kv, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(RECORD_MAX);
	int rc;

	kv_print(kv, &b);
	rc = buf_check(&b, RECORD, e);
	return rc < 0 ? rc : file_write_atomic(n->fd, RECORD, 0600, b.data, b.len, e);
}

int
net_settings_note(struct kv *kv, const char *name, long was, long now, struct err *e)
{
	char line[NET_SETTING_NAME + 48];
	const char *old;

	/* Changed by us before, and by somebody back since. */
	for (size_t pos = 0; (old = kv_next(kv, "set", &pos)) != NULL;) {
		const char *of = strrchr(old, ' ');

		if (of != NULL && strcmp(of + 1, name) == 0)
			return 0;
	}
	snprintf(line, sizeof(line), "%ld %ld %s", was, now, name);
	return kv_add(kv, "set", line, e);
}

int
net_settings_each(const struct net *n, net_setting_fn *fn, void *arg, struct err *e)
{
	AUTO_FINI(kv) struct kv kv = KV_INIT;
	const char *line;
	int rc = net_settings_read(n, &kv, e);

	for (size_t pos = 0; rc == 0 && (line = kv_next(&kv, "set", &pos)) != NULL;) {
		char name[NET_SETTING_NAME];
		long was, ours;

		if (sscanf(line, "%ld %ld %127s", &was, &ours, name) != 3)
			return err_set(e, E_CORRUPT, "net/" RECORD ": '%s' is no setting", line);
		rc = fn(arg, name, was, ours, e);
	}
	return rc;
}
