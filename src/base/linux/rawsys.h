/*
 * System calls without libc: for code that shares its memory with another
 * process (a CLONE_VM child must not touch errno, malloc or stdio) and for
 * programs linked without libc.  Every call gives the kernel's own answer:
 * a value >= 0 or -errno.
 */
#ifndef BASE_LINUX_RAWSYS_H
#define BASE_LINUX_RAWSYS_H

#include <asm/unistd.h>
#include <errno.h>
#include <linux/sched.h>

#if defined(__x86_64__)
static inline long
raw6(long n, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}
#elif defined(__aarch64__)
static inline long
raw6(long n, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = n;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc 0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory", "cc");
	return x0;
}
#else
#error "pot runs on x86_64 and aarch64"
#endif

/* raw(__NR_read, fd, buf, len): up to six arguments, integers or pointers. */
#define raw(...) RAW_PICK(__VA_ARGS__, raw_6, raw_5, raw_4, raw_3, raw_2, raw_1, raw_0, 0)(__VA_ARGS__)
#define RAW_PICK(n, a, b, c, d, e, f, which, ...) which
#define raw_0(n) raw6(n, 0, 0, 0, 0, 0, 0)
#define raw_1(n, a) raw6(n, (long)(a), 0, 0, 0, 0, 0)
#define raw_2(n, a, b) raw6(n, (long)(a), (long)(b), 0, 0, 0, 0)
#define raw_3(n, a, b, c) raw6(n, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define raw_4(n, a, b, c, d) raw6(n, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define raw_5(n, a, b, c, d, e) raw6(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)
#define raw_6(n, a, b, c, d, e, f) raw6(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

_Noreturn static inline void
raw_exit(int status)
{
	for (;;)
		raw(__NR_exit_group, status);
}

/* Ends a process that alone knows of the memory it stands on, which it takes away. */
_Noreturn static inline void
raw_exit_without(void *memory, unsigned long len)
{
#if defined(__x86_64__)
	__asm__ volatile("syscall\n\t"
			 "xor %%edi, %%edi\n\t"
			 "mov %[nr_exit], %%eax\n\t"
			 "syscall\n\t"
			 "hlt"
			 :
			 : "a"((long)__NR_munmap), "D"(memory), "S"(len), [nr_exit] "i"(__NR_exit_group)
			 : "rcx", "r11", "memory", "cc");
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = __NR_munmap;
	register void *x0 __asm__("x0") = memory;
	register unsigned long x1 __asm__("x1") = len;

	__asm__ volatile("svc 0\n\t"
			 "mov x0, #0\n\t"
			 "mov x8, %[nr_exit]\n\t"
			 "svc 0"
			 :
			 : "r"(x8), "r"(x0), "r"(x1), [nr_exit] "i"(__NR_exit_group)
			 : "memory", "cc");
#endif
	__builtin_unreachable();
}

/*
 * One of the calls that make a process, with its arguments: the child runs
 * fn(arg) on the stack that they name and exits with its value.  Gives the pid to
 * the caller or -errno.
 */
static inline long
raw_child(long nr, long a, long b, long c, long d, long e, int (*fn)(void *), void *arg)
{
#if defined(__x86_64__)
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register int (*r9)(void *) __asm__("r9") = fn;
	register void *r12 __asm__("r12") = arg;
	long ret;

	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "xor %%ebp, %%ebp\n\t"
			 "mov %%r12, %%rdi\n\t"
			 "call *%%r9\n\t"
			 "mov %%eax, %%edi\n\t"
			 "mov %[nr_exit], %%eax\n\t"
			 "syscall\n\t"
			 "hlt\n"
			 "1:"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9),
			 "r"(r12), [nr_exit] "i"(__NR_exit_group)
			 : "rcx", "r11", "memory", "cc");
	return ret;
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register int (*x9)(void *) __asm__("x9") = fn;
	register void *x10 __asm__("x10") = arg;

	__asm__ volatile(
	    "svc 0\n\t"
	    "cbnz x0, 1f\n\t"
	    "mov x29, #0\n\t"
	    "mov x0, x10\n\t"
	    "blr x9\n\t"
	    "mov x8, %[nr_exit]\n\t"
	    "svc 0\n"
	    "1:"
	    : "+r"(x0)
	    : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x9), "r"(x10), [nr_exit] "i"(__NR_exit_group)
	    : "memory", "cc");
	return x0;
#endif
}

/* clone.c: the same by clone(2), for a kernel or a filter around us that has no clone3(2); ENOSYS for a group to
   be made in, and for a pid that was chosen. */
long raw_clone2(const struct clone_args *, int (*fn)(void *), void *arg);

/* clone3(2) whose child runs fn(arg) on the stack in args and exits with its value. */
static inline long
raw_clone3(const struct clone_args *args, int (*fn)(void *), void *arg)
{
	long r = -ENOSYS;

#ifndef POT_NO_CLONE3
	r = raw_child(__NR_clone3, (long)args, sizeof(*args), 0, 0, 0, fn, arg);
#endif
	return r == -ENOSYS ? raw_clone2(args, fn, arg) : r;
}

#endif
