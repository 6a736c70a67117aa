/*
 * COPY from end to end in real directories: where things land, what is left
 * out, what is refused, and that a hostile context or tree leads nowhere.
 */
#include "copy_lab.h"

#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>

static void
small_context(struct lab *l)
{
	lab_file(l->src, "a.txt", "a");
	lab_file(l->src, "b.txt", "b");
	lab_file(l->src, "dir/x", "x");
	lab_file(l->src, "dir/sub/y", "y");
	lab_mode(l->src, "dir/sub", 0750);
	lab_mode(l->src, "dir/x", 04711);
	lab_mode(l->src, "dir", 0700);
}

static void
test_places(void **state)
{
	struct lab *l = *state;
	struct err err = ERR_INIT;

	small_context(l);
	assert_ok(lab_copy(l, "COPY a.txt /one", &err));
	assert_ok(lab_copy(l, "COPY a.txt /two/", &err));
	assert_ok(lab_copy(l, "COPY a.txt b.txt deep/er/", &err));
	assert_ok(lab_copy(l, "COPY ../../a.txt .", &err)); /* above the context is the context */
	assert_tree(l->dst,
	    "f 644 one=a\n"
	    "d 755 two\nf 644 two/a.txt=a\n"
	    "d 755 work\nf 644 work/a.txt=a\nd 755 work/deep\nd 755 work/deep/er\n"
	    "f 644 work/deep/er/a.txt=a\nf 644 work/deep/er/b.txt=b\n");
}

static void
test_directories(void **state)
{
	struct lab *l = *state;
	struct err err = ERR_INIT;

	small_context(l);
	/* The content, not the directory; its own mode goes nowhere, that of those below does. */
	assert_ok(lab_copy(l, "COPY dir /d", &err));
	assert_tree(l->dst, "d 755 d\nd 750 d/sub\nf 644 d/sub/y=y\nf 4711 d/x=x\n");
	/* Merged with what is there. */
	lab_file(l->dst, "d/sub/old", "old");
	lab_mode(l->dst, "d", 01777);
	lab_mode(l->dst, "d/sub", 0700);
	assert_ok(lab_copy(l, "COPY dir/ /d/", &err));
	assert_tree(l->dst, "d 1777 d\nd 750 d/sub\nf 644 d/sub/old=old\nf 644 d/sub/y=y\nf 4711 d/x=x\n");
}

static void
test_all(void **state)
{
	struct lab *l = *state;
	struct err err = ERR_INIT;

	small_context(l);
	assert_ok(lab_copy(l, "COPY . /", &err));
	assert_tree(l->dst,
	    "f 644 a.txt=a\nf 644 b.txt=b\nd 700 dir\nd 750 dir/sub\nf 644 dir/sub/y=y\n"
	    "f 4711 dir/x=x\n");
}

static void
test_globs(void **state)
{
	struct lab *l = *state;
	struct err err = ERR_INIT;

	lab_file(l->src, "a1", "1");
	lab_file(l->src, "a2", "2");
	lab_file(l->src, "[x]", "brackets");
	lab_file(l->src, "d1/f", "f");
	lab_file(l->src, "d2/g/h", "h");
	lab_file(l->src, "d2/g/h.c", "c");
	assert_ok(lab_copy(l, "COPY a? /q/", &err));
	assert_ok(lab_copy(l, "COPY [[]x] /b/", &err));
	assert_ok(lab_copy(l, "COPY \\[x] /e/", &err));
	assert_ok(lab_copy(l, "COPY d* /d/", &err)); /* the content of each */
	assert_ok(lab_copy(l, "COPY **/*.c /c/", &err));
	assert_ok(lab_copy(l, "COPY a1 none* /n/", &err)); /* a glob may match nothing … */
	assert_string_equal(l->warning, "nothing in the context matches none*");
	assert_tree(l->dst,
	    "d 755 b\nf 644 b/[x]=brackets\nd 755 c\nf 644 c/h.c=c\n"
	    "d 755 d\nf 644 d/f=f\nd 755 d/g\nf 644 d/g/h=h\nf 644 d/g/h.c=c\n"
	    "d 755 e\nf 644 e/[x]=brackets\nd 755 n\nf 644 n/a1=1\nd 755 q\nf 644 q/a1=1\n"
	    "f 644 q/a2=2\n");
	/* … a name not. */
	assert_fails(lab_copy(l, "COPY none /n/", &err), E_NOENT);
	/* One would replace the other. */
	assert_fails(lab_copy(l, "COPY a* /file", &err), E_INVAL);
	assert_fails(lab_copy(l, "COPY a1 a2 /file", &err), E_INVAL);
	assert_ok(lab_copy(l, "COPY a* /q", &err));
}

