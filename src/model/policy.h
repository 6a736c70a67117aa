/*
 * Who must have signed images: policy.conf, one rule a line.
 *
 *   PREFIX  accept                      unsigned images are taken
 *   PREFIX  reject                      none is taken
 *   PREFIX  require N KEYFILE…          N of these public keys must have signed
 *
 * PREFIX is "HOST[:PORT]", "HOST/NAME" or the first components of a name, or
 * "*" for everything; the longest that fits counts. '#' begins a comment line;
 * words are quoted as in a shell. What no rule fits is taken.
 */
#ifndef MODEL_POLICY_H
#define MODEL_POLICY_H

#include "base/buf.h"

#define POLICY_FILE_MAX (1024 * 1024)
#define POLICY_RULES_MAX 1024
#define POLICY_KEYS_MAX 64

enum policy_what { POLICY_ACCEPT, POLICY_REJECT, POLICY_REQUIRE };

struct policy_rule {
	char *prefix;
	enum policy_what what;
	unsigned need;    /* REQUIRE: how many of the keys */
	struct strv keys; /* files, as written */
	unsigned line;
};
struct policy {
	struct policy_rule *v;
	size_t n;
};

/* file is its name in messages: "FILE:LINE: why". */
int policy_parse(struct policy *, const char *text, size_t len, const char *file, struct err *) MUST_CHECK;
void policy_fini(struct policy *);
/* name: "HOST/NAME". NULL: no rule fits. */
const struct policy_rule *policy_find(const struct policy *, const char *name);

DEFINE_AUTO_FINI(policy, struct policy)

#endif
