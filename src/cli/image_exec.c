/*
 * Verbs of images, in the program pot: they need libraries that pots do not,
 * and are done by the program pot-image, which takes over with the same words.
 */
#include <limits.h>
#include <unistd.h>

#include "base/host.h"
#include "cli/cli.h"

int
image_verb(struct cli *cli, const struct args *a, struct err *e)
{
	char program[PATH_MAX];
	int rc = host_find_program("pot-image", host_libexec(), program, sizeof(program), e);

	(void)a;
	if (rc < 0)
		return rc;
	fflush(NULL);
	execv(program, cli->argv);
	return err_sys(e, "cannot execute %s", program);
}

int
create_flavoured(struct cli *cli, const struct args *a, const struct pot_create_args *in, struct err *e)
{
	(void)in;
	return image_verb(cli, a, e);
}