static void
test_ignored(void **state)
{
	struct lab *l = *state;
	struct err err = ERR_INIT;

	lab_file(l->src, "keep", "1");
	lab_file(l->src, "secret.key", "2");
	lab_file(l->src, "docs/a.md", "3");
	lab_file(l->src, "docs/README.md", "4");
	lab_file(l->src, "docs/deep/b.md", "5");
	lab_file(l->src, "tmp/x", "6");
	assert_ok(lab_copy_ignoring(l, "COPY . /all/", "*.key\ntmp\ndocs\n!docs/README.md\n", &err));
	assert_tree(l->dst, "d 755 all\nd 755 all/docs\nf 644 all/docs/README.md=4\nf 644 all/keep=1\n");
	/* What is left out is not there by its name, by a glob, or through a link. */
	assert_sys(symlinkat("secret.key", l->src, "link"));
	assert_fails(lab_copy_ignoring(l, "COPY secret.key /x", "*.key", &err), E_NOENT);
	assert_fails(lab_copy_ignoring(l, "COPY link /x", "*.key", &err), E_NOENT);
	assert_fails(lab_copy_ignoring(l, "COPY tmp /x", "tmp", &err), E_NOENT);
	assert_fails(lab_copy_ignoring(l, "COPY tmp/x /x", "tmp", &err), E_NOENT);
	assert_ok(lab_copy_ignoring(l, "COPY *.key /x/", "*.key", &err));
	assert_false(is_there(l->dst, "x"));
	/* The last line that matches decides. */
	assert_ok(lab_copy_ignoring(l, "COPY docs /x/", "docs\n!docs/*.md\ndocs/a*", &err));
	assert_false(is_there(l->dst, "x/a.md"));
	assert_true(is_there(l->dst, "x/README.md"));
	assert_false(is_there(l->dst, "x/deep"));
}

static void
test_excluded(void **state)
{
	struct lab *l = *state;
	struct err err = ERR_INIT;

	lab_file(l->src, "d/a.txt", "1");
	lab_file(l->src, "d/a.c", "2");
	lab_file(l->src, "d/t/b.txt", "3");
	lab_file(l->src, "d/t/b.c", "4");
	assert_ok(lab_copy(l, "COPY --exclude=*.txt --exclude=t/*.txt d /one/", &err));
	assert_ok(lab_copy(l, "COPY --exclude=**/*.c --exclude=!a.c d /two/", &err));
	assert_ok(lab_copy(l, "COPY --exclude=*.c d/* /three/", &err));
	assert_tree(l->dst,
	    "d 755 one\nf 644 one/a.c=2\nd 755 one/t\nf 644 one/t/b.c=4\n"
	    "d 755 three\nf 644 three/a.txt=1\nf 644 three/b.txt=3\n"
	    "d 755 two\nf 644 two/a.c=2\nf 644 two/a.txt=1\nd 755 two/t\nf 644 two/t/b.txt=3\n");
}

static void
test_parents(void **state)
{
	struct lab *l = *state;
	struct err err = ERR_INIT;

	lab_file(l->src, "x/a/one.c", "1");
	lab_file(l->src, "x/a/two.h", "2");
	lab_file(l->src, "x/b/c/three.c", "3");
	lab_mode(l->src, "x/a", 0711);
	assert_ok(lab_copy(l, "COPY --parents x/a/one.c /p/", &err));
	assert_ok(lab_copy(l, "COPY --parents x/**/*.c /q/", &err));
	assert_ok(lab_copy(l, "COPY --parents x/./b /r/", &err));
	assert_tree(l->dst,
	    "d 755 p\nd 755 p/x\nd 711 p/x/a\nf 644 p/x/a/one.c=1\n"
	    "d 755 q\nd 755 q/x\nd 711 q/x/a\nf 644 q/x/a/one.c=1\nd 755 q/x/b\n"
	    "d 755 q/x/b/c\nf 644 q/x/b/c/three.c=3\n"
	    "d 755 r\nd 755 r/b\nd 755 r/b/c\nf 644 r/b/c/three.c=3\n");
	assert_fails(lab_copy(l, "COPY --parents x/none /p/", &err), E_NOENT);
	assert_ok(lab_copy(l, "COPY --parents x/none* /p/", &err));
}

