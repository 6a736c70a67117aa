/* The options that all verbs about registries have. */
#ifndef CLI_REGISTRY_H
#define CLI_REGISTRY_H

#include "cli/cli.h"

#define REGISTRY_OPTS                                                                                  \
	{ "insecure", 0, "HOST", OPT_MANY, "this registry may speak plain HTTP and is not verified" }, \
	    { "ca-file", 0, "FILE", OPT_FILE, "trust these authorities, not the system's (PEM)" },     \
	{                                                                                              \
		"stall", 0, "TIME", 0, "give up when next to nothing came for so long (60s)"           \
	}

#endif
