/* Passwords that were right a moment ago, and how often wrong ones may be tried. */
#ifndef REGISTRY_LOGIN_H
#define REGISTRY_LOGIN_H

#include <stdbool.h>

#include "base/err.h"

#define LOGIN_PASSWORD_MAX 255

struct logins;
struct registry;

int logins_new(struct logins **, struct err *) MUST_CHECK;
void logins_free(struct logins *);
void logins_forget(struct logins *); /* all: the auth file changed */
bool logins_known(struct logins *, const char *user, const char *password);
/* The slow way; a right one is known afterwards. One at a time. */
bool logins_check(struct logins *, struct registry *, const char *user, const char *password);
/* May this address try a password that is not known? */
bool logins_may_try(struct logins *, const char *addr, unsigned *wait_s);

#endif