static void
test_links_in_the_source(void **state)
{
	struct lab *l = *state;
	struct err err = ERR_INIT;

	lab_file(l->src, "real/f", "f");
	assert_sys(symlinkat("real", l->src, "todir"));
	assert_sys(symlinkat("/real/f", l->src, "tofile"));
	assert_sys(symlinkat("nowhere", l->src, "dangling"));
	assert_sys(symlinkat("../../../../etc/passwd", l->src, "real/out"));
	/* One that is named is followed, in the context; one below a directory is copied. */
	assert_ok(lab_copy(l, "COPY todir /d/", &err));
	assert_ok(lab_copy(l, "COPY tofile /f", &err));
	assert_ok(lab_copy(l, "COPY tofile /t/", &err));
	assert_ok(lab_copy(l, "COPY todir/f /g", &err));
	assert_tree(l->dst,
	    "d 755 d\nf 644 d/f=f\nl d/out>../../../../etc/passwd\nf 644 f=f\nf 644 g=f\n"
	    "d 755 t\nf 644 t/tofile=f\n");
	assert_fails(lab_copy(l, "COPY dangling /x", &err), E_NOENT);
	assert_fails(lab_copy(l, "COPY real/out /x", &err), E_NOENT);
	assert_sys(symlinkat("loop", l->src, "loop"));
	assert_fails(lab_copy(l, "COPY loop /x", &err), E_INVAL);
}

/* The way out of a context: absolute, by "..", through a directory. */
static void
test_no_way_out(void **state)
{
	struct lab *l = *state;
	struct err err = ERR_INIT;
	char text[256];

	lab_file(l->scratch->fd, "shadow", "secret");
	assert_sys(symlinkat("../shadow", l->src, "up"));
	assert_sys(symlinkat("..", l->src, "dots"));
	snprintf(text, sizeof(text), "%s/shadow", l->scratch->path);
	assert_sys(symlinkat(text, l->src, "absolute"));
	assert_sys(symlinkat("/proc/self/cwd", l->src, "magic"));
	assert_fails(lab_copy(l, "COPY up /x", &err), E_NOENT);
	assert_fails(lab_copy(l, "COPY absolute /x", &err), E_NOENT);
	assert_fails(lab_copy(l, "COPY dots/shadow /x", &err), E_NOENT);
	assert_fails(lab_copy(l, "COPY magic/shadow /x", &err), E_NOENT);
	assert_fails(lab_copy(l, "COPY ../shadow /x", &err), E_NOENT);
	snprintf(text, sizeof(text), "COPY %s/shadow /x", l->scratch->path);
	assert_fails(lab_copy(l, text, &err), E_NOENT);
	/* As the directory above is the context, this is a copy of it into a place. */
	assert_ok(lab_copy(l, "COPY dots /all/", &err));
	assert_false(is_there(l->dst, "all/shadow"));
	assert_true(is_there(l->dst, "all/up"));
}

