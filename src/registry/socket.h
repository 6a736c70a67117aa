/* What each system has its own way of: memory given back, bcrypt. */
#ifndef REGISTRY_SOCKET_H
#define REGISTRY_SOCKET_H

#include <stdbool.h>

/*
 * bind and connect of a Unix socket by its name in a directory: an address
 * holds about a hundred bytes, the path of a directory may have more.
 * 0, or -1 with errno.
 */
int sock_bind_at(int fd, int dirfd, const char *name);
int sock_connect_at(int fd, int dirfd, const char *name);

/* Few arenas and early returns to the system: threads that each once held a large body keep nothing. */
void memory_settle(void);
void memory_return(void);

/* crypt(3) for "$2a$", "$2b$", "$2y$": does the password fit the hash? */
bool bcrypt_check(const char *password, const char *hash);
/* A new hash of cost 2^cost; false when the system cannot. */
bool bcrypt_make(const char *password, unsigned cost, char out[static 64]);

#endif
