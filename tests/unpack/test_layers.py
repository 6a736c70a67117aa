"""Layers: what they take away and replace, and that hostile ones reach nothing else (image-spec, layer.md)."""

import hashlib
import os
import stat
import subprocess

import pytest

import tars
from conftest import PROGRAM
from tars import directory, entry, file, hardlink, symlink, tar


def lower(cage):
    """What lower layers left in the root."""
    for name in ("d/sub", "o/sub/deep", "t"):
        os.makedirs(cage.path(name))
    for name in ("keep", "gone", "d/a", "d/b", "d/sub/c", "o/x", "o/sub/deep/y", "t/in"):
        with open(cage.path(name), "w", encoding="ascii") as f:
            f.write("lower")
    os.symlink(cage.host, cage.path("out"))
    os.symlink("d", cage.path("in"))
    os.symlink("nowhere", cage.path("dangling"))


def apply(cage, *entries, status=0, options=()):
    result = cage.unpack(tar(*entries), "--layer", *options)
    assert result.status == status, result
    return result


def test_whiteouts_take_away(cage):
    """Files, links and whole directories; nothing there is fine, also where the directory is not."""
    lower(cage)
    apply(cage, file(".wh.gone", b""), file("d/.wh.a", b""), file("o/.wh.sub", b""), file(".wh.out", b""),
          file(".wh.missing", b""), file("no/such/.wh.dir", b""), file("keep/.wh.x", b""))
    assert cage.names() == {"keep", "d", "d/b", "d/sub", "d/sub/c", "o", "o/x", "t", "t/in", "in", "dangling"}


def test_opaque_hides_lower_ones_only(cage):
    """Everything of lower layers in the directory goes, what this layer has put there stays, in any order."""
    lower(cage)
    apply(cage, file("o/new", b"1"), directory("o/sub"), file("o/sub/mine", b"2"), file("o/.wh..wh..opq", b""),
          file("o/later", b"3"))
    assert {n for n in cage.names() if n.startswith("o")} == {
        "o", "o/new", "o/later", "o/sub", "o/sub/mine", "out"}


def test_opaque_root(cage):
    """The top may be opaque, too."""
    lower(cage)
    apply(cage, file(".wh..wh..opq", b""), file("only", b""))
    assert cage.names() == {"only"}


def test_own_entries_survive_own_whiteouts(cage):
    """A whiteout is for lower layers: what the same layer has of this name stays."""
    lower(cage)
    apply(cage, file("gone", b"new"), file(".wh.gone", b""), file(".wh.keep", b""), file("keep", b"again"))
    assert cage.read("gone") == b"new" and cage.read("keep") == b"again"


def test_types_change(cage):
    """A file over a directory, a directory over a file and over a link: what the layer says is what is there."""
    lower(cage)
    apply(cage, file("t", b"file"), directory("gone"), file("gone/in", b"1"), directory("in", mode=0o700),
          file("in/own", b"2"))
    assert cage.read("t") == b"file" and cage.read("gone/in") == b"1" and cage.read("in/own") == b"2"
    assert not os.path.islink(cage.path("in")) and "own" not in os.listdir(cage.path("d"))


def test_directory_of_the_same_layer_is_not_replaced(cage):
    """T4: a second entry for a directory that this layer has made is refused."""
    lower(cage)
    for again in (file("n", b""), symlink("n", cage.host), hardlink("n", "keep")):
        result = apply(cage, directory("n"), file("n/x"), again, status=1)
        assert "would replace a directory" in result.err


@pytest.mark.parametrize("name", [".wh..", ".wh...", "d/.wh..", "d/.wh...", ".wh.", "d/.wh."])
def test_whiteouts_of_no_name_are_refused(cage, name):
    """T5: "." and ".." are nothing that can be taken away."""
    lower(cage)
    before = cage.names()
    result = apply(cage, file(name, b""), status=1)
    assert result.err.startswith(name + ": ") and cage.names() == before


@pytest.mark.parametrize("name", [".wh../x", ".wh.d/x", "d/.wh.sub/x", ".wh..wh..opq/x"])
def test_whiteouts_are_no_directories(cage, name):
    """T5: a reserved name in the middle of a path is refused."""
    lower(cage)
    assert apply(cage, file(name, b""), status=1).err.startswith(name + ": ")