static void
test_links_in_the_tree(void **state)
{
	struct lab *l = *state;
	struct err err = ERR_INIT;
	char outside[128];

	lab_file(l->src, "f", "new");
	lab_file(l->src, "d/inner/f", "new");
	lab_file(l->scratch->fd, "host/f", "host");
	snprintf(outside, sizeof(outside), "%s/host", l->scratch->path);
	lab_file(l->dst, "real/old", "old");
	assert_sys(symlinkat("real", l->dst, "todir"));
	assert_sys(symlinkat("/real/old", l->dst, "tofile"));
	assert_sys(symlinkat(outside, l->dst, "out"));
	assert_sys(symlinkat("../../../../../../tmp", l->dst, "dots"));
	assert_sys(symlinkat("missing/dir", l->dst, "dangling"));
	assert_sys(symlinkat("real/old", l->dst, "name"));
	/* dest is followed, in the tree. */
	assert_ok(lab_copy(l, "COPY f /todir", &err));
	assert_content(l->dst, "real/f", "new");
	assert_ok(lab_copy(l, "COPY f /tofile", &err));
	assert_content(l->dst, "real/old", "new");
	assert_ok(lab_copy(l, "COPY f /out/f", &err));
	assert_ok(lab_copy(l, "COPY f /dots/f", &err));
	assert_content(l->dst, "tmp/f", "new");
	assert_content(l->scratch->fd, "host/f", "host");
	assert_ok(lab_copy(l, "COPY f /dangling", &err));
	assert_content(l->dst, "missing/dir", "new");
	/* What stands under a file's name in a directory is replaced, not written through. */
	lab_file(l->dst, "at/x", "x");
	assert_sys(symlinkat(outside, l->dst, "at/inner"));
	assert_sys(symlinkat("/real/old", l->dst, "at/f"));
	assert_ok(lab_copy(l, "COPY f /at/", &err));
	assert_content(l->dst, "at/f", "new");
	/* A directory does not go through a link below dest. */
	assert_fails(lab_copy(l, "COPY d /at", &err), E_EXIST);
	assert_content(l->scratch->fd, "host/f", "host");
}

static void
test_conflicts(void **state)
{
	struct lab *l = *state;
	struct err err = ERR_INIT;

	small_context(l);
	lab_file(l->dst, "d/a.txt/in", "1");
	lab_file(l->dst, "file", "2");
	lab_file(l->dst, "e/sub", "3");
	assert_fails(lab_copy(l, "COPY a.txt /d/", &err), E_EXIST);
	assert_fails(lab_copy(l, "COPY a.txt /file/", &err), E_EXIST);
	assert_fails(lab_copy(l, "COPY dir /file", &err), E_EXIST);
	assert_fails(lab_copy(l, "COPY dir /e", &err), E_EXIST);
	assert_fails(lab_copy(l, "COPY a.txt /file/x/y", &err), E_EXIST);
	assert_ok(lab_copy(l, "COPY a.txt /file", &err));
	assert_content(l->dst, "file", "a");
}

static void
test_texts(void **state)
{
	struct lab *l = *state;
	struct err err = ERR_INIT;

	small_context(l);
	assert_ok(lab_copy(l, "COPY <<EOF /etc/conf\nline $x\nEOF", &err));
	assert_ok(lab_copy(l, "COPY --chmod=0700 <<one <<two a.txt /t/\n1\none\n2\ntwo", &err));
	assert_tree(l->dst,
	    "d 755 etc\nf 644 etc/conf=line $x\n\nd 755 t\nf 700 t/a.txt=a\nf 700 t/one=1\n\n"
	    "f 700 t/two=2\n\n");
}

static void
test_modes(void **state)
{
	struct lab *l = *state;
	struct err err = ERR_INIT;

	small_context(l);
	assert_ok(lab_copy(l, "COPY --chmod=2755 dir /o/", &err));
	assert_ok(lab_copy(l, "COPY --chmod=u=rwX,go=rX dir /s/", &err));
	assert_tree(l->dst,
	    "d 755 o\nd 2755 o/sub\nf 2755 o/sub/y=y\nf 2755 o/x=x\n"
	    "d 755 s\nd 755 s/sub\nf 644 s/sub/y=y\nf 755 s/x=x\n");
}

static void
owner_is(int dirfd, const char *path, unsigned uid, unsigned gid)
{
	struct stat st;

	assert_sys(fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW));
	assert_int_equal(st.st_uid, uid);
	assert_int_equal(st.st_gid, gid);
}

