/* Linux: TCP_CORK, glibc's allocator, libcrypt. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <crypt.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include "registry/socket.h"

void
sock_cork(int fd, bool on)
{
	int v = on;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_CORK, &v, sizeof(v));
}

void
memory_settle(void)
{
	(void)mallopt(M_ARENA_MAX, 2);
	(void)mallopt(M_MMAP_THRESHOLD, 256 * 1024);
	(void)mallopt(M_TRIM_THRESHOLD, 512 * 1024);
}

void
memory_return(void)
{
	(void)malloc_trim(256 * 1024);
}

bool
bcrypt_check(const char *password, const char *hash)
{
	struct crypt_data data;
	const char *out;
	bool same;

	memset(&data, 0, sizeof(data));
	out = crypt_r(password, hash, &data);
	same = out != NULL && out[0] == '$' && strlen(out) == strlen(hash) &&
	    CRYPTO_memcmp(out, hash, strlen(hash)) == 0;
	explicit_bzero(&data, sizeof(data));
	return same;
}

bool
bcrypt_make(const char *password, unsigned cost, char out[static 64])
{
	struct crypt_data data;
	char salt[CRYPT_GENSALT_OUTPUT_SIZE];
	const char *hash;
	bool made;

	memset(&data, 0, sizeof(data));
	if (crypt_gensalt_rn("$2b$", cost, NULL, 0, salt, sizeof(salt)) == NULL)
		return false;
	hash = crypt_r(password, salt, &data);
	made = hash != NULL && hash[0] == '$' && strlen(hash) < 64;
	if (made)
		snprintf(out, 64, "%s", hash);
	explicit_bzero(&data, sizeof(data));
	return made;
}
