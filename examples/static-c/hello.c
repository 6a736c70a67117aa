/* Greets whom it is told to greet. */
#include <stdio.h>
#include <unistd.h>

int
main(int argc, char *argv[])
{
	for (int i = 1; i < argc; i++)
		printf("hello, %s (from process %d of user %u)\n", argv[i], (int)getpid(), (unsigned)getuid());
	return fflush(stdout) == 0 ? 0 : 1;
}