static void
test_owners(void **state)
{
	struct lab *l = *state;
	struct err err = ERR_INIT;

	small_context(l);
	assert_sys(fchownat(l->src, "a.txt", 77, 78, 0));
	lab_file(l->dst, "etc/passwd", "root:x:0:0::/:/bin/sh\nweb:x:101:102::/:/bin/sh\n1234:x:5:5::/:\n");
	lab_file(l->dst, "etc/group", "root:x:0:\nwww:x:202:\n");
	assert_ok(lab_copy(l, "COPY a.txt /root", &err));
	owner_is(l->dst, "root", 0, 0);
	assert_ok(lab_copy(l, "COPY --chown=web dir /n/", &err));
	owner_is(l->dst, "n", 101, 102); /* what is made on the way, too */
	owner_is(l->dst, "n/sub/y", 101, 102);
	assert_ok(lab_copy(l, "COPY --chown=web:www a.txt /w", &err));
	owner_is(l->dst, "w", 101, 202);
	assert_ok(lab_copy(l, "COPY --chown=1234 a.txt /number", &err));
	owner_is(l->dst, "number", 1234, 1234);
	assert_ok(lab_copy(l, "COPY --chown=7:8 a.txt /both", &err));
	owner_is(l->dst, "both", 7, 8);
	assert_ok(lab_copy(l, "COPY --chown=:www a.txt /group", &err));
	owner_is(l->dst, "group", 0, 202);
	assert_fails(lab_copy(l, "COPY --chown=nobody a.txt /x", &err), E_NOENT);
	assert_fails(lab_copy(l, "COPY --chown=web:nogroup a.txt /x", &err), E_NOENT);
	assert_fails(lab_copy(l, "COPY --chown=4294967295 a.txt /x", &err), E_INVAL);
	/* The files may lead anywhere but out. */
	assert_sys(unlinkat(l->dst, "etc/passwd", 0));
	assert_sys(symlinkat("/../../../../etc/passwd", l->dst, "etc/passwd"));
	assert_fails(lab_copy(l, "COPY --chown=root a.txt /x", &err), E_INVAL);
	assert_ok(lab_copy(l, "COPY --chown=9:9 a.txt /x", &err));
}

