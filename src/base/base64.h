/* Base64, as RFC 4648 section 4 has it. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include <sys/types.h>

#include "base/buf.h"

void base64_encode(const void *, size_t, struct buf *out);
/* How many bytes, or -1 for anything else than whole, padded base64 that fits into size. */
ssize_t base64_decode(const char *, size_t, void *out, size_t size);

#endif
