/*
 * Conformance of networks: runs the cases on a host of its own making. TAP on stdout;
 * the exit status is 0 when no case failed. Needs root, ip(8) and nft(8); touches
 * nothing outside its network namespaces and its directory.
 *
 *   network-conformance [CASE]
 */
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "network_lab.h"

static const struct lab_case *const all[] = { network_reach, network_life };

static bool
run(struct lab *t, const struct lab_case *c)
{
	bool fine;

	t->e = (struct err)ERR_INIT;
	t->skip[0] = '\0';
	if (!lab_install(t, strstr(c->name, "isolat") != NULL))
		return false;
	fine = c->run(t);
	return lab_uninstall(t) && fine;
}

int
main(int argc, char **argv)
{
	struct lab *t = calloc(1, sizeof(*t));
	unsigned n = 0, failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (t == NULL || !lab_init(t, NULL)) {
		puts("Bail out! cannot make the laboratory");
		return 1;
	}
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		for (const struct lab_case *c = all[i]; c->name != NULL; c++) {
			bool fine;

			if (argc > 1 && strstr(c->name, argv[1]) == NULL)
				continue;
			fine = run(t, c);
			failed += !fine;
			printf("%sok %u - %s%s%s\n", fine ? "" : "not ", ++n, c->name,
			    t->skip[0] ? " # SKIP " : "", t->skip);
		}
	printf("1..%u\n", n);
	lab_fini(t);
	free(t);
	return failed != 0 || n == 0;
}
