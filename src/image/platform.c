/*
 * Which images can run here: operating system and processor as image-spec
 * names them (GOOS and GOARCH), and which of several fits best.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/utsname.h>

#include "base/text.h"
#include "image/config.h"

/* Names of uname(3), systems' own included. */
static const struct {
	const char *machine, *arch, *variant;
} arches[] = {
	{ "x86_64", "amd64", "" },
	{ "amd64", "amd64", "" },
	{ "aarch64", "arm64", "v8" },
	{ "arm64", "arm64", "v8" },
	{ "armv7l", "arm", "v7" },
	{ "armv7", "arm", "v7" },
	{ "armv6l", "arm", "v6" },
	{ "armv6", "arm", "v6" },
	{ "i386", "386", "" },
	{ "i486", "386", "" },
	{ "i586", "386", "" },
	{ "i686", "386", "" },
	{ "riscv64", "riscv64", "" },
	{ "ppc64le", "ppc64le", "" },
	{ "powerpc64le", "ppc64le", "" },
	{ "s390x", "s390x", "" },
	{ "loongarch64", "loong64", "" },
};

static void
lower(char *out, size_t size, const char *text)
{
	snprintf(out, size, "%.*s", (int)size - 1, text);
	for (; *out != '\0'; out++)
		if (*out >= 'A' && *out <= 'Z')
			*out = (char)(*out - 'A' + 'a');
}

void
img_host_platform(struct img_host *h)
{
	struct utsname u;

	memset(h, 0, sizeof(*h));
	if (uname(&u) != 0)
		return;
	lower(h->os, sizeof(h->os), u.sysname);
	lower(h->arch, sizeof(h->arch), u.machine);
	/* "14.3-RELEASE-p1": images of a FreeBSD name the release that they need. Linux has no such thing. */
	if (strcmp(h->os, "freebsd") == 0)
		snprintf(
		    h->os_version, sizeof(h->os_version), "%.*s", (int)strcspn(u.release, "-"), u.release);
	for (size_t i = 0; i < ARRAY_LEN(arches); i++)
		if (strcmp(arches[i].machine, u.machine) == 0) {
			snprintf(h->arch, sizeof(h->arch), "%s", arches[i].arch);
			snprintf(h->variant, sizeof(h->variant), "%s", arches[i].variant);
		}
}

/* 0: needs a newer processor; else the nearer, the higher. */
static unsigned
variant_fit(const struct img_host *h, const char *want)
{
	if (want == NULL || want[0] == '\0')
		return strcmp(h->arch, "arm") == 0 ? 1 : 8;
	if (want[0] != 'v' || want[1] < '0' || want[1] > '9' || want[2] != '\0')
		return 0;
	if (h->variant[0] == '\0')
		return want[1] == '1' ? 9 : 0; /* amd64 v1 is what every one is */
	if (want[1] > h->variant[1])
		return 0;
	return 1 + (unsigned)(want[1] - '0');
}

/* A release of the same branch, not newer than ours: "14.1" on 14.3. */
static unsigned
version_fit(const struct img_host *h, const char *want)
{
	unsigned major = 0, minor = 0, our_major = 0, our_minor = 0;

	if (want == NULL || want[0] == '\0' || h->os_version[0] == '\0')
		return 1;
	if (sscanf(want, "%3u.%3u", &major, &minor) < 1 ||
	    sscanf(h->os_version, "%3u.%3u", &our_major, &our_minor) < 1)
		return 0;
	if (major > our_major || (major == our_major && minor > our_minor))
		return 0;
	/* An older branch runs, too; the nearest is the best. */
	return 1 + (major == our_major ? 1000 + minor : major);
}

unsigned
img_platform_fit(const struct img_platform *p)
{
	struct img_host h;
	unsigned variant, version;

	if (p == NULL)
		return 1;
	img_host_platform(&h);
	if ((p->os != NULL && p->os[0] != '\0' && strcmp(p->os, h.os) != 0) ||
	    (p->arch != NULL && p->arch[0] != '\0' && strcmp(p->arch, h.arch) != 0))
		return 0;
	variant = variant_fit(&h, p->variant);
	version = version_fit(&h, p->os_version);
	return variant == 0 || version == 0 ? 0 : version * 16 + variant;
}

static void
list_platform(const struct img_platform *p, struct buf *b)
{
	if (p == NULL || p->os == NULL || strcmp(p->os, "unknown") == 0 || b->len > 300)
		return;
	buf_str(b, b->len > 0 ? ", " : "");
	text_escape(p->os, strnlen(p->os, 16), b);
	buf_str(b, "/");
	text_escape(p->arch != NULL ? p->arch : "", p->arch != NULL ? strnlen(p->arch, 16) : 0, b);
	if (p->variant != NULL && p->variant[0] != '\0') {
		buf_str(b, "/");
		text_escape(p->variant, strnlen(p->variant, 8), b);
	}
}

int
img_index_pick(const struct img_manifest *m, const struct img_desc **out, struct err *e)
{
	AUTO_FINI(buf) struct buf there = BUF_INIT(1024);
	struct img_host h;
	unsigned best = 0;

	for (size_t i = 0; i < m->n_manifests; i++) {
		const struct img_desc *d = &m->manifests[i];
		unsigned fit = d->artifact_type != NULL ? 0 : img_platform_fit(d->platform);

		list_platform(d->platform, &there);
		if (fit > best) {
			best = fit;
			*out = d;
		}
	}
	if (best > 0)
		return 0;
	img_host_platform(&h);
	return err_set(e, E_NOTSUP, "the image is not made for %s/%s%s%s; it is for %s", h.os, h.arch,
	    h.os_version[0] != '\0' ? " " : "", h.os_version, there.len > 0 ? there.data : "nothing");
}
