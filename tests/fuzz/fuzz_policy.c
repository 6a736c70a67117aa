/* policy.conf: anything is read or refused with a reason, and what is read can be asked. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct policy p;
	struct err e = ERR_INIT;

	if (policy_parse(&p, (const char *)data, size, "f", &e) < 0) {
		if (e.msg[0] == '\0' || p.n != 0)
			abort();
		return 0;
	}
	for (size_t i = 0; i < p.n; i++)
		if (p.v[i].what == POLICY_REQUIRE && (p.v[i].need == 0 || p.v[i].need > p.v[i].keys.n))
			abort();
	(void)policy_find(&p, "registry.example.org/team/web");
	policy_fini(&p);
	return 0;
}
