"""Archives that want out of their root, or into somebody else's file: refused, or harmless inside."""

import os
import stat

import pytest

import tars
from tars import directory, entry, file, hardlink, symlink, tar

ESCAPES = ["../x", "/x", "a/../../x", "..", "a/..", "./../x", "a//..//..//x", "/../x", "a/b/../../../x", "//x",
           "../root/x", "x/../x", "./.././x", "..//", "a/../"]


@pytest.mark.parametrize("name", ESCAPES)
@pytest.mark.parametrize("kind", ["file", "directory", "symlink", "fifo", "device", "hardlink", "pax", "gnu"])
def test_names_that_leave_the_root_are_refused_by_name(cage, name, kind):
    """T1, T10: in every type of entry and every way to write the name."""
    archive = {"file": file(name), "directory": directory(name), "symlink": symlink(name, "x"),
               "fifo": entry(name, kind=b"6"), "device": entry(name, kind=b"3"),
               "hardlink": file("t") + hardlink(name, "t"), "pax": file("short", pax_records={"path": name}),
               "gnu": tars.gnu_long(b"L", name) + file("short")}[kind]
    result = cage.unpack(tar(file("good"), archive))
    assert result.status == 1, result
    assert result.err.startswith(name + ": "), result
    assert cage.names() <= {"good", "t"}


@pytest.mark.parametrize("name", ["./x", "x", ".//x", "././x", "x/.", "x//", ".///././x/./"])
def test_spellings_of_one_name_are_one_name(cage, name):
    """T10: what differs only in dots and slashes is the same file."""
    archive = tar(directory(name) if name.rstrip("./") != name.rstrip("/") or name.endswith("/") else file(name))
    assert cage.unpack(archive).status == 0
    assert cage.names() == {"x"}


def test_case_and_unicode_make_different_names(cage):
    """T10: bytes are compared, so no folding can bring an entry behind a link."""
    archive = tar(symlink("D", cage.host), file("d/canary", b"x"), symlink("e\u0301", cage.host),
                  file("\u00e9/canary", b"y"))
    assert cage.unpack(archive).status == 0
    assert cage.read("d/canary") == b"x" and cage.read("\u00e9/canary") == b"y"


@pytest.mark.parametrize("target", ["{host}", "../host", "../../../../../../{host}", "/{host}/../host", "{host}/",
                                    "/proc/self/root/{host}", "/proc/self/cwd/../host", "/proc/1/root{host}"])
@pytest.mark.parametrize("name", ["d/canary", "d//canary", "./d/./canary", "d/new", "d/sub/new"])
def test_links_as_parents_stay_inside(cage, target, name):
    """T2: an entry below a symlink goes nowhere or below the root."""
    result = cage.unpack(tar(symlink("d", target.format(host=cage.host)), file(name, b"evil")))
    assert result.status in (0, 1), result


def test_chain_of_links_stays_inside(cage):
    """T2: also over several links, each harmless by itself."""
    result = cage.unpack(tar(directory("a"), symlink("a/up", ".."), symlink("b", "a/up/a/up/../../.."),
                             symlink("c", "b/host"), file("c/canary", b"evil")))
    assert result.status in (0, 1), result


def test_loop_of_links_is_refused(cage):
    """T2: and names the entry."""
    result = cage.unpack(tar(symlink("a", "b"), symlink("b", "a"), file("a/x")))
    assert result.status == 1 and result.err.startswith("a/x: ")


def test_file_replaces_link_and_does_not_follow_it(cage):
    """T2: the last component is never followed."""
    assert cage.unpack(tar(symlink("f", cage.canary), file("f", b"mine", mode=0o4755))).status == 0
    assert cage.read("f") == b"mine"


@pytest.mark.parametrize("again", [directory("d", mode=0o777), entry("d", kind=b"6"), symlink("d", "y")])
def test_what_replaces_a_link_to_the_host_leaves_the_host(cage, again):
    """T2, T6: modes, owners and times go to the new object, never through the old link."""
    assert cage.unpack(tar(symlink("d", cage.host), again)).status == 0
    assert not os.path.islink(cage.path("d")) or os.readlink(cage.path("d")) == "y"


