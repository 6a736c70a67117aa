/* The mechanisms as the tests see them: those of all systems that run here. */
#include "storage/storage.h"

const struct stor_ops *const stor_table[] = { &stor_zfs, &stor_btrfs, &stor_overlay, &stor_copy, NULL };
