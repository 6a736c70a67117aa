/* Removing a pot (remove.c) and finishing a rename (create.c), also for the repair in epot.c. */
#ifndef ENGINE_REMOVE_H
#define ENGINE_REMOVE_H

#include "engine/epot.h"

/* Directories of removed pots, on their way out; never visible as pots. */
#define REMOVED_PREFIX ".removed-"

/* Storage, then the directory. The pot is locked and does not run; nothing there is fine. */
int epot_remove(struct epot *, struct err *) MUST_CHECK;
/* The directory only. */
int epot_remove_dir(struct epot *, struct err *) MUST_CHECK;
/* The directory has the new name; brings storage and configuration after it (state.arg: old name). */
int epot_finish_rename(struct epot *, struct err *) MUST_CHECK;

#endif