static void
test_kept(void **state)
{
	struct lab *l = *state;
	struct err err = ERR_INIT;
	const struct timespec then[2] = { { 1000, 5 }, { 2000, 7 } };
	struct stat a, b;
	char value[8];
	int fd;

	lab_file(l->src, "d/a", "linked");
	assert_sys(linkat(l->src, "d/a", l->src, "d/z", 0));
	assert_sys(mkdirat(l->src, "d/e", 0755));
	assert_sys(linkat(l->src, "d/a", l->src, "d/e/b", 0));
	fd = openat(l->src, "d/sparse", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_sys(ftruncate(fd, 64 << 20));
	assert_int_equal(pwrite(fd, "end", 3, (64 << 20) - 3), 3);
	assert_sys(fsetxattr(fd, "user.note", "hi", 2, 0));
	assert_sys(futimens(fd, then));
	close(fd);
	assert_ok(lab_copy(l, "COPY d /d", &err));
	assert_sys(fstatat(l->dst, "d/a", &a, 0));
	assert_sys(fstatat(l->dst, "d/z", &b, 0));
	assert_int_equal(a.st_ino, b.st_ino);
	assert_sys(fstatat(l->dst, "d/e/b", &b, 0));
	assert_int_equal(a.st_ino, b.st_ino);
	assert_int_equal(a.st_nlink, 3);
	assert_sys(fstatat(l->dst, "d/sparse", &a, 0));
	assert_int_equal(a.st_size, 64 << 20);
	assert_true(a.st_blocks < 2048);
	assert_int_equal(a.st_mtim.tv_sec, 2000);
	assert_int_equal(a.st_mtim.tv_nsec, 7);
	fd = openat(l->dst, "d/sparse", O_RDONLY | O_CLOEXEC);
	assert_int_equal(fgetxattr(fd, "user.note", value, sizeof(value)), 2);
	close(fd);
	l->bld.epoch = 1500;
	assert_ok(lab_copy(l, "COPY d/sparse /clamped", &err));
	assert_sys(fstatat(l->dst, "clamped", &a, 0));
	assert_int_equal(a.st_mtim.tv_sec, 1500);
}

static void
test_no_files(void **state)
{
	struct lab *l = *state;
	struct err err = ERR_INIT;
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/src/d-socket", l->scratch->path);
	assert_sys(bind(s, (struct sockaddr *)&sun, sizeof(sun)));
	assert_sys(mkfifoat(l->src, "fifo", 0600));
	assert_sys(mknodat(l->src, "null", S_IFCHR | 0666, makedev(1, 3)));
	lab_file(l->src, "f", "f");
	/* None of them is opened: a FIFO would wait for ever. */
	assert_ok(lab_copy(l, "COPY . /all/", &err));
	assert_tree(l->dst, "d 755 all\nf 644 all/f=f\np 600 all/fifo\n");
	assert_string_equal(l->warning, "2 sockets and devices of the context are not copied");
	assert_fails(lab_copy(l, "COPY null /null", &err), E_INVAL);
	assert_fails(lab_copy(l, "COPY d-socket /s", &err), E_INVAL);
	close(s);
}

/* ---- what changes under our hands --------------------------------------------------- */

static void
write_more(struct lab *l)
{
	put(l->src, "a.txt", "ab");
}

/* Same size, and the times put back: only its content tells. */
static void
write_other(struct lab *l)
{
	struct stat st;

	assert_sys(fstatat(l->src, "a.txt", &st, 0));
	put(l->src, "a.txt", "Z");
	assert_sys(utimensat(l->src, "a.txt", (struct timespec[]){ st.st_atim, st.st_mtim }, 0));
}

static void
swap_for_link(struct lab *l)
{
	lab_file(l->scratch->fd, "secret", "s");
	assert_sys(unlinkat(l->src, "a.txt", 0));
	assert_sys(symlinkat("../secret", l->src, "a.txt"));
}

static void
swap_dir_for_link(struct lab *l)
{
	lab_file(l->scratch->fd, "other/x", "x");
	assert_sys(renameat(l->src, "dir", l->src, "gone"));
	assert_sys(symlinkat("../other", l->src, "dir"));
}

static void
swap_for_fifo(struct lab *l)
{
	assert_sys(unlinkat(l->src, "a.txt", 0));
	assert_sys(mkfifoat(l->src, "a.txt", 0644));
}

static void
take_away(struct lab *l)
{
	assert_sys(unlinkat(l->src, "a.txt", 0));
}

static void
note(struct lab *l)
{
	int fd = openat(l->src, "a.txt", O_RDONLY | O_CLOEXEC);

	assert_sys(fsetxattr(fd, "user.new", "1", 1, 0));
	close(fd);
}

static void
test_changes(void **state)
{
	static void (*const all[])(struct lab *) = { write_more, write_other, swap_for_link,
		swap_dir_for_link, swap_for_fifo, take_away, note };
	struct lab *l = *state;
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		assert_ok(tree_remove(l->scratch->fd, "src", &err));
		close(l->src);
		l->src = dir_make(l->scratch->fd, "src", 0755, &err);
		small_context(l);
		assert_fails(lab_copy_changing(l, "COPY . /d/", all[i], &err), E_BUSY);
	}
	/* What was added meanwhile is not in the list, and so not in the tree. */
	assert_false(is_there(l->dst, "d/gone"));
}

/* A large file goes another way than a small one. */
static void
grow_large(struct lab *l)
{
	int fd = openat(l->src, "large", O_WRONLY | O_CLOEXEC);

	assert_int_equal(pwrite(fd, "!", 1, 500000), 1);
	close(fd);
}

static void
test_large_changes(void **state)
{
	struct lab *l = *state;
	struct err err = ERR_INIT;
	static char text[600000];
	struct stat st;

	memset(text, 'x', sizeof(text) - 1);
	put(l->src, "large", text);
	assert_ok(lab_copy(l, "COPY large /l", &err));
	assert_sys(fstatat(l->dst, "l", &st, 0));
	assert_int_equal(st.st_size, sizeof(text) - 1);
	assert_fails(lab_copy_changing(l, "COPY large /m", grow_large, &err), E_BUSY);
}

/* ---- the digest ------------------------------------------------------------------------- */

static bool
same(struct lab *l, const char *text, const struct digest *before)
{
	struct err err = ERR_INIT;
	struct digest now;

	assert_ok(lab_digest(l, text, &now, &err));
	return digest_equal(before, &now);
}

