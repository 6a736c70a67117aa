/*
 * The lines of a command file that set something: what they come to, as the
 * settings of an image or a build have it.
 */
#include "builder/flavour_settings.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "image/config.h"
#include "model/port.h"

static int
add_pair(struct kv *kv, const char *key, const char *name, const char *value, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(FLAVOUR_FILE_MAX);
	int rc;

	buf_fmt(&b, "%s=%s", name, value);
	rc = buf_check(&b, "the value", e);
	return rc < 0 ? rc : kv_add(kv, key, b.data, e);
}

static int
set_command(const struct flavour_line *l, struct kv *kv, struct err *e)
{
	AUTO_FINI(strv) struct strv words = STRV_INIT(4096);
	const char *text = flavour_first(l, 'c');
	int rc = text_split(text, &words, e);

	/* The classic framework takes one pair of quotes around the whole away. */
	if (rc == 0 && words.n == 1 && text[0] == '"' && strpbrk(words.v[0], " \t") != NULL) {
		AUTO_FREE char *inner = strdup(words.v[0]);

		if (inner == NULL)
			return err_nomem(e);
		strv_clear(&words);
		rc = text_split(inner, &words, e);
	}
	if (rc == 0)
		rc = strv_check(&words, "words of the command", e);
	if (rc == 0 && words.n == 0)
		rc = err_set(e, E_INVAL, "the command is empty");
	for (size_t i = 0; i < words.n && rc == 0; i++)
		rc = kv_add(kv, IMG_SET_CMD, words.v[i], e);
	return rc;
}

static int
set_ports(const struct flavour_line *l, struct kv *kv, struct err *e)
{
	AUTO_FREE struct port_map *maps = calloc(PORT_MAPS_MAX, sizeof(*maps));
	char text[PORT_TEXT];
	const char *port;
	size_t pos = 0, n = 0;
	int rc = 0;

	if (maps == NULL)
		return err_nomem(e);
	while (rc == 0 && (port = flavour_option(l, 'e', &pos)) != NULL)
		rc = port_parse_classic(port, maps, &n, e);
	for (size_t i = 0; i < n && rc == 0; i++) {
		port_print(&maps[i], text);
		rc = kv_add(kv, BLD_SET_PORT, text, e);
		snprintf(text, sizeof(text), "%u/%s", maps[i].pot, maps[i].proto == PORT_UDP ? "udp" : "tcp");
		if (rc == 0)
			rc = kv_add(kv, IMG_SET_EXPOSE, text, e);
	}
	return rc;
}

static int
set_mount(const struct flavour *f, const struct flavour_line *l, struct kv *kv, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(3 * PATH_MAX);
	const char *source = flavour_first(l, 'd');
	char real[PATH_MAX], target[PATH_MAX], option[] = "ro";
	int rc;

	if (source == NULL) {
		err_set(e, E_NOTSUP, "mount-in -%c is not there", flavour_first(l, 'f') != NULL ? 'f' : 'z');
		return err_hint(e, "mount-in -d DIRECTORY takes any directory of the host");
	}
	if (f->context)
		return err_set(e, E_PERM, "a flavour of the build context cannot mount what is the host's");
	if (realpath(source, real) == NULL)
		return err_sys(e, "cannot mount %s", source);
	snprintf(target, sizeof(target), "%s", flavour_first(l, 'm'));
	text_join((char *const[]){ real, target, flavour_first(l, 'r') != NULL ? option : NULL, NULL }, &b);
	rc = buf_check(&b, "the mount", e);
	return rc < 0 ? rc : kv_add(kv, BLD_SET_MOUNT, b.data, e);
}

static int
set_limits(const struct flavour_line *l, struct kv *kv, struct err *e)
{
	const char *cpus = flavour_first(l, 'C'), *memory = flavour_first(l, 'M');
	int rc = cpus != NULL ? add_pair(kv, BLD_SET_LIMIT, "cpus", cpus, e) : 0;

	return rc == 0 && memory != NULL ? add_pair(kv, BLD_SET_LIMIT, "memory", memory, e) : rc;
}

static int
set_env(const struct flavour_line *l, struct kv *kv, struct err *e)
{
	const char *value;
	size_t pos = 0;
	int rc = 0;

	while (rc == 0 && (value = flavour_option(l, 'E', &pos)) != NULL)
		rc = kv_add(kv, IMG_SET_ENV, value, e);
	return rc;
}

int
flavour_settings(const struct flavour *f, const struct flavour_line *l, struct kv *kv, struct err *e)
{
	int rc = 0;

	switch (l->op) {
	case FLAVOUR_ADD_DEP:
		rc = kv_add(kv, BLD_SET_DEPEND, flavour_first(l, 'P'), e);
		break;
	case FLAVOUR_SET_ATTRIBUTE:
		rc = add_pair(kv, IMG_SET_ATTR, flavour_first(l, 'A'), flavour_first(l, 'V'), e);
		break;
	case FLAVOUR_MOUNT_IN:
		rc = set_mount(f, l, kv, e);
		break;
	case FLAVOUR_SET_RSS:
		rc = set_limits(l, kv, e);
		break;
	case FLAVOUR_EXPORT_PORTS:
		rc = set_ports(l, kv, e);
		break;
	case FLAVOUR_SET_CMD:
		rc = set_command(l, kv, e);
		break;
	case FLAVOUR_SET_ENV:
		rc = set_env(l, kv, e);
		break;
	default:
		break;
	}
	return rc;
}
