/*
 * Inside network only: settings of the host that pots cannot do without, such as forwarding. What they
 * were is recorded before they are changed and restored when the network goes, unless
 * somebody else has changed them since. How one is read and set is the systems'.
 */
#ifndef NETWORK_SETTINGS_H
#define NETWORK_SETTINGS_H

#include "network/net_impl.h"

#define NET_SETTING_NAME 128

/* The record of this boot: what was changed before the machine was started is history. */
int net_settings_read(const struct net *, struct kv *, struct err *) MUST_CHECK;
int net_settings_write(const struct net *, const struct kv *, struct err *) MUST_CHECK;
/* To be changed from `was` to `now`. The first value that we found stays the host's own. */
int net_settings_note(struct kv *, const char *name, long was, long now, struct err *) MUST_CHECK;
typedef int net_setting_fn(void *arg, const char *name, long was, long ours, struct err *);
int net_settings_each(const struct net *, net_setting_fn *, void *arg, struct err *) MUST_CHECK;

#endif
