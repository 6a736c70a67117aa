/* The socket on which the agent reaches us, and its connections. */
#ifndef NOMAD_SERVER_H
#define NOMAD_SERVER_H

#include "nomad/call.h"

struct server;

/* Listens on a socket in a sockdir.h. The nomad's `end` is set to finish what is queued and to stop the loop. */
int server_new(struct server **, struct nomad *, struct err *) MUST_CHECK;
const char *server_path(const struct server *);
/* Closes all connections, removes the socket. Before nomad_fini. */
void server_free(struct server *);

#endif
