/*
 * pot-shim: entry without libc, and the choice of the mode.  `run` is the
 * parent of a pot's PID 1, `init` is that PID 1 (model/shimproto.h).
 */
#include "shim/linux/linux.h"

#include <linux/prctl.h>

_Noreturn __attribute__((used)) void shim_start(long *stack);

#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall shim_start\n");
#elif defined(__aarch64__)
__asm__(".globl _start\n_start:\n\tmov x29, #0\n\tmov x0, sp\n\tbl shim_start\n");
#endif

void
shim_title(char **argv, const char *comm)
{
	raw(__NR_prctl, PR_SET_NAME, comm);
	raw(__NR_prctl, PR_SET_MM, PR_SET_MM_ARG_END, argv[0] + text_len(argv[0]) + 1, 0, 0);
}

void
shim_start(long *stack)
{
	long argc = stack[0];
	char **argv = (char **)(stack + 1);

	if (argc >= 9 && text_is(argv[1], "init"))
		shim_init(argv, argv + argc + 1);
	if (argc >= 8 && text_is(argv[1], "run"))
		shim_run(argv);
	raw(__NR_write, 2, "pot-shim: is started by pot, not by hand\n", 41);
	raw_exit(2);
}
