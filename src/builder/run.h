/* A command of a step, in a pot of the engine on a tree in the making. */
#ifndef BUILDER_RUN_H
#define BUILDER_RUN_H

#include "builder/half.h"
#include "builder/mounts.h"

/* mounts are locked (bld_mounts_lock). E_STATE with its status; the tree is as it left it. */
int bld_run_do(
    struct bld *, struct bld_half *, const struct bld_run *, struct bld_mounts *, struct err *) MUST_CHECK;

#endif
