/*
 * Runs while pot is built: writes the default filter of a machine as a C
 * source. No libc function of pot's own is used, so that it can be built for
 * the machine that builds when that is another than the one pot will run on.
 *
 *   generate CPU
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "seccomp/linux/filter.h"

int
main(int argc, char **argv)
{
	struct sec_filter f = { 0 };
	struct sec_prog *prog = malloc(sizeof(*prog));

	if (argc != 2 || prog == NULL || sec_default(&f, argv[1], 0) != SEC_OK ||
	    sec_program(&f, prog) != SEC_OK) {
		fprintf(stderr, "generate: no default filter for \"%s\" (src/seccomp/linux/default.c)\n",
		    argc > 1 ? argv[1] : "");
		free(prog);
		sec_filter_fini(&f);
		return 1;
	}
	printf("/* Made by src/seccomp/linux/generate.c from default.c: %zu instructions for %s. */\n",
	    prog->n, argv[1]);
	printf("#include \"seccomp/linux/default_program.h\"\n\n");
	printf("const uint64_t sec_default_opening = UINT64_C(0x%" PRIx64 ");\n", sec_default_caps());
	printf("const size_t sec_default_len = %zu;\n", prog->n);
	printf("const struct sock_filter sec_default_program[] = {\n");
	for (size_t i = 0; i < prog->n; i++)
		printf("\t{ 0x%02x, %u, %u, 0x%08" PRIx32 " },\n", prog->v[i].code, prog->v[i].jt,
		    prog->v[i].jf, prog->v[i].k);
	printf("};\n");
	sec_filter_fini(&f);
	free(prog);
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
