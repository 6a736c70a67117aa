/* pot-shim on FreeBSD: entry (freebsd/freebsd.h has the arguments). */
#include <string.h>
#include <unistd.h>

#include "shim/freebsd/freebsd.h"

int
main(int argc, char **argv)
{
	if (argc >= 15 && strcmp(argv[1], "run") == 0)
		shim_run(argc, argv);
	(void)!write(2, "pot-shim: is started by pot, not by hand\n", 41);
	return 2;
}
