/* Tables of keys (spec.h) as messages of hclspec. */
#ifndef NOMAD_SCHEMA_H
#define NOMAD_SCHEMA_H

#include <hclspec.pb-c.h>

#include "nomad/arena.h"
#include "nomad/spec.h"

/* An object with all rows, in the arena; NULL when it is full. */
Pb__Spec *schema_make(struct arena *, const struct spec *rows);

#endif
