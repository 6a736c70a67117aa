/*
 * Schemas of configuration, as tables: the agent checks what people write
 * against them, before the driver sees it. They become messages of hclspec
 * (schema.c). docs/nomad.md lists the same rows.
 */
#ifndef NOMAD_SPEC_H
#define NOMAD_SPEC_H

#include <stdbool.h>
#include <stdint.h>

enum spec_kind {
	SPEC_ATTR,        /* name = value of `type` */
	SPEC_BLOCK,       /* name { … } at most once; a map, or nil */
	SPEC_BLOCK_LIST,  /* any number of name { … }; a list of maps */
	SPEC_BLOCK_ATTRS, /* name { any = value of `type` }, or name = {…}; a map, or nil */
};

/*
 * One key. A table ends with a row whose name is NULL. In HCL a value {…} is always a list of one map:
 * the type of such an attribute is "list(map(string))", never "map(string)".
 */
struct spec {
	const char *name;
	enum spec_kind kind;
	const char *type; /* "string", "bool", "number", "list(string)", …; not of blocks with rows */
	bool required;
	const char *preset; /* an HCL expression when the key is not given: "true", "\"5m\"", or NULL: nil.
	                            Not together with required. */
	const struct spec *rows; /* of a block */
	uint64_t min, max;       /* of SPEC_BLOCK_LIST; max 0: any number */
};

#endif
