/*
 * freebsd-serve DIR: the files of DIR by HTTP on 127.0.0.1, for the scripts here; what a mirror does, and what one
 * does that breaks off. Prints "PID PORT" when it serves, and goes on in the background until it is killed.
 *
 *   DIR/.log       a line for each request: path, first byte that was asked for
 *   DIR/.cut       N: the next answer of more bytes than that ends after N; the file goes
 *   DIR/.hang      N: the same, but the connection stays open: DIR/.hanging is made, gone when the client is
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <netinet/in.h>
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A number in a file that is taken away; -1: there is none. */
static long long
order(const char *name)
{
	FILE *f = fopen(name, "r");
	long long n = -1;

	if (f == NULL)
		return -1;
	if (fscanf(f, "%lld", &n) != 1)
		n = -1;
	fclose(f);
	(void)unlink(name);
	return n;
}

static void
hang(int c)
{
	char byte;

	close(open(".hanging", O_CREAT | O_WRONLY, 0644));
	while (read(c, &byte, 1) > 0)
		;
	(void)unlink(".hanging");
}

static void
send_file(int c, int fd, off_t first, off_t end)
{
	char data[65536];
	off_t at = first;

	while (at < end) {
		size_t want = end - at < (off_t)sizeof(data) ? (size_t)(end - at) : sizeof(data);
		ssize_t n = pread(fd, data, want, at);

		if (n <= 0 || write(c, data, (size_t)n) != n)
			return;
		at += n;
	}
}

static void
answer(int c, const char *path, long long first)
{
	int fd = strstr(path, "..") == NULL ? open(path, O_RDONLY) : -1;
	long long end, cut, stay;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		dprintf(c, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
		return;
	}
	if (first > st.st_size) {
		dprintf(c, "HTTP/1.1 416 Range\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
		return;
	}
	end = st.st_size;
	cut = end - first > 4096 ? order(".cut") : -1;
	stay = end - first > 4096 && cut < 0 ? order(".hang") : -1;
	dprintf(c, "HTTP/1.1 %s\r\nContent-Length: %lld\r\nConnection: close\r\n",
	    first > 0 ? "206 Partial Content" : "200 OK", end - first);
	if (first > 0)
		dprintf(c, "Content-Range: bytes %lld-%lld/%lld\r\n", first, end - 1, end);
	dprintf(c, "\r\n");
	send_file(c, fd, first, cut >= 0 ? first + cut : stay >= 0 ? first + stay : end);
	if (stay >= 0)
		hang(c);
}

static void
serve(int c)
{
	char head[8192], path[1024] = "";
	size_t len = 0;
	long long first = 0;
	const char *range;
	FILE *log;

	while (len < sizeof(head) - 1) {
		ssize_t n = read(c, head + len, sizeof(head) - 1 - len);

		if (n <= 0)
			return;
		len += (size_t)n;
		head[len] = '\0';
		if (strstr(head, "\r\n\r\n") != NULL)
			break;
	}
	if (sscanf(head, "GET /%1023s", path) != 1)
		return;
	if ((range = strcasestr(head, "\nrange: bytes=")) != NULL)
		first = atoll(range + 14);
	if ((log = fopen(".log", "a")) != NULL) {
		fprintf(log, "%s %lld\n", path, first);
		fclose(log);
	}
	answer(c, path, first);
}

int
main(int argc, char **argv)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);
	int c, s = socket(AF_INET, SOCK_STREAM, 0);
	pid_t pid;

	if (argc != 2 || chdir(argv[1]) != 0)
		errx(1, "usage: freebsd-serve DIR");
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN);
	if (s < 0 || bind(s, (struct sockaddr *)&sin, len) != 0 || listen(s, 16) != 0 ||
	    getsockname(s, (struct sockaddr *)&sin, &len) != 0)
		err(1, "127.0.0.1");
	if ((pid = fork()) < 0)
		err(1, "fork");
	if (pid > 0) {
		printf("%d %d\n", (int)pid, ntohs(sin.sin_port));
		return 0;
	}
	(void)freopen("/dev/null", "w", stdout);
	while ((c = accept(s, NULL, NULL)) >= 0) {
		if (fork() == 0) {
			serve(c);
			_exit(0);
		}
		close(c);
	}
	return 1;
}
