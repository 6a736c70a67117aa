/* Certificate and key of the server, replaced while it runs. The only user of GnuTLS. */
#ifndef REGISTRY_TLS_H
#define REGISTRY_TLS_H

#include "base/err.h"

struct tls;

/* Reads both PEM files; E_INVAL when they do not fit each other. */
int tls_open(const char *cert, const char *key, struct tls **, struct err *) MUST_CHECK;
void tls_close(struct tls *); /* after the server has stopped */
/* Reads them again; on failure the old ones stay. */
int tls_reload(struct tls *, struct err *) MUST_CHECK;
/* A gnutls_certificate_retrieve_function2 that gives the current pair. */
void *tls_callback(struct tls *);

#endif
