/* The default filter as generate.c writes it: for a pot with none of the capabilities in sec_default_opening. */
#ifndef SECCOMP_LINUX_DEFAULT_PROGRAM_H
#define SECCOMP_LINUX_DEFAULT_PROGRAM_H

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>

extern const uint64_t sec_default_opening;
extern const size_t sec_default_len;
extern const struct sock_filter sec_default_program[];

#endif
