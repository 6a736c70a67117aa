/*
 * The two configurations: the agent's plugin block and a task's config {}. The
 * tables say what may be written, the functions what it means.
 */
#ifndef NOMAD_CONFIG_H
#define NOMAD_CONFIG_H

#include "nomad/log.h"
#include "nomad/spec.h"
#include "nomad/value.h"

#define POT_REF_TEXT 800

/* ---- of the agent ------------------------------------------------------------------ */

struct agent_conf {
	bool enabled;
	char *root, *config_file; /* NULL: as libpot finds them */
	enum log_level log_level;
	char *log_file;
	int64_t pull_timeout_ms;
	bool allow_privileged, volumes, verify, keep_failed, no_logs;
	uint64_t allow_caps;       /* as caps_parse has it */
	struct strv allow_attrs;   /* empty: any */
	struct strv allow_modes;   /* empty: any */
	struct strv insecure;      /* registries that may speak plain HTTP */
	char *ca_file, *auth_file; /* NULL: none */
	char *pubkey;              /* of classic images, NULL: none */
	char *default_mode;        /* of networks */
	int64_t pids_limit;        /* 0: pot's own */
	int64_t max_starts;        /* at once */
	struct {
		bool image, pots;
		int64_t image_delay_ms, period_ms, grace_ms;
	} gc;
};

extern const struct spec agent_spec[];
/* Replaces what is in it. */
int agent_conf_read(struct agent_conf *, const struct value *, struct err *) MUST_CHECK;
void agent_conf_fini(struct agent_conf *);

/* ---- of a task --------------------------------------------------------------------- */

enum image_form {
	IMAGE_OCI,    /* a reference by itself */
	IMAGE_CLASSIC /* URL, pot and tag */
};
struct task_conf {
	enum image_form form;
	char ref[POT_REF_TEXT]; /* OCI reference, in the classic form that of the same server */
	char host[280];         /* classic: HOST[:PORT] of the URL; "" (file://) */
	bool plain_http;        /* classic: the URL says http */
	char *url, *pot, *tag;
	char *command_line; /* classic: command and args, as the old driver joined them; NULL none */
	struct strv words;  /* OCI: command and args */
	struct strv entrypoint;
	bool has_entrypoint;
	struct strv port_map;        /* LABEL, PORT by turns */
	struct strv ports;           /* labels */
	char *mode, *bridge, *stack; /* mode NULL: not given */
	int64_t bridge_size;
	struct strv ips, aliases;
	bool advertise_set, advertise;
	struct strv mounts, mounts_ro, volumes, copies, hosts, attrs; /* as written */
	struct strv labels, sysctl, ulimit;                           /* NAME, VALUE by turns */
	struct strv tmpfs, devices, cap_add, cap_drop;
	struct strv dns, dns_search, dns_options;
	char *user, *workdir, *hostname, *seccomp, *userns, *shm_size, *memory_swap, *oom;
	bool privileged, read_only, cpu_hard, force_pull, verify, keep_failed;
	bool oci_only;           /* nobody says who must have signed classic files */
	int64_t pids_limit;      /* -1: not given */
	int64_t pull_timeout_ms; /* 0: the agent's */
	char *auth_user, *auth_password;
	bool tls_verify;
};

extern const struct spec task_spec[];
/* Into an empty one. E_INVAL, E_PERM: what the agent does not allow. */
int task_conf_read(
    struct task_conf *, const struct agent_conf *, const struct value *, struct err *) MUST_CHECK;
void task_conf_init(struct task_conf *);
void task_conf_fini(struct task_conf *);

#endif
