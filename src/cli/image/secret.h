/* Inside of pot-image: passwords and passphrases, from a terminal or a pipe, never from words of the command line. */
#ifndef CLI_IMAGE_SECRET_H
#define CLI_IMAGE_SECRET_H

#include "cli/cli.h"

#define SECRET_MAX 4096

/* One line from the terminal, shown while it is typed only when echo. E_INVAL without a terminal. */
int secret_prompt(const char *prompt, bool echo, struct buf *, struct err *) MUST_CHECK;
/* All of standard input, without the newline at its end. */
int secret_stdin(struct buf *, struct err *) MUST_CHECK;
/* The passphrase of a key file where it has one: *out NULL when it has none. Option "passphrase-stdin". */
int secret_of_key(
    const struct args *, const char *file, struct buf *, const char **out, struct err *) MUST_CHECK;

#endif
