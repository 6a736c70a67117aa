/*
 * A task's config {}: the keys, those of the classic driver among them, and what they mean together.
 * Nothing is looked up here: whether an image, a file or a bridge exists is found out when the pot is made.
 */
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "model/caps.h"
#include "model/potconf.h"
#include "model/reference.h"
#include "nomad/config.h"

#define LIST_MAX 65536
#define WHAT "config"

static const struct spec auth_rows[] = {
	{ "username", SPEC_ATTR, "string" },
	{ "password", SPEC_ATTR, "string" },
	{ "tls_verify", SPEC_ATTR, "bool", .preset = "true" },
	{ NULL },
};
const struct spec task_spec[] = {
	{ "image", SPEC_ATTR, "string", .required = true },
	{ "pot", SPEC_ATTR, "string" },
	{ "tag", SPEC_ATTR, "string" },
	{ "command", SPEC_ATTR, "string" },
	{ "args", SPEC_ATTR, "list(string)" },
	{ "entrypoint", SPEC_ATTR, "any" },
	{ "ports", SPEC_ATTR, "list(string)" },
	{ "port_map", SPEC_ATTR, "list(map(string))" },
	{ "network_mode", SPEC_ATTR, "string" },
	{ "bridge", SPEC_ATTR, "string" },
	{ "bridge_size", SPEC_ATTR, "number" },
	{ "ip", SPEC_ATTR, "any" },
	{ "aliases", SPEC_ATTR, "list(string)" },
	{ "network_stack", SPEC_ATTR, "string" },
	{ "advertise", SPEC_ATTR, "bool" },
	{ "mount", SPEC_ATTR, "list(string)" },
	{ "mount_read_only", SPEC_ATTR, "list(string)" },
	{ "volumes", SPEC_ATTR, "list(string)" },
	{ "copy", SPEC_ATTR, "list(string)" },
	{ "tmpfs", SPEC_ATTR, "list(string)" },
	{ "devices", SPEC_ATTR, "list(string)" },
	{ "extra_hosts", SPEC_ATTR, "list(string)" },
	{ "attributes", SPEC_ATTR, "list(string)" },
	{ "labels", SPEC_ATTR, "list(map(string))" },
	{ "sysctl", SPEC_ATTR, "list(map(string))" },
	{ "ulimit", SPEC_ATTR, "list(map(string))" },
	{ "user", SPEC_ATTR, "string" },
	{ "working_dir", SPEC_ATTR, "string" },
	{ "hostname", SPEC_ATTR, "string" },
	{ "dns", SPEC_ATTR, "list(string)" },
	{ "dns_search", SPEC_ATTR, "list(string)" },
	{ "dns_options", SPEC_ATTR, "list(string)" },
	{ "auth", SPEC_BLOCK, .rows = auth_rows },
	{ "force_pull", SPEC_ATTR, "bool", .preset = "false" },
	{ "image_pull_timeout", SPEC_ATTR, "string" },
	{ "verify", SPEC_ATTR, "bool", .preset = "false" },
	{ "privileged", SPEC_ATTR, "bool", .preset = "false" },
	{ "readonly_rootfs", SPEC_ATTR, "bool", .preset = "false" },
	{ "cap_add", SPEC_ATTR, "list(string)" },
	{ "cap_drop", SPEC_ATTR, "list(string)" },
	{ "seccomp", SPEC_ATTR, "string" },
	{ "userns", SPEC_ATTR, "string" },
	{ "shm_size", SPEC_ATTR, "string" },
	{ "cpu_hard_limit", SPEC_ATTR, "bool", .preset = "false" },
	{ "memory_swap", SPEC_ATTR, "string" },
	{ "pids_limit", SPEC_ATTR, "number" },
	{ "oom", SPEC_ATTR, "string" },
	{ "keep_failed", SPEC_ATTR, "bool", .preset = "false" },
	{ NULL },
};

/* Lists by their keys: read, checked and freed alike. pairs: a map as KEY, VALUE. */
struct list {
	const char *key;
	size_t offset;
	bool pairs;
};
#define LIST(key, field)                                      \
	{                                                     \
		key, offsetof(struct task_conf, field), false \
	}
#define PAIRS(key, field)                                    \
	{                                                    \
		key, offsetof(struct task_conf, field), true \
	}