@pytest.mark.parametrize("name", ["out/.wh.canary", "out/.wh..wh..opq", "out/../.wh.host", "in/../../host/.wh.canary",
                                  "dangling/.wh.x", "out/.wh..wh.plnk"])
def test_whiteouts_through_links_stay_inside(cage, name):
    """T5: a link as the directory of a whiteout leads nowhere outside."""
    lower(cage)
    result = cage.unpack(tar(file(name, b"")), "--layer")
    assert result.status in (0, 1), result


def test_whiteout_through_a_link_inside(cage):
    """A link to a directory of the root is followed, as everywhere."""
    lower(cage)
    apply(cage, file("in/.wh.a", b""))
    assert not os.path.exists(cage.path("d/a")) and os.path.islink(cage.path("in"))


def test_whiteouts_do_not_follow_what_they_take_away(cage):
    """T5: a link in an opaque or removed directory goes itself; its target stays."""
    lower(cage)
    os.symlink(cage.host, cage.path("o/link"))
    os.symlink(cage.canary, cage.path("o/sub/deep/link"))
    apply(cage, file(".wh.o", b""))
    assert not os.path.exists(cage.path("o"))


def test_directory_entry_replaces_attributes(cage):
    """A directory that was there has exactly what the layer says of it."""
    lower(cage)
    os.setxattr(cage.path("d"), "user.old", b"1")
    apply(cage, directory("d", mode=0o750, uid=7, gid=8, pax_records={"SCHILY.xattr.user.new": b"2"}))
    s = os.lstat(cage.path("d"))
    assert (stat.S_IMODE(s.st_mode), s.st_uid, s.st_gid, s.st_mtime) == (0o750, 7, 8, 1000000000)
    assert os.listxattr(cage.path("d")) == ["user.new"] and "d/a" in cage.names()


def test_hard_links_reach_lower_files_and_links(cage):
    """A link to a file of a lower layer, and to a symlink, which is linked itself and never followed."""
    lower(cage)
    apply(cage, hardlink("again", "keep"), hardlink("linked", "out"))
    assert os.lstat(cage.path("again")).st_ino == os.lstat(cage.path("keep")).st_ino
    assert os.path.islink(cage.path("linked")) and os.readlink(cage.path("linked")) == cage.host
    apply(cage, hardlink("bad", "d"), status=1)
    apply(cage, hardlink("bad", "../host/canary"), status=1)


def test_devices_are_left_out(cage):
    """T6: also overlayfs's own form of a whiteout, which would be a device."""
    lower(cage)
    result = apply(cage, entry("gone", kind=b"3", dev=(0, 0)), entry("sda", kind=b"4", dev=(8, 0)))
    assert "2 device files left out" in result.err and "gone" in cage.names()


def test_deep_trees_are_taken_away(cage):
    """A directory as deep as names can be is removed with a bounded number of open files."""
    path = cage.root
    for _ in range(400):
        path = os.path.join(path, "deep" * 2)
        os.mkdir(path)
    apply(cage, file(".wh.deepdeep", b""))
    assert cage.names() == set()


def test_digest_is_that_of_the_tar(cage):
    """--digest tells what was uncompressed, padding behind its end included, and the sum of the sizes."""
    archive = tar(file("a", b"x" * 5000), file("b", b"y")) + b"\0" * 10240
    for data in (archive, subprocess.run(["gzip", "-c"], input=archive, capture_output=True, check=True).stdout,
                 subprocess.run(["zstd", "-c"], input=archive, capture_output=True, check=True).stdout):
        run = subprocess.run([PROGRAM, "--layer", "--digest", cage.root], input=data, capture_output=True, check=True)
        assert run.stdout.decode() == f"sha256:{hashlib.sha256(archive).hexdigest()} 5001\n"


def test_zeros_become_holes(cage):
    """Long runs of zeros take no room on the disk."""
    apply(cage, file("sparse", b"start" + b"\0" * (8 << 20) + b"end"))
    s = os.lstat(cage.path("sparse"))
    assert s.st_size == (8 << 20) + 8 and s.st_blocks * 512 < 1 << 20
    assert cage.read("sparse") == b"start" + b"\0" * (8 << 20) + b"end"


def test_whiteout_memory_is_bounded(cage):
    """T8: a layer of many entries is unpacked in little memory."""
    many = b"".join(entry(f"d{i // 1000}/f{i}", b"") for i in range(20000))
    result = cage.measure(many + tars.END, "--layer")
    assert result.status == 0 and result.rss < 64 * 1024, result
