/* Inside storage only: names and tags are checked once, before a mechanism is asked. */
#ifndef STORAGE_CHECK_H
#define STORAGE_CHECK_H

#include "storage/storage.h"

int stor_check_tag(struct stor_fs, const char *tag, struct err *) MUST_CHECK;

#endif