static const struct list lists[] = {
	LIST("args", words),
	LIST("entrypoint", entrypoint),
	LIST("ports", ports),
	PAIRS("port_map", port_map),
	LIST("ip", ips),
	LIST("aliases", aliases),
	LIST("mount", mounts),
	LIST("mount_read_only", mounts_ro),
	LIST("volumes", volumes),
	LIST("copy", copies),
	LIST("tmpfs", tmpfs),
	LIST("devices", devices),
	LIST("extra_hosts", hosts),
	LIST("attributes", attrs),
	PAIRS("labels", labels),
	PAIRS("sysctl", sysctl),
	PAIRS("ulimit", ulimit),
	LIST("dns", dns),
	LIST("dns_search", dns_search),
	LIST("dns_options", dns_options),
	LIST("cap_add", cap_add),
	LIST("cap_drop", cap_drop),
};
struct text {
	const char *key;
	size_t offset;
};
#define TEXT(key, field)                               \
	{                                              \
		key, offsetof(struct task_conf, field) \
	}
static const struct text texts[] = {
	TEXT("image", url),
	TEXT("pot", pot),
	TEXT("tag", tag),
	TEXT("command", command_line),
	TEXT("network_mode", mode),
	TEXT("bridge", bridge),
	TEXT("network_stack", stack),
	TEXT("user", user),
	TEXT("working_dir", workdir),
	TEXT("hostname", hostname),
	TEXT("seccomp", seccomp),
	TEXT("userns", userns),
	TEXT("shm_size", shm_size),
	TEXT("memory_swap", memory_swap),
	TEXT("oom", oom),
};
static const struct text flags[] = {
	TEXT("advertise", advertise),
	TEXT("force_pull", force_pull),
	TEXT("verify", verify),
	TEXT("privileged", privileged),
	TEXT("readonly_rootfs", read_only),
	TEXT("cpu_hard_limit", cpu_hard),
	TEXT("keep_failed", keep_failed),
};

#define AT(c, offset, type) ((type *)(void *)((char *)(c) + (offset)))

void
task_conf_init(struct task_conf *c)
{
	*c = (struct task_conf){ .pids_limit = -1, .tls_verify = true };
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		AT(c, lists[i].offset, struct strv)->max = LIST_MAX;
}

void
task_conf_fini(struct task_conf *c)
{
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		strv_fini(AT(c, lists[i].offset, struct strv));
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		free(*AT(c, texts[i].offset, char *));
	free(c->auth_user);
	free(c->auth_password);
}

static int
get_text(const struct value *v, const char *key, char **out, struct err *e)
{
	const char *s = NULL;
	int rc = value_string(v, key, &s, WHAT, e);

	if (rc <= 0 || *s == '\0')
		return rc < 0 ? rc : 0;
	*out = strdup(s);
	return *out == NULL ? err_nomem(e) : 0;
}

static int
get_lists(struct task_conf *c, const struct value *v, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(lists) && rc >= 0; i++) {
		struct strv *out = AT(c, lists[i].offset, struct strv);

		rc = lists[i].pairs ? value_map(v, lists[i].key, out, WHAT, e)
				    : value_strings(v, lists[i].key, out, WHAT, e);
		if (rc > 0 && out == &c->entrypoint)
			c->has_entrypoint = true;
		if (rc >= 0)
			rc = strv_check(out, lists[i].key, e);
	}
	return rc;
}

static int
get_auth(struct task_conf *c, const struct value *v, struct err *e)
{
	const struct value *auth = NULL;
	int rc = value_block(v, "auth", &auth, WHAT, e);

	if (rc < 0 || auth == NULL)
		return rc < 0 ? rc : 0;
	rc = get_text(auth, "username", &c->auth_user, e);
	if (rc == 0)
		rc = get_text(auth, "password", &c->auth_password, e);
	if (rc == 0)
		rc = value_bool(auth, "tls_verify", &c->tls_verify, WHAT ": auth", e);
	if (rc >= 0 && (c->auth_user == NULL) != (c->auth_password == NULL))
		rc = err_set(e, E_INVAL, WHAT ": auth: username and password go together");
	return rc < 0 ? rc : 0;
}

