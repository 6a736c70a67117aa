/*
 * Names inside an archive, brought to one form. Pure: no file is touched.
 */
#ifndef UNPACK_ENTRY_H
#define UNPACK_ENTRY_H

#include "base/err.h"

#define ENTRY_PATH_MAX 4096
#define ENTRY_NAME_MAX 255

/*
 * Copies raw to out without leading "./", doubled and trailing slashes and
 * "." components; "" is the root itself. E_CORRUPT for what can never be
 * meant to stay below the root (absolute, ".."), and for what no file system
 * takes (too long). Bytes are compared as they are: case and Unicode forms
 * make different names.
 */
int entry_normalize(const char *raw, char out[static ENTRY_PATH_MAX], struct err *) MUST_CHECK;

/* Cuts a normalized, non-empty path into directory ("" at the top) and last component. */
void entry_split(const char *path, char dir[static ENTRY_PATH_MAX], const char **last);

#endif
