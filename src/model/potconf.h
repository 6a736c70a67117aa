/*
 * What a pot is, as its file pots/NAME/pot.conf says: the classic keys
 * (base/kv.h's format) and pot's own. Read, check, print. Unknown keys are
 * kept and written back, so that an older pot does not lose a newer one's.
 */
#ifndef MODEL_POTCONF_H
#define MODEL_POTCONF_H

#include "base/kv.h"
#include "model/attr.h"

#define POTCONF_VERSION "1"

/* Network types: "inherit", "none", "public-bridge", "private-bridge", "alias". */
extern const char *const potconf_networks[]; /* NULL-terminated */

struct potconf_mount {
	char *source; /* absolute host directory or file */
	char *target; /* absolute, inside */
	bool ro;
	bool idmap; /* its owners are shown as the pot's users */
};

struct potconf {
	struct kv kv; /* the file; everything below is parsed from it or printed to it */
};

#define POTCONF_INIT    \
	{               \
		KV_INIT \
	}

void potconf_fini(struct potconf *);
/*
 * Replaces what pc holds, or leaves it as it was on error. Messages begin with "WHAT:LINE". The
 * version must be ours (E_NOTSUP: made by a newer pot); keys of the table in potconf.c and
 * attributes must have values that they can have, and only those marked "repeated" may repeat.
 */
int potconf_parse(struct potconf *, const char *text, size_t len, const char *what, struct err *) MUST_CHECK;

/* Plain keys. Getters give the default where the key is missing. */
const char *potconf_get(const struct potconf *, const char *key, const char *def);
/* Sets a key once, checked as in parse; also "pot.attr.NAME" (normalised). NULL removes it. */
int potconf_set(struct potconf *, const char *key, const char *value, struct err *) MUST_CHECK;
#define PC_VERSION "pot.version"
#define PC_ID "pot.id" /* 16 hex digits, made once, kept by rename */
#define PC_BASE "pot.base"
#define PC_PARENT "pot.potbase" /* the pot it was cloned from, or "" */
#define PC_TYPE "pot.type"      /* single | multi */
#define PC_LEVEL "pot.level"
#define PC_DNS "pot.dns" /* inherit | pot | off | custom (file resolv.conf beside) */
#define PC_CMD "pot.cmd" /* one line, split by text_split */
#define PC_HOSTNAME "host.hostname"
#define PC_NETWORK "network_type"
#define PC_STACK "pot.stack"
#define PC_CREATED "pot.created" /* RFC 3339 */
#define PC_ENV "pot.env"         /* repeated NAME=value */
#define PC_HOSTS "pot.hosts"     /* repeated "ADDRESS NAME" */
#define PC_IP "ip"         /* repeated "[WHERE|]ADDRESS[/LEN]": WHERE an interface (alias) or a bridge */
#define PC_BRIDGE "bridge" /* repeated: eth0, eth1 … are on these; missing with public-bridge: "public" */
#define PC_EXPORT "pot.export.ports" /* repeated, as port_print writes it */
#define PC_NETIN "pot.net.in"        /* bits per second to the pot */
#define PC_NETOUT "pot.net.out"      /* from the pot */
#define PC_ALIAS "pot.alias"         /* repeated: further names by which others on its bridges find it */
#define PC_MEMORY "pot.rss.memory"   /* limits: model/limit.h */
#define PC_CPUS "pot.rss.cpus"
#define PC_LIMIT "pot.limit." /* followed by the limit's name */
#define PC_MOUNT "pot.mount"  /* repeated, text_join of SOURCE TARGET [ro] [idmap] */

#define PC_IMAGE "pot.image"       /* the image it was made from, as a reference */
#define PC_IMAGE_ID "pot.image.id" /* digest of its manifest */
#define PC_IMAGE_FS "pot.image.fs" /* the layer that it was cloned from: 64 hexadecimal digits */
#define PC_STEP_FS "pot.step.fs" /* made with flavours: the layer it was cloned from, on top of its source */
#define PC_USER "pot.user"       /* USER[:GROUP] that the command runs as; missing: root */
#define PC_WORKDIR "pot.workdir" /* its working directory; missing: / */
#define PC_EXPOSE "pot.expose"   /* repeated PORT/tcp|udp: what the image says it listens on */
#define PC_LABEL "pot.label"     /* repeated NAME=value: notes of who made it; pot itself reads none */
#define PC_NETNS "pot.netns"     /* with network inherit: the namespace to be in instead of the host's */
#define PC_VOLUME "pot.volume"   /* repeated path: where the image says its data is */

/* Attribute with its default; "" for a name that is not in the table. */
const char *potconf_attr(const struct potconf *, const char *attr_name);
bool potconf_attr_bool(const struct potconf *, const char *attr_name);

/*
 * "NAME=value": NAME is [A-Za-z_][A-Za-z0-9_]*; at most 128 KiB, which is what the kernel takes;
 * the value may have newlines. Messages never show the value: it may be a secret.
 */
int potconf_env_check(const char *assignment, struct err *) MUST_CHECK;
/* Adds or replaces by name / removes by name (E_NOENT) / removes all. */
int potconf_env_add(struct potconf *, const char *assignment, struct err *) MUST_CHECK;
int potconf_env_remove(struct potconf *, const char *name, struct err *) MUST_CHECK;

/* "NAME=value": NAME is [A-Za-z0-9._/-]+, at most 128 bytes. Adds or replaces by name. */
int potconf_label_add(struct potconf *, const char *assignment, struct err *) MUST_CHECK;

/*
 * "host:ADDRESS" as classic set-hosts takes it (split at the first colon, IPv6 works). A host may
 * have one address of each family: add replaces that of the same family, remove takes all.
 */
int potconf_hosts_check(const char *entry, struct err *) MUST_CHECK;
int potconf_hosts_add(struct potconf *, const char *entry, struct err *) MUST_CHECK;
int potconf_hosts_remove(struct potconf *, const char *host, struct err *) MUST_CHECK;
/* Removes every value of a key. */
int potconf_clear(struct potconf *, const char *key, struct err *) MUST_CHECK;

/* Mounts: checked (absolute, no "..", target not "/", not used twice), E_EXIST, E_NOENT. Stored without double slashes. */
int potconf_mount_add(struct potconf *, const struct potconf_mount *, struct err *) MUST_CHECK;
int potconf_mount_remove(struct potconf *, const char *target, struct err *) MUST_CHECK;
/* *n mounts in file order; caller frees with potconf_mounts_free. */
int potconf_mounts(const struct potconf *, struct potconf_mount **, size_t *n, struct err *) MUST_CHECK;
void potconf_mounts_free(struct potconf_mount *, size_t n);

DEFINE_AUTO_FINI(potconf, struct potconf)

#endif
