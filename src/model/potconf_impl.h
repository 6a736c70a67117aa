/* Between potconf.c and potconf_entries.c. */
#ifndef MODEL_POTCONF_IMPL_H
#define MODEL_POTCONF_IMPL_H

#include "model/potconf.h"

/* Checks of one stored value of the repeated keys. */
int entry_check_env(const char *value, struct err *) MUST_CHECK;
int entry_check_label(const char *value, struct err *) MUST_CHECK;
int entry_check_hosts(const char *value, struct err *) MUST_CHECK;
int entry_check_mount(const char *value, struct err *) MUST_CHECK;
/* E_LIMIT when one more key=value would make the file larger than can be read again. */
int potconf_room(const struct potconf *, const char *key, const char *value, struct err *) MUST_CHECK;

#endif
