/* The table of verbs, in the order of help. A new verb is one file and one line here. */
#include "cli/cmd.h"

/* clang-format off */
#define VERBS(X)                                                                          \
	X(init) X(de_init) X(create_base) X(adopt) X(doctor) X(config)                    \
	X(create) X(clone) X(rename) X(destroy) X(prune)                                  \
	X(start) X(stop) X(restart) X(kill) X(pause) X(unpause) X(wait) X(exec) X(term)   \
	X(run)                                                                            \
	X(ps) X(list) X(info) X(inspect) X(show) X(stats) X(top) X(logs)                  \
	X(last_run_stats) X(get_rss)                                                      \
	X(network) X(create_private_bridge) X(export_ports) X(vnet_start)                 \
	X(snapshot) X(rollback) X(purge_snapshots)                                        \
	X(build) X(commit) X(images) X(history) X(tag) X(rmi) X(image) X(save) X(load) X(export) X(import) X(prepare)   \
	X(pull) X(push) X(login) X(logout) X(sign) X(verify) X(keygen)                     \
	X(flavours)                                                                       \
	X(set_cmd) X(set_env) X(set_hosts) X(set_hook) X(set_attribute) X(get_attribute)  \
	X(set_rss) X(update)                                                              \
	X(copy_in) X(copy_out) X(cp) X(mount_in) X(mount_out)                             \
	X(help) X(version) X(completion) X(cleanup)
/* clang-format on */

#define X(verb) extern const struct cmd cmd_##verb;
VERBS(X)
#undef X

#define X(verb) &cmd_##verb,
const struct cmd *const cmd_table[] = { VERBS(X) NULL };
#undef X
