/* The callbacks of http.c that http_server.c gives to libmicrohttpd. */
#ifndef REGISTRY_HTTP_REQUEST_H
#define REGISTRY_HTTP_REQUEST_H

#include <microhttpd.h>

void *on_target(void *, const char *target, struct MHD_Connection *);
enum MHD_Result on_request(void *, struct MHD_Connection *, const char *url, const char *method,
    const char *version, const char *data, size_t *size, void **ctx);
void on_completed(void *, struct MHD_Connection *, void **ctx, enum MHD_RequestTerminationCode);

#endif