static int
get_all(struct task_conf *c, const struct value *v, struct err *e)
{
	const char *timeout = NULL;
	int rc = get_lists(c, v, e);

	for (size_t i = 0; i < ARRAY_LEN(texts) && rc == 0; i++)
		rc = get_text(v, texts[i].key, AT(c, texts[i].offset, char *), e);
	for (size_t i = 0; i < ARRAY_LEN(flags) && rc >= 0; i++) {
		rc = value_bool(v, flags[i].key, AT(c, flags[i].offset, bool), WHAT, e);
		if (rc > 0 && flags[i].offset == offsetof(struct task_conf, advertise))
			c->advertise_set = true;
	}
	if (rc >= 0)
		rc = value_int(v, "bridge_size", 2, 65534, &c->bridge_size, WHAT, e);
	if (rc >= 0)
		rc = value_int(v, "pids_limit", 0, 1 << 22, &c->pids_limit, WHAT, e);
	if (rc >= 0)
		rc = value_string(v, "image_pull_timeout", &timeout, WHAT, e);
	if (rc > 0)
		rc = text_duration(timeout, &c->pull_timeout_ms, WHAT ": image_pull_timeout", e);
	return rc < 0 ? rc : get_auth(c, v, e);
}

/* ---- the image and the command --------------------------------------------------------- */

static const char *
after(const char *s, const char *prefix)
{
	return strncasecmp(s, prefix, strlen(prefix)) == 0 ? s + strlen(prefix) : NULL;
}

/* URL, pot and tag: the classic files there, or the image of that name from the same server. */
static int
classic_form(struct task_conf *c, const char *rest, struct err *e)
{
	struct reference ref;
	size_t n = strcspn(rest, "/");
	int rc = 0;

	c->form = IMAGE_CLASSIC;
	if (c->pot == NULL || c->tag == NULL) {
		err_set(
		    e, E_INVAL, WHAT ": image is a URL, but %s is not given", c->pot == NULL ? "pot" : "tag");
		return err_hint(e, "give image, pot and tag, or an image like HOST/NAME:TAG alone");
	}
	/* Credentials in the URL are for the classic files alone. */
	if (memchr(rest, '@', n) != NULL) {
		const char *at = memchr(rest, '@', n);

		n -= (size_t)(at + 1 - rest);
		rest = at + 1;
	}
	if (n >= sizeof(c->host))
		return err_set(e, E_INVAL, WHAT ": image '%.80s': too long a host", c->url);
	snprintf(c->host, sizeof(c->host), "%.*s", (int)n, rest);
	if (n == 0)
		return 0;
	/* A port makes any host recognised as one. */
	snprintf(c->ref, sizeof(c->ref), "%s%s/%s:%s", c->host,
	    strchr(c->host, ':') == NULL && strchr(c->host, '.') == NULL && strcmp(c->host, "localhost") != 0
		? (c->plain_http ? ":80" : ":443")
		: "",
	    c->pot, c->tag);
	rc = ref_parse(c->ref, &ref, e);
	return rc < 0 ? err_wrap(e, WHAT ": image") : 0;
}

static int
oci_form(struct task_conf *c, struct err *e)
{
	struct reference ref;
	const char *text = after(c->url, "docker://");
	int rc;

	c->form = IMAGE_OCI;
	if (c->pot != NULL || c->tag != NULL) {
		err_set(e, E_INVAL, WHAT ": pot and tag go with an image that is a URL, not with '%.80s'",
		    c->url);
		return err_hint(e, "image = \"http://HOST/PATH\", or \"HOST/NAME:TAG\" alone");
	}
	rc = ref_parse(text != NULL ? text : c->url, &ref, e);
	if (rc < 0)
		return err_wrap(e, WHAT ": image");
	ref_default_tag(&ref);
	ref_print(&ref, c->ref);
	return 0;
}

static int
get_image(struct task_conf *c, struct err *e)
{
	const char *rest;

	if (c->url == NULL)
		return err_set(e, E_INVAL, WHAT ": image is empty");
	if ((rest = after(c->url, "https://")) != NULL)
		return classic_form(c, rest, e);
	if ((rest = after(c->url, "http://")) != NULL) {
		c->plain_http = true;
		return classic_form(c, rest, e);
	}
	if (after(c->url, "file:///") != NULL)
		return classic_form(c, "", e);
	return oci_form(c, e);
}

