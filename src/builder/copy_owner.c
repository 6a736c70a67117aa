/*
 * --chown and --chmod: who owns what is copied, and what its mode becomes.
 * The files that names are looked up in are hostile.
 */
#include <string.h>

#include "base/inroot.h"
#include "builder/copy_impl.h"
#include "model/passwd.h"

#define FILE_MAX ((size_t)4 << 20)

/* A tree without the file has no names. */
static int
read_names(int root, const char *path, struct buf *b, struct err *e)
{
	int rc = inroot_read(root, path, b, e);

	return rc == -E_NOENT ? 0 : rc;
}

static bool
is_number(const char *s, size_t n)
{
	return n > 0 && strspn(s, "0123456789") >= n;
}

int
copy_owner_find(int root, const char *spec, struct copy_owner *out, struct err *e)
{
	AUTO_FINI(buf)
	struct buf passwd = BUF_INIT(FILE_MAX), group = BUF_INIT(FILE_MAX), full = BUF_INIT(1024);
	size_t user = strcspn(spec, ":");
	struct passwd_user found;
	int rc;

	if (user == 0)
		buf_str(&full, "0");
	buf_str(&full, spec);
	if (is_number(spec, user) && spec[user] == '\0')
		buf_fmt(&full, ":%s", spec);
	rc = buf_check(&full, "user", e);
	/* Numbers need no files. */
	if (rc == 0 && strspn(full.data, "0123456789:") != full.len) {
		if ((rc = read_names(root, "/etc/passwd", &passwd, e)) == 0)
			rc = read_names(root, "/etc/group", &group, e);
	}
	if (rc == 0)
		rc = passwd_lookup(buf_cstr(&passwd), buf_cstr(&group), full.data, &found, e);
	if (rc == -E_NOENT)
		err_hint(e, "names are those of /etc/passwd and /etc/group in the image");
	if (rc < 0)
		return rc;
	*out = (struct copy_owner){ true, found.uid, found.gid };
	return 0;
}

/* ---- --chmod -------------------------------------------------------------------- */

/* The bits of the classes that "ugoa" names. */
static mode_t
class_bits(const char *who, size_t n)
{
	mode_t bits = 0;

	for (size_t i = 0; i < n; i++) {
		if (who[i] == 'u' || who[i] == 'a')
			bits |= S_ISUID | S_IRWXU;
		if (who[i] == 'g' || who[i] == 'a')
			bits |= S_ISGID | S_IRWXG;
		if (who[i] == 'o' || who[i] == 'a')
			bits |= S_IRWXO;
		if (who[i] == 'a')
			bits |= S_ISVTX;
	}
	return n == 0 ? 07777 : bits;
}

static mode_t
permission_bits(const char *s, size_t n, mode_t mode)
{
	mode_t bits = 0;

	for (size_t i = 0; i < n; i++) {
		if (s[i] == 'r')
			bits |= 0444;
		else if (s[i] == 'w')
			bits |= 0222;
		else if (s[i] == 'x' || (s[i] == 'X' && (S_ISDIR(mode) || (mode & 0111) != 0)))
			bits |= 0111;
		else if (s[i] == 's')
			bits |= S_ISUID | S_ISGID;
		else if (s[i] == 't')
			bits |= S_ISVTX;
	}
	return bits;
}

mode_t
copy_mode_apply(const char *spec, mode_t mode)
{
	const mode_t type = mode & S_IFMT;
	mode_t octal = 0;

	if (spec[0] >= '0' && spec[0] <= '7') {
		for (; *spec >= '0' && *spec <= '7'; spec++)
			octal = (octal << 3 | (mode_t)(*spec - '0')) & 07777;
		return type | octal;
	}
	while (*spec != '\0') {
		size_t nwho = strspn(spec, "ugoa"), nperm;
		mode_t whose = class_bits(spec, nwho);

		spec += nwho;
		while (*spec == '+' || *spec == '-' || *spec == '=') {
			const char op = *spec++;
			mode_t bits;

			nperm = strspn(spec, "rwxXst");
			/* The sticky bit is no class's own: any may name it, and "=" leaves it alone. */
			bits = permission_bits(spec, nperm, mode) & (whose | S_ISVTX);
			if (op == '=')
				mode &= ~(whose & ~(mode_t)S_ISVTX);
			mode = op == '-' ? mode & ~bits : mode | bits;
			spec += nperm;
		}
		spec += strcspn(spec, ",");
		spec += *spec == ',';
	}
	return type | (mode & 07777);
}
