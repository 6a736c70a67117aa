/* Asking for secrets. The terminal is put back as it was, also after a signal that ends the wait. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <termios.h>

#include "base/await.h"
#include "base/file.h"
#include "cli/image/secret.h"
#include "cli/image/verbs.h"

/* Byte by byte, so that nothing behind the line is taken. */
static int
read_line(int fd, struct buf *out, struct err *e)
{
	struct pollfd p = { fd, POLLIN, 0 };
	ssize_t n;
	char c;
	int rc;

	for (;;) {
		if ((rc = await_fds(&p, 1, -1, signals_cancel(), e)) < 0)
			return rc;
		n = read(fd, &c, 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "cannot read from the terminal");
		if (n == 0 || c == '\n')
			return buf_check(out, "what was typed", e);
		buf_add(out, &c, 1);
	}
}

int
secret_prompt(const char *prompt, bool echo, struct buf *out, struct err *e)
{
	AUTO(fd) int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct termios before, quiet;
	int rc;

	if (fd < 0 || tcgetattr(fd, &before) != 0) {
		err_set(e, E_INVAL, "there is no terminal to ask on");
		return err_hint(e, "give it on standard input, see --help");
	}
	quiet = before;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	/* Before the prompt: who answers it at once is not to be shown. */
	if (!echo && tcsetattr(fd, TCSAFLUSH, &quiet) != 0)
		return err_sys(e, "cannot hide what is typed");
	rc = fd_write_all(fd, prompt, strlen(prompt), "the terminal", e);
	if (rc == 0)
		rc = read_line(fd, out, e);
	if (!echo) {
		(void)tcsetattr(fd, TCSAFLUSH, &before);
		(void)!write(fd, "\n", 1);
	}
	return rc;
}

int
secret_stdin(struct buf *out, struct err *e)
{
	int rc = fd_read_all(STDIN_FILENO, out, e);

	if (rc < 0)
		return rc;
	if (out->len > 0 && out->data[out->len - 1] == '\n')
		out->data[--out->len] = '\0';
	if (out->len > 0 && out->data[out->len - 1] == '\r')
		out->data[--out->len] = '\0';
	if (out->len != strlen(buf_cstr(out)))
		return err_set(e, E_INVAL, "standard input: a secret has no NUL in it");
	return 0;
}

int
secret_of_key(const struct args *a, const char *file, struct buf *secret, const char **out, struct err *e)
{
	bool locked = false;
	int rc = pot_key_is_locked(file, &locked, e);

	*out = NULL;
	if (rc < 0 || !locked)
		return rc;
	if (args_has(a, "passphrase-stdin"))
		rc = secret_stdin(secret, e);
	else
		rc = secret_prompt("Passphrase: ", false, secret, e);
	if (rc == 0)
		*out = buf_cstr(secret);
	return rc;
}