/* As the old driver had it: one line, whatever the words of args are. */
static int
classic_command(struct task_conf *c, struct err *e)
{
	AUTO_FINI(buf) struct buf line = BUF_INIT(1024 * 1024);
	AUTO_FINI(strv) struct strv words = STRV_INIT(LIST_MAX);
	int rc;

	if (c->command_line == NULL && c->words.n > 0) {
		err_set(e, E_INVAL, WHAT ": args without a command");
		return err_hint(e, "command is the program, args follow it");
	}
	if (c->command_line == NULL)
		return 0;
	buf_str(&line, c->command_line);
	for (size_t i = 0; i < c->words.n; i++)
		buf_fmt(&line, " %s", c->words.v[i]);
	rc = buf_check(&line, "the command", e);
	if (rc == 0)
		rc = text_split(buf_cstr(&line), &words, e);
	if (rc == 0)
		rc = strv_check(&words, "the command", e);
	if (rc < 0)
		return err_wrap(e, WHAT ": command");
	strv_clear(&c->words);
	strv_copy(&c->words, &words);
	return strv_check(&c->words, "the command", e);
}

static int
oci_command(struct task_conf *c, struct err *e)
{
	AUTO_FINI(strv) struct strv words = STRV_INIT(LIST_MAX);

	if (c->command_line == NULL)
		return 0;
	strv_add(&words, c->command_line);
	for (size_t i = 0; i < c->words.n; i++)
		strv_add(&words, c->words.v[i]);
	strv_clear(&c->words);
	strv_copy(&c->words, &words);
	return strv_check(&c->words, "the command", e);
}

/* ---- what goes together, and what the agent allows --------------------------------------- */

static int
check_modes(struct task_conf *c, const struct agent_conf *a, struct err *e)
{
	static const char *const modes[] = { "host", "none", "public-bridge", "private-bridge", "alias",
		NULL };
	const char *mode = c->mode;
	bool known = false, allowed = a->allow_modes.n == 0;

	if (mode == NULL)
		return 0;
	/* The old driver passed on what pot called it. */
	if (strcmp(mode, "inherit") == 0)
		mode = "host";
	for (const char *const *m = modes; *m != NULL; m++)
		known = known || strcmp(*m, mode) == 0;
	for (size_t i = 0; i < a->allow_modes.n; i++)
		allowed = allowed || strcmp(a->allow_modes.v[i], mode) == 0;
	if (!known) {
		err_set(e, E_INVAL, WHAT ": network_mode '%.64s': there is no such mode", c->mode);
		return err_hint(e, "one of host, none, public-bridge, private-bridge, alias");
	}
	if (!allowed) {
		err_set(e, E_PERM, WHAT ": network_mode %s is not allowed on this node", mode);
		return err_hint(e, "the agent's plugin configuration has allow_network_modes");
	}
	if (strcmp(mode, "alias") == 0 && c->ips.n == 0) {
		err_set(e, E_INVAL, WHAT ": network_mode alias needs an address");
		return err_hint(e, "ip = [\"[INTERFACE|]ADDRESS/LENGTH\"]");
	}
	if (strcmp(mode, "private-bridge") != 0 && (c->bridge != NULL || c->bridge_size != 0))
		return err_set(
		    e, E_INVAL, WHAT ": bridge and bridge_size go with network_mode = \"private-bridge\"");
	if ((strcmp(mode, "host") == 0 || strcmp(mode, "none") == 0) && c->ips.n > 0)
		return err_set(e, E_INVAL, WHAT ": ip does not go with network_mode %s", mode);
	return 0;
}

static int
check_caps(const struct task_conf *c, const struct agent_conf *a, struct err *e)
{
	uint64_t dropped = 0;
	int rc = 0;

	for (size_t i = 0; i < c->cap_add.n && rc == 0; i++) {
		uint64_t one = 0;

		rc = caps_parse(c->cap_add.v[i], &one, e);
		if (rc < 0)
			return err_wrap(e, WHAT ": cap_add");
		if ((one & ~a->allow_caps) != 0) {
			err_set(e, E_PERM, WHAT ": cap_add: %s is not allowed on this node", c->cap_add.v[i]);
			return err_hint(e, "the agent's plugin configuration has allow_caps");
		}
	}
	for (size_t i = 0; i < c->cap_drop.n && rc == 0; i++)
		rc = caps_parse(c->cap_drop.v[i], &dropped, e);
	return rc < 0 ? err_wrap(e, WHAT ": cap_drop") : 0;
}

