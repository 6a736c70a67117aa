/* FreeBSD: jemalloc (which needs no hints), libcrypt. */
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "registry/socket.h"

static void
address_of(struct sockaddr_un *sa, const char *name)
{
	memset(sa, 0, sizeof(*sa));
	sa->sun_family = AF_UNIX;
	snprintf(sa->sun_path, sizeof(sa->sun_path), "%s", name);
}

int
sock_bind_at(int fd, int dirfd, const char *name)
{
	struct sockaddr_un sa;

	address_of(&sa, name);
	return bindat(dirfd, fd, (struct sockaddr *)&sa, sizeof(sa));
}

int
sock_connect_at(int fd, int dirfd, const char *name)
{
	struct sockaddr_un sa;

	address_of(&sa, name);
	return connectat(dirfd, fd, (struct sockaddr *)&sa, sizeof(sa));
}

void
memory_settle(void)
{
}

void
memory_return(void)
{
}

/* crypt(3) keeps its result in one place. */
static pthread_mutex_t crypt_lock = PTHREAD_MUTEX_INITIALIZER;

bool
bcrypt_check(const char *password, const char *hash)
{
	const char *out;
	bool same;

	pthread_mutex_lock(&crypt_lock);
	out = crypt(password, hash);
	same = out != NULL && out[0] == '$' && strlen(out) == strlen(hash) &&
	    CRYPTO_memcmp(out, hash, strlen(hash)) == 0;
	pthread_mutex_unlock(&crypt_lock);
	return same;
}

bool
bcrypt_make(const char *password, unsigned cost, char out[static 64])
{
	static const char digits[] = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	unsigned char seed[22];
	char salt[32];
	const char *hash;
	int n;
	bool made;

	arc4random_buf(seed, sizeof(seed));
	n = snprintf(salt, sizeof(salt), "$2b$%02u$", cost);
	for (size_t i = 0; i < sizeof(seed); i++)
		salt[n++] = digits[seed[i] & 63];
	salt[n] = '\0';
	pthread_mutex_lock(&crypt_lock);
	hash = crypt(password, salt);
	made = hash != NULL && hash[0] == '$' && strlen(hash) < 64;
	if (made)
		snprintf(out, 64, "%s", hash);
	pthread_mutex_unlock(&crypt_lock);
	return made;
}
