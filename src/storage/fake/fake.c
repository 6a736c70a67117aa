/*
 * The storage mechanism of tests: plain directories, as copy.c does them.
 * Needs no privilege and no mount, runs everywhere, keeps the same contract.
 * Linked into tests, never into the product.
 */
#include "storage/copy.h"

const struct stor_ops stor_fake = STOR_COPY_OPS("fake", "copies of directories, for tests");
