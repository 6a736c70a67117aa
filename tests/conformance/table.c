/* The mechanisms as the tests see them: those of the product and the fake. */
#include "storage/storage.h"

const struct stor_ops *const stor_table[] = { &stor_zfs, &stor_btrfs, &stor_overlay, &stor_fake, NULL };
