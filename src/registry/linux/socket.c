/* Linux: glibc's allocator, libcrypt. */
#include <sys/socket.h>
#include <sys/un.h>
#include <crypt.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include "registry/socket.h"

static void
address_at(struct sockaddr_un *sa, int dirfd, const char *name)
{
	memset(sa, 0, sizeof(*sa));
	sa->sun_family = AF_UNIX;
	snprintf(sa->sun_path, sizeof(sa->sun_path), "/proc/self/fd/%d/%.64s", dirfd, name);
}

int
sock_bind_at(int fd, int dirfd, const char *name)
{
	struct sockaddr_un sa;

	address_at(&sa, dirfd, name);
	return bind(fd, (struct sockaddr *)&sa, sizeof(sa));
}

int
sock_connect_at(int fd, int dirfd, const char *name)
{
	struct sockaddr_un sa;

	address_at(&sa, dirfd, name);
	return connect(fd, (struct sockaddr *)&sa, sizeof(sa));
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
