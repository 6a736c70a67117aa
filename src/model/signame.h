/* Signal names: "TERM", "SIGTERM", "15", on Linux also "RTMIN+3". */
#ifndef MODEL_SIGNAME_H
#define MODEL_SIGNAME_H

#include "base/err.h"

/* Returns the number (>0), or E_INVAL with the nearest name as hint. */
int signame_parse(const char *, struct err *) MUST_CHECK;
/* "SIGTERM"; "SIGRTMIN+3"; "signal 99" into out. */
void signame_print(int sig, char out[static 16]);
/* All names without SIG, NULL-terminated, for kill -l and completion. */
const char *const *signame_all(void);

#endif
