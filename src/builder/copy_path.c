/*
 * Sources and destinations as text. Pure: no file is looked at, and ".." goes
 * up in the text only.
 */
#include <string.h>

#include "builder/copy_impl.h"

#define PATH_TEXT_MAX 65536u

void
path_cut(struct buf *b, size_t len)
{
	if (b->data == NULL)
		return;
	b->len = len;
	b->data[len] = '\0';
}

/* Takes the last component away. */
void
path_up(struct buf *path)
{
	const char *slash = path->len > 0 ? strrchr(path->data, '/') : NULL;

	path_cut(path, slash != NULL ? (size_t)(slash - path->data) : 0);
}

void
path_down(struct buf *path, const char *name, size_t len)
{
	if (path->len > 0)
		buf_add(path, "/", 1);
	buf_add(path, name, len);
}

/* One component of a text path: of "", "." and ".." nothing stays. */
void
path_go(struct buf *path, const char *name, size_t len)
{
	if (len == 0 || (len == 1 && name[0] == '.'))
		return;
	if (len == 2 && name[0] == '.' && name[1] == '.')
		path_up(path);
	else
		path_down(path, name, len);
}

int
scan_clean(const char *path, struct buf *out, struct err *e)
{
	buf_reset(out);
	buf_str(out, "");
	while (*path != '\0') {
		size_t len = strcspn(path, "/");

		path_go(out, path, len);
		path += len + (path[len] == '/');
	}
	return buf_check(out, "path", e);
}

int
scan_join(const char *dir, const char *name, struct buf *out, struct err *e)
{
	buf_reset(out);
	buf_str(out, dir);
	if (dir[0] != '\0' && name[0] != '\0')
		buf_str(out, "/");
	buf_str(out, name);
	return buf_check(out, "path", e);
}

size_t
scan_fixed_length(const char *path)
{
	size_t fixed = 0;

	while (path[fixed] != '\0') {
		size_t i = fixed + (path[fixed] == '/');

		for (; path[i] != '\0' && path[i] != '/'; i++) {
			if (path[i] == '\\' && path[i + 1] != '\0')
				i++;
			else if (strchr("*?[", path[i]) != NULL)
				return fixed;
		}
		fixed = i;
	}
	return fixed;
}

/* A backslash before a wildcard says that it is none. */
void
path_unescape(char *path)
{
	char *to = path;

	for (; *path != '\0'; path++) {
		if (*path == '\\' && path[1] != '\0' && strchr("*?[\\", path[1]) != NULL)
			path++;
		*to++ = *path;
	}
	*to = '\0';
}

int
copy_dest_path(const struct bld_copy *c, struct buf *out, bool *dir, struct err *e)
{
	AUTO_FINI(buf) struct buf full = BUF_INIT(PATH_TEXT_MAX), clean = BUF_INIT(PATH_TEXT_MAX);
	const char *dest = strcmp(c->dest, ".") == 0 || c->dest[0] == '\0' ? "./" : c->dest;
	int rc;

	if (dest[0] != '/') {
		buf_str(&full, c->workdir != NULL ? c->workdir : "/");
		buf_str(&full, "/");
	}
	buf_str(&full, dest);
	if ((rc = buf_check(&full, "destination", e)) < 0 || (rc = scan_clean(full.data, &clean, e)) < 0)
		return rc;
	*dir = dest[strlen(dest) - 1] == '/';
	buf_reset(out);
	buf_str(out, "/");
	buf_str(out, clean.data);
	return buf_check(out, "destination", e);
}

/* ---- URLs ------------------------------------------------------------------------- */

bool
bld_is_url(const char *source)
{
	return strncmp(source, "http://", 7) == 0 || strncmp(source, "https://", 8) == 0;
}

static int
hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c != '\0' ? strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;

	return at != NULL ? (int)(at - digits) : -1;
}

void
bld_url_name(const char *url, char out[static 256])
{
	const char *s = strstr(url, "://"), *end;
	size_t n = 0;

	out[0] = '\0';
	s = s != NULL ? s + 3 : url;
	end = s + strcspn(s, "?#");
	s += strcspn(s, "/?#");
	while (end > s && end[-1] == '/')
		end--;
	for (; s < end; s++) {
		int hi = -1, lo = -1;
		char c = *s;

		if (c == '%' && end - s > 2 && (hi = hex_digit(s[1])) >= 0 && (lo = hex_digit(s[2])) >= 0) {
			c = (char)(hi << 4 | lo);
			s += 2;
		}
		if (c == '/') {
			n = 0;
			continue;
		}
		if ((unsigned char)c < 0x20 || c == 0x7f || n == 255) {
			out[0] = '\0';
			return;
		}
		out[n++] = c;
	}
	out[n] = '\0';
	if (strcmp(out, ".") == 0 || strcmp(out, "..") == 0)
		out[0] = '\0';
}