@pytest.mark.parametrize("target", ["{host}/canary", "../host/canary", "l", "d/canary", "./l", "missing", "dir", "p",
                                    "l/", "..", "/"])
def test_hard_links_reach_regular_files_of_the_archive_only(cage, target):
    """T3: not a link, a directory, a FIFO, or anything outside."""
    result = cage.unpack(tar(symlink("l", cage.canary), symlink("d", cage.host), directory("dir"),
                             entry("p", kind=b"6"), hardlink("h", target.format(host=cage.host), mode=0o6777),
                             file("h2")))
    assert result.status == 1 and result.err.startswith("h: "), result
    assert "h" not in cage.names()


def test_hard_link_with_data_does_not_write_through(cage):
    """T3: data behind a hard link entry is passed over."""
    assert cage.unpack(tar(file("a", b"first"), hardlink("b", "a", size=5, pax_records={"comment": "x"}) + tars.pad(b"evil!"),
                           file("c"))).status == 0
    assert cage.read("a") == b"first" and os.lstat(cage.path("a")).st_nlink == 2 and cage.read("c") == b"data"


@pytest.mark.parametrize("name", ["rootfs", "rootfs/", "./rootfs", ".//rootfs", "rootfs//", "rootfs/."])
@pytest.mark.parametrize("full", [True, False])
def test_directory_is_never_replaced(cage, name, full):
    """T4: a second entry of another type for a directory is refused, however its name is written."""
    first = [directory("rootfs/")] + ([file("rootfs/f")] if full else [])
    result = cage.unpack(tar(*first, symlink(name, cage.host), file("rootfs/canary", b"evil")))
    assert result.status == 1 and "would replace a directory" in result.err, result
    assert stat.S_ISDIR(os.lstat(cage.path("rootfs")).st_mode)


def test_root_itself_is_never_replaced(cage):
    """T4: the archive's top can only be a directory."""
    for bad in (symlink(".", "x"), file("./"), hardlink("./.", "f"), entry(".", kind=b"6")):
        result = cage.unpack(tar(file("f"), bad))
        # tar takes a file whose name ends in a slash for a directory.
        assert result.status == 1 or stat.S_ISDIR(os.lstat(cage.root).st_mode), result
    assert stat.S_ISDIR(os.lstat(cage.root).st_mode)


@pytest.mark.parametrize("name", [".wh.keep", ".wh...", ".wh..", ".wh..wh..opq", "l/.wh.canary", "l/.wh..wh..opq"])
def test_whiteouts_delete_nothing(cage, name):
    """T5: a root has no layers below it; these are names like others."""
    result = cage.unpack(tar(file("keep"), symlink("l", "d"), directory("d"), file("d/canary"), file(name, b"")))
    assert result.status == 0, result
    assert {"keep", "d/canary"} <= cage.names()


def test_devices_are_left_out_and_counted(cage):
    """T6: also when something of that name is there already."""
    result = cage.unpack(tar(file("null"), entry("null", kind=b"3", dev=(1, 3)), entry("sda", kind=b"4", dev=(8, 0)),
                             entry("dev/zero", kind=b"3", dev=(1, 5))))
    assert result.status == 0 and "note: 3 device files left out" in result.err, result
    assert cage.names() == {"null"} and cage.read("null") == b"data"


def test_fifos_are_made_and_never_opened(cage):
    """T6: neither when a file replaces one nor when one is a parent."""
    assert cage.unpack(tar(entry("p", kind=b"6", mode=0o4600, uid=7), file("p", b"now a file"),
                           entry("q", kind=b"6", mode=0o640, uid=7))).status == 0
    assert cage.read("p") == b"now a file"
    st = os.lstat(cage.path("q"))
    assert stat.S_ISFIFO(st.st_mode) and stat.S_IMODE(st.st_mode) == 0o640 and st.st_uid == 7
    assert cage.unpack(tar(file("q/x"))).status == 1