static void
test_digest(void **state)
{
	struct lab *l = *state;
	struct err err = ERR_INIT;
	struct digest d;
	int fd;

	small_context(l);
	assert_sys(linkat(l->src, "a.txt", l->src, "dir/zz", 0));
	assert_sys(linkat(l->src, "a.txt", l->src, "dir/aa", 0));
	assert_sys(symlinkat("x", l->src, "dir/s"));
	assert_ok(lab_digest(l, "COPY dir /d/", &d, &err));
	assert_true(same(l, "COPY dir /d/", &d));
	assert_true(same(l, "COPY dir/ /e/../d/", &d));
	/* Times, the place of the source, its own mode and owners decide nothing. */
	assert_sys(utimensat(l->src, "dir/x", (struct timespec[]){ { 1, 0 }, { 1, 0 } }, 0));
	lab_mode(l->src, "dir", 0755);
	assert_sys(fchownat(l->src, "dir/x", 5, 5, 0));
	lab_mode(l->src, "dir/x", 04711);
	assert_true(same(l, "COPY dir /d/", &d));
	assert_sys(renameat(l->src, "dir", l->src, "other"));
	assert_true(same(l, "COPY other /d/", &d));
	assert_sys(renameat(l->src, "other", l->src, "dir"));
	/* All else does. */
	assert_false(same(l, "COPY dir /d", &d));
	assert_false(same(l, "COPY dir /e/", &d));
	assert_false(same(l, "COPY --chown=0 dir /d/", &d));
	assert_false(same(l, "COPY --chmod=0644 dir /d/", &d));
	assert_false(same(l, "COPY --exclude=x dir /d/", &d));
	lab_mode(l->src, "dir/x", 0711);
	assert_false(same(l, "COPY dir /d/", &d));
	lab_mode(l->src, "dir/x", 04711);
	assert_true(same(l, "COPY dir /d/", &d));
	assert_sys(renameat(l->src, "dir/x", l->src, "dir/w"));
	assert_false(same(l, "COPY dir /d/", &d));
	assert_sys(renameat(l->src, "dir/w", l->src, "dir/x"));
	put(l->src, "dir/x", "X");
	assert_false(same(l, "COPY dir /d/", &d));
	put(l->src, "dir/x", "x");
	lab_mode(l->src, "dir/x", 04711);
	assert_true(same(l, "COPY dir /d/", &d));
	fd = openat(l->src, "dir/x", O_RDONLY | O_CLOEXEC);
	assert_sys(fsetxattr(fd, "user.a", "1", 1, 0));
	assert_false(same(l, "COPY dir /d/", &d));
	assert_sys(fremovexattr(fd, "user.a"));
	close(fd);
	assert_sys(unlinkat(l->src, "dir/s", 0));
	assert_sys(symlinkat("y", l->src, "dir/s"));
	assert_false(same(l, "COPY dir /d/", &d));
	assert_sys(unlinkat(l->src, "dir/s", 0));
	assert_sys(symlinkat("x", l->src, "dir/s"));
	assert_true(same(l, "COPY dir /d/", &d));
	/* Whether two files are one, too. */
	assert_sys(unlinkat(l->src, "dir/zz", 0));
	lab_file(l->src, "dir/zz", "a");
	assert_false(same(l, "COPY dir /d/", &d));
}

/* A file moved into the directory beside it is another tree. */
static void
test_digest_shape(void **state)
{
	struct lab *l = *state;
	struct err err = ERR_INIT;
	struct digest d;

	lab_file(l->src, "d/a/f", "f");
	lab_file(l->src, "d/b/g", "g");
	assert_ok(lab_digest(l, "COPY d /d/", &d, &err));
	assert_sys(renameat(l->src, "d/b", l->src, "d/a/b"));
	assert_false(same(l, "COPY d /d/", &d));
}

