/* The mechanisms of FreeBSD, best first: what `pot init` offers in this order. */
#include "storage/storage.h"

const struct stor_ops *const stor_table[] = { &stor_zfs, &stor_copy, NULL };
