/* Mounts of a command that is started in place of the pot's own (eng_start_command). */
#ifndef ENGINE_COMMAND_H
#define ENGINE_COMMAND_H

#include "engine/walls.h"

/* A detached mount, the caller's; named as of iso_file. */
int command_mount(struct epot *, const struct epot_walls *, const struct eng_mount *, bool *dir,
    char named[static ISO_FILE_NAME], struct err *) MUST_CHECK;

#endif