static void
test_tree_is_looked_at_once(void **state)
{
	struct lab *l = *state;
	struct err err = ERR_INIT;
	const char *const sources[] = { "dir", NULL };
	struct bld_tree tree = { .any = true };
	struct digest first, second;

	small_context(l);
	assert_sys(fchownat(l->src, "dir/x", 5, 6, 0));
	lab_mode(l->src, "dir/x", 04711);
	for (int i = 0; i < 2; i++) {
		AUTO_FINI(bld_copy)
		struct bld_copy c = { .src = -1,
			.tree = &tree,
			.keep_owner = true,
			.sources = sources,
			.dest = i == 0 ? "/one/" : "/two/" };

		assert_ok(bld_copy_digest(&l->bld, &c, i == 0 ? &first : &second, &err));
		assert_int_equal(l->looks, i == 0 ? 1 : 2);
		assert_ok(bld_copy_apply(&l->bld, &c, l->dst, &err));
	}
	assert_false(digest_equal(&first, &second));
	owner_is(l->dst, "one/x", 5, 6);
	owner_is(l->dst, "two/x", 5, 6);
	AUTO_FINI(bld_copy)
	struct bld_copy c = {
		.src = -1, .tree = &tree, .keep_owner = true, .sources = sources, .dest = "/one/"
	};
	l->looks = 0;
	assert_ok(bld_copy_digest(&l->bld, &c, &second, &err));
	assert_int_equal(l->looks, 0);
	assert_true(digest_equal(&first, &second));
}

static void
test_whole(void **state)
{
	struct lab *l = *state;
	struct err err = ERR_INIT;
	const char *const sources[] = { "dir", NULL };

	small_context(l);
	assert_sys(mkdirat(l->dst, "there", 0755));
	lab_mode(l->dst, "there", 0755);
	for (int i = 0; i < 2; i++) {
		AUTO_FINI(bld_copy)
		struct bld_copy c = {
			.src = l->src, .sources = sources, .dest = i == 0 ? "/there" : "/new", .whole = true
		};
		struct digest d;

		assert_ok(bld_copy_digest(&l->bld, &c, &d, &err));
		assert_ok(bld_copy_apply(&l->bld, &c, l->dst, &err));
	}
	assert_tree(l->dst,
	    "d 700 new\nd 750 new/sub\nf 644 new/sub/y=y\nf 4711 new/x=x\n"
	    "d 755 there\nd 700 there/dir\nd 750 there/dir/sub\nf 644 there/dir/sub/y=y\n"
	    "f 4711 there/dir/x=x\n");
}

static void
test_refused(void **state)
{
	struct lab *l = *state;
	struct err err = ERR_INIT;

	small_context(l);
	assert_fails(lab_copy(l, "COPY http://localhost/x /x", &err), E_INVAL);
	assert_fails(lab_copy(l, "ADD https://example.org/repo.git /x", &err), E_NOTSUP);
	assert_fails(lab_copy(l, "ADD git@example.org:repo /x", &err), E_NOTSUP);
	close(l->src);
	l->src = -1;
	assert_fails(lab_copy(l, "COPY a.txt /x", &err), E_NOENT);
	assert_ok(lab_copy(l, "COPY <<E /x\n1\nE", &err));
}

/* Deep, and with no descriptor left behind. */
static void
test_deep(void **state)
{
	struct lab *l = *state;
	struct err err = ERR_INIT;
	int fd = dup(l->src), next, before;

	for (int i = 0; i < 500; i++) {
		assert_sys(mkdirat(fd, "d", 0755));
		next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(fd);
		fd = next;
	}
	put(fd, "bottom", "b");
	close(fd);
	before = open_fds();
	assert_ok(lab_copy(l, "COPY . /", &err));
	assert_int_equal(open_fds(), before);
	fd = dup(l->dst);
	for (int i = 0; i < 500; i++) {
		next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		close(fd);
		fd = next;
	}
	assert_content(fd, "bottom", "b");
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		lab_test(test_places),
		lab_test(test_directories),
		lab_test(test_all),
		lab_test(test_globs),
		lab_test(test_ignored),
		lab_test(test_excluded),
		lab_test(test_parents),
		lab_test(test_links_in_the_source),
		lab_test(test_no_way_out),
		lab_test(test_links_in_the_tree),
		lab_test(test_conflicts),
		lab_test(test_texts),
		lab_test(test_modes),
		lab_test(test_owners),
		lab_test(test_kept),
		lab_test(test_no_files),
		lab_test(test_changes),
		lab_test(test_large_changes),
		lab_test(test_digest),
		lab_test(test_digest_shape),
		lab_test(test_tree_is_looked_at_once),
		lab_test(test_whole),
		lab_test(test_refused),
		lab_test(test_deep),
	};

	return cmocka_run_group_tests_name("copy", tests, NULL, NULL);
}