def test_set_id_bits_are_kept_on_files(cage):
    """T6: a base is an OS; its su must stay one."""
    archive = tar(file("su", mode=0o4755), file("wall", mode=0o2755, gid=5), file("foreign", mode=0o6755, uid=99, gid=98),
                  directory("t", mode=0o1777), directory("g", mode=0o2775, gid=50))
    assert cage.unpack(archive).status == 0
    seen = {n: (stat.S_IMODE(os.lstat(cage.path(n)).st_mode), os.lstat(cage.path(n)).st_gid) for n in cage.names()}
    assert seen == {"su": (0o4755, 0), "wall": (0o2755, 5), "foreign": (0o6755, 98), "t": (0o1777, 0),
                    "g": (0o2775, 50)}


def test_extended_attributes_pass_a_list(cage):
    """T7: what a userland needs stays, what commands the kernel or its overlay goes."""
    cap = tars.capability()
    result = cage.unpack(tar(
        file("kept", pax_records={"SCHILY.xattr.user.note": "hello", "SCHILY.xattr.security.capability": cap}),
        file("dropped", pax_records={
            "SCHILY.xattr.trusted.overlay.opaque": "y", "SCHILY.xattr.user.overlay.redirect": "/etc",
            "SCHILY.xattr.security.selinux": "x", "SCHILY.xattr.security.ima": "x", "SCHILY.xattr.user.": "x",
            "SCHILY.xattr.system.nfs4_acl": "x", "SCHILY.xattr.btrfs.compression": "zstd"})))
    assert result.status == 0, result
    assert os.getxattr(cage.path("kept"), "user.note") == b"hello"
    assert os.getxattr(cage.path("kept"), "security.capability") == cap
    assert os.listxattr(cage.path("dropped")) == []
    assert "note: 7 extended attributes left out" in result.err


def test_extended_attributes_are_capped(cage):
    """T7: in size and in number."""
    many = {f"SCHILY.xattr.user.n{i}": "v" for i in range(200)}
    result = cage.unpack(tar(file("huge", pax_records={"SCHILY.xattr.user.big": b"x" * 200000}),
                             file("long", pax_records={"SCHILY.xattr.user." + "n" * 300: b"x"}),
                             file("many", pax_records=many)))
    assert result.status == 0, result
    assert os.listxattr(cage.path("huge")) == [] and os.listxattr(cage.path("long")) == []
    assert 0 < len(os.listxattr(cage.path("many"))) <= 64


def test_flags_are_never_set(cage):
    """T7: an immutable file could not be removed again."""
    assert cage.unpack(tar(file("f", pax_records={"SCHILY.fflags": "schg,uappnd,simmutable"}))).status == 0
    os.remove(cage.path("f"))


def test_acls(cage):
    """T7: POSIX ACLs of numbers are set."""
    result = cage.unpack(tar(
        directory("d", pax_records={"SCHILY.acl.default": "user::rwx,group::r-x,other::---,user:1000:rwx,mask::rwx"}),
        file("f", mode=0o664, pax_records={
            "SCHILY.acl.access": "user::rw-,user::rw-:1000,user:1000:r--:1000,group::r--,mask::rw-,other::r--"})))
    assert result.status in (0, 1), result
    clean = cage.unpack(tar(file("g", mode=0o664, pax_records={
        "SCHILY.acl.access": "user::rw-,user:1000:r--,group::r--,mask::rw-,other::r--"})))
    assert clean.status == 0, clean
    assert b"\xe8\x03\0\0" in os.getxattr(cage.path("g"), "system.posix_acl_access")


def test_control_characters_do_not_reach_the_terminal(cage):
    """What is said about an entry is one printable line."""
    result = cage.unpack(tar(file("../\x1b[31mred\n\x07")))
    assert result.status == 1
    assert result.err.rstrip("\n").isprintable() and "\\x1b" in result.err


@pytest.mark.parametrize("uid,gid", [(-1, 0), (0, -1), (2**32 - 1, 0), (0, 2**32 - 1), (2**40, 0), (-2**40, 0)])
def test_owners_out_of_range_are_refused(cage, uid, gid):
    """T9: chown(-1) would silently mean "leave as it is"."""
    result = cage.unpack(tar(file("f", uid=uid, gid=gid)))
    assert result.status == 1 and result.err.startswith("f: "), result
