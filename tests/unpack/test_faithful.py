"""Honest archives come out as they went in."""

import os
import stat
import subprocess
import tarfile
import io

import tars
from conftest import PLAIN
from tars import directory, entry, file, hardlink, symlink, tar


def test_merged_usr(cage):
    """Entries below bin -> usr/bin go where the link leads, an entry bin/ does not replace it."""
    archive = tar(directory("usr"), directory("usr/bin", mode=0o755), symlink("bin", "usr/bin"), file("bin/x", b"1"),
                  directory("bin/", mode=0o700), file("bin/y", b"2"), symlink("lib", "/usr/lib"), directory("usr/lib"),
                  file("lib/z", b"3"))
    assert cage.unpack(archive).status == 0
    assert os.readlink(cage.path("bin")) == "usr/bin"
    assert stat.S_IMODE(os.lstat(cage.path("usr/bin")).st_mode) == 0o755
    assert cage.read("usr/bin/x") == b"1" and cage.read("usr/bin/y") == b"2" and cage.read("usr/lib/z") == b"3"


def test_duplicates_replace(cage):
    """The last one of a name wins, with a new inode."""
    archive = tar(file("f", b"old", mode=0o4755), hardlink("keep", "f"), file("f", b"new"), symlink("s", "f"),
                  file("s", b"file"), file("d", b"x"), directory("d"), file("d/in"), file("t"), symlink("t", "f"))
    assert cage.unpack(archive).status == 0
    assert cage.read("f") == b"new" and cage.read("keep") == b"old" and cage.read("s") == b"file"
    assert os.path.isdir(cage.path("d")) and os.readlink(cage.path("t")) == "f"


def test_replaced_link_is_resolved_anew(cage):
    """An entry after the link was replaced goes where the new one leads."""
    archive = tar(directory("a"), directory("b"), symlink("l", "a"), file("l/x"), symlink("l", "b"), file("l/y"))
    assert cage.unpack(archive).status == 0
    assert {"a/x", "b/y"} <= cage.names()


def test_parents_are_made(cage):
    """An archive need not have entries for directories."""
    assert cage.unpack(tar(file("a/b/c/f"))).status == 0
    assert stat.S_IMODE(os.lstat(cage.path("a/b")).st_mode) == 0o755


def test_times_owners_modes(cage):
    """Of files, directories (also when filled later), links and FIFOs."""
    archive = tar(directory(".", mode=0o711, mtime=5), directory("d", mode=0o500, uid=3, gid=4, mtime=11),
                  file("d/f", uid=2**31, gid=2**32 - 2, mode=0o640, pax_records={"mtime": "12.25"}),
                  symlink("d/l", "nowhere", uid=7, mtime=13), entry("d/p", kind=b"6", mtime=14), file("x", mtime=15))
    assert cage.unpack(archive).status == 0

    def seen(name):
        st = os.lstat(cage.path(name))
        return st.st_uid, st.st_gid, st.st_mtime

    assert seen("d") == (3, 4, 11) and stat.S_IMODE(os.lstat(cage.path("d")).st_mode) == 0o500
    assert seen("d/f") == (2**31, 2**32 - 2, 12.25)
    assert seen("d/l") == (7, 0, 13) and seen("d/p") == (0, 0, 14) and seen("x") == (0, 0, 15)
    assert seen(".")[2] == 5 and stat.S_IMODE(os.lstat(cage.root).st_mode) == 0o711


def test_hard_links(cage):
    """Of regular files; a link to itself is nothing to do."""
    assert cage.unpack(tar(file("a", b"one"), hardlink("d/b", "a"), hardlink("./c", "./d//b"),
                           hardlink("a", "a"))).status == 0
    assert len({os.lstat(cage.path(n)).st_ino for n in ("a", "d/b", "c")}) == 1
    assert os.lstat(cage.path("a")).st_nlink == 3


