"""ADD of an archive: onto what is there, with an owner of one's own, and only where it is an archive."""

import gzip
import os
import stat

import pytest

from tars import directory, file, hardlink, symlink, tar


def there(cage):
    os.makedirs(cage.path("d/sub"))
    os.makedirs(cage.path("t"))
    os.chmod(cage.path("t"), 0o1777)
    for name in ("d/a", "d/sub/c", "keep"):
        with open(cage.path(name), "w", encoding="ascii") as f:
            f.write("before")
    os.symlink("d", cage.path("link"))
    os.symlink(cage.host, cage.path("out"))


def test_merges(cage):
    """Directories are merged, all else is replaced, and a directory without an entry stays as it is."""
    there(cage)
    run = cage.unpack(tar(file("d", b"now a file"), directory("keep"), file("keep/x", b"1"), file("t/new", b"2"),
                          directory("link"), file("link/y", b"3")), "--merge")
    assert run.status == 0, run
    assert open(cage.path("d"), encoding="ascii").read() == "now a file"
    assert stat.S_ISDIR(os.lstat(cage.path("link")).st_mode) and not os.path.exists(cage.path("d/y"))
    assert stat.S_IMODE(os.stat(cage.path("t")).st_mode) == 0o1777
    assert os.path.exists(cage.path("keep/x"))


def test_whiteout_names_mean_nothing(cage):
    """.wh.keep is a file like others in an archive that is no layer."""
    there(cage)
    assert cage.unpack(tar(file(".wh.keep", b"")), "--merge").status == 0
    assert os.path.exists(cage.path("keep")) and os.path.exists(cage.path(".wh.keep"))


def test_never_through_links_out(cage):
    """What stands there may lead out of the root; the archive stays below it (the cage looks at the canary)."""
    there(cage)
    assert cage.unpack(tar(file("out/canary", b"dead")), "--merge").status == 0
    assert os.path.exists(cage.path(cage.host.lstrip("/") + "/canary"))
    assert cage.unpack(tar(file("../host/canary", b"dead")), "--merge").status == 1
    cage.unpack(tar(symlink("s", cage.host), file("s/canary", b"dead")), "--merge")


def test_owner(cage):
    """Everything belongs to who was named."""
    run = cage.unpack(tar(directory("d"), file("d/f", b"1"), symlink("s", "d"), hardlink("h", "d/f")),
                      "--merge", "--owner", "4321:8765")
    assert run.status == 0, run
    for name in ("d", "d/f", "s", "h"):
        st = os.lstat(cage.path(name))
        assert (st.st_uid, st.st_gid) == (4321, 8765), name


@pytest.mark.parametrize("owner", ["", ":", "1", "1:", ":1", "-1:0", "4294967295:0", "root:root", "1:2:3"])
def test_bad_owner(cage, owner):
    """Numbers only."""
    assert cage.unpack(tar(file("f", b"1")), "--owner", owner).status != 0
    assert cage.names() == set()


def test_probe(cage):
    """Says whether it is an archive, and leaves nothing."""
    whole = tar(file("f", b"1"))
    assert cage.unpack(whole, "--probe").status == 0
    assert cage.unpack(gzip.compress(whole), "--probe").status == 0
    for other in (gzip.compress(b"text " * 400), b"BZh91AY and so on", b"text\n" * 1000, bytes(10240), b"\x1f\x8b"):
        assert cage.unpack(other, "--probe").status == 1, other[:10]
    assert cage.names() == set()