/* "KEY:VALUE" of the old driver, "KEY=VALUE" as everybody else writes it. */
static int
check_attrs(struct task_conf *c, const struct agent_conf *a, struct err *e)
{
	for (size_t i = 0; i < c->attrs.n; i++) {
		char *sep = c->attrs.v[i] + strcspn(c->attrs.v[i], ":=");
		bool allowed = a->allow_attrs.n == 0;
		const struct attr *row;

		if (*sep == '\0' || sep == c->attrs.v[i])
			return err_set(
			    e, E_INVAL, WHAT ": attributes: '%.64s' is not NAME:VALUE", c->attrs.v[i]);
		*sep = '\0';
		row = attr_find(c->attrs.v[i], e);
		for (size_t k = 0; k < a->allow_attrs.n; k++)
			allowed = allowed || strcmp(a->allow_attrs.v[k], c->attrs.v[i]) == 0;
		if (row == NULL)
			return err_wrap(e, WHAT ": attributes");
		if (!allowed) {
			err_set(e, E_PERM, WHAT ": attributes: %s is not allowed on this node", row->name);
			return err_hint(e, "the agent's plugin configuration has allow_attributes");
		}
		*sep = '=';
	}
	return 0;
}

static int
check_pairs(const struct strv *list, const char *key, struct err *e)
{
	for (size_t i = 0; i < list->n; i++) {
		const char *colon = strchr(list->v[i], ':');

		if (colon == NULL || colon == list->v[i] || colon[1] != '/') {
			err_set(e, E_INVAL, WHAT ": %s: '%.256s' is not SOURCE:/TARGET", key, list->v[i]);
			return err_hint(e, "the first colon ends the path on the host");
		}
	}
	return 0;
}

static int
check_ports(const struct task_conf *c, struct err *e)
{
	for (size_t i = 0; i + 1 < c->port_map.n; i += 2) {
		uint64_t port;

		if (text_uint(c->port_map.v[i + 1], 1, 65535, &port, WHAT ": port_map", e) < 0)
			return err_wrap(e, "label %s", c->port_map.v[i]);
	}
	return 0;
}

static int
check(struct task_conf *c, const struct agent_conf *a, struct err *e)
{
	int rc;

	if (c->privileged && !a->allow_privileged) {
		err_set(e, E_PERM, WHAT ": privileged is not allowed on this node");
		return err_hint(e, "the agent's plugin configuration needs allow_privileged = true");
	}
	if (c->userns != NULL && strcmp(c->userns, "off") == 0 && !a->allow_privileged) {
		err_set(e, E_PERM, WHAT ": userns = \"off\" is not allowed on this node");
		return err_hint(e, "the agent's plugin configuration needs allow_privileged = true");
	}
	if (c->seccomp != NULL && strcmp(c->seccomp, "default") != 0 && !a->allow_privileged) {
		err_set(e, E_PERM, WHAT ": another seccomp than the default is not allowed on this node");
		return err_hint(e, "the agent's plugin configuration needs allow_privileged = true");
	}
	if (c->devices.n > 0 && !a->volumes) {
		err_set(e, E_PERM, WHAT ": devices of the host are not allowed on this node");
		return err_hint(e, "the agent's plugin configuration has volumes { enabled = false }");
	}
	if ((rc = check_modes(c, a, e)) < 0 || (rc = check_caps(c, a, e)) < 0 ||
	    (rc = check_attrs(c, a, e)) < 0 || (rc = check_pairs(&c->mounts, "mount", e)) < 0 ||
	    (rc = check_pairs(&c->mounts_ro, "mount_read_only", e)) < 0 ||
	    (rc = check_pairs(&c->volumes, "volumes", e)) < 0 ||
	    (rc = check_pairs(&c->copies, "copy", e)) < 0)
		return rc;
	return check_ports(c, e);
}

int
task_conf_read(struct task_conf *c, const struct agent_conf *a, const struct value *v, struct err *e)
{
	int rc = get_all(c, v, e);

	if (rc == 0)
		rc = get_image(c, e);
	if (rc == 0)
		rc = c->form == IMAGE_CLASSIC ? classic_command(c, e) : oci_command(c, e);
	c->verify = c->verify || a->verify;
	c->keep_failed = c->keep_failed || a->keep_failed;
	c->oci_only = c->verify && a->pubkey == NULL;
	if (rc == 0 && c->oci_only && c->form == IMAGE_CLASSIC && c->ref[0] == '\0') {
		err_set(e, E_PERM, WHAT ": verify: nothing says who must have signed the files of %.200s",
		    c->url);
		return err_hint(e, "name the key of classic images in the agent's configuration: pubkey");
	}
	return rc < 0 ? rc : check(c, a, e);
}