def test_names_are_bytes(cage):
    """Neither UTF-8 nor anything else is made of a name."""
    names = [b"\xff\xfe", b"caf\xc3\xa9", b"cafe\xcc\x81", b"new\nline", b"-rf", b"\xe9t\xe9", b" "]
    archive = b"".join(file(n) for n in names) + file("p", pax_records={"path": b"pax\xff\xc3\xa9"})
    assert cage.unpack(tar(archive)).status == 0
    assert set(os.listdir(os.fsencode(cage.root))) == set(names) | {b"pax\xff\xc3\xa9"}


def test_long_names(cage):
    """Up to what the system takes, in pax and in GNU form."""
    deep = "/".join(["d" * 200] * 20)
    gnu = "g" * 255
    assert cage.unpack(tar(file("x", pax_records={"path": deep}), tars.gnu_long(b"L", gnu) + file("x"),
                           symlink("y", "x", pax_records={"linkpath": "t" * 4095}))).status == 0
    assert deep in cage.names() and gnu in cage.names() and len(os.readlink(cage.path("y"))) == 4095


def test_sparse_files(cage, tmp_path):
    """Holes stay holes, in all of GNU tar's formats."""
    source = tmp_path / "holes"
    with open(source, "wb") as f:
        f.write(b"begin")
        f.seek(50 << 20)
        f.write(b"middle")
        f.truncate(100 << 20)
    formats = [["--format=gnu"], ["--format=posix", "--sparse-version=0.0"], ["--format=posix", "--sparse-version=0.1"],
               ["--format=posix", "--sparse-version=1.0"]]
    for options in formats:
        archive = subprocess.run(["tar", "-C", tmp_path, *options, "-Scf", "-", "holes"], capture_output=True,
                                 check=True).stdout
        assert len(archive) < 1 << 20
        assert cage.unpack(archive).status == 0
        st = os.lstat(cage.path("holes"))
        assert st.st_size == 100 << 20 and st.st_blocks * 512 < 1 << 20
        with open(cage.path("holes"), "rb") as a, open(source, "rb") as b:
            assert a.read() == b.read()


def test_as_gnu_tar_does(cage, tmp_path):
    """A tree of everything, made by Python's archiver, comes out as GNU tar unpacks it."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as t:
        for i in range(300):
            info = tarfile.TarInfo(f"dir{i % 7}/sub{i % 3}/file{i}")
            info.mode, info.uid, info.gid, info.mtime = 0o600 + i % 64, i, i + 1, 1e9 + i / 7
            info.size = i * 37
            t.addfile(info, io.BytesIO(bytes([i % 256]) * info.size))
    peer = tmp_path / "peer"
    peer.mkdir()
    subprocess.run(["tar", "-C", peer, "--numeric-owner", "-xpf", "-"], input=stream.getvalue(), check=True)
    assert cage.unpack(stream.getvalue()).status == 0

    def tree(top):
        found = {}
        for base, _, files in os.walk(top):
            for name in files:
                path = os.path.join(base, name)
                st = os.lstat(path)
                found[os.path.relpath(path, top)] = (st.st_mode, st.st_uid, st.st_gid, st.st_mtime_ns, st.st_size,
                                                     open(path, "rb").read())
        return found

    assert tree(cage.root) == tree(peer)


def test_many_entries(cage):
    """A hundred thousand, in bounded memory, directories with their times."""
    def entries():
        for i in range(1000):
            yield directory(f"d{i}", mtime=1000 + i)
            for j in range(99):
                yield file(f"d{i}/f{j}", b"")
    result = cage.measure(tar(*entries()))
    assert result.status == 0 and result.err == "", result
    assert result.rss < 64 * 1024
    assert len(cage.names()) == 100000
    assert os.lstat(cage.path("d999")).st_mtime == 1999


def test_progress(cage):
    """Lines of bytes read, rising, the last one the whole archive."""
    archive = tar(file("f", os.urandom(3 << 20)))
    read, write = os.pipe()
    run = subprocess.Popen([PLAIN, "--progress", str(write), cage.root], stdin=subprocess.PIPE, pass_fds=[write])
    os.close(write)
    run.communicate(archive)
    with os.fdopen(read) as f:
        told = [int(line) for line in f]
    assert run.returncode == 0
    assert told == sorted(told) and told[-1] == len(archive)
