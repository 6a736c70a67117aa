/* Runs a filter's program as the kernel would, on any machine. */
#ifndef TESTS_SECCOMP_MACHINE_H
#define TESTS_SECCOMP_MACHINE_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the program answers; ends the test when the program does what the kernel would not load. */
uint32_t machine_run(const struct sock_filter *v, size_t n, const struct seccomp_data *);

#endif
