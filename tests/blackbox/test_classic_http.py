"""Classic images over HTTP: from pot-registry and from servers that redirect, break off, stop or lie, to another node."""

import os
import subprocess

import pytest

import lab
from classic_lab import clear, content, partial, put
from registry_lab import MANIFEST, Registry, desc, manifest

XZ, ZSTD = "application/vnd.pot.zfs.send.v1+xz", "application/vnd.pot.zfs.send.v1+zstd"


def is_right(node, pot, tmp_path):
    assert content(node, pot, "/below", tmp_path) == "b\n" and content(node, pot, "/above", tmp_path) == "t\n"


@pytest.fixture
def registry(program, sets, tmp_path):
    """Has the two sets as they are, and once more as streams that it makes the files of."""
    r = Registry(program, str(tmp_path)).start()
    for repo, tag, stem in (("base", "1", "base_1"), ("top", "2", "top_2"), ("made", "1", "base_1")):
        data = sets.read(stem + ".xz")
        annotations = {"io.pot.classic.meta": sets.read(stem + ".xz.meta").decode().strip()}
        kind = XZ
        if repo == "made":
            plain = subprocess.run(["xz", "-dc"], input=data, stdout=subprocess.PIPE, check=True).stdout
            data, kind = subprocess.run(["zstd", "-q", "-1", "-c"], input=plain, stdout=subprocess.PIPE, check=True).stdout, ZSTD
        else:
            annotations["io.pot.classic.skein"] = sets.read(stem + ".xz.skein").decode().strip()
            annotations["io.pot.classic.sig"] = sets.read(stem + ".xz.skein.sig").decode()
        r.push_blob(repo, data)
        r.push_blob(repo, b"{}")
        text = manifest([desc(data, kind, annotations=annotations)])
        assert r("PUT", f"/v2/{repo}/manifests/{tag}", text, {"Content-Type": MANIFEST}).status == 201
    yield r
    r.stop()


def test_from_the_registry(registry, sets, serve, other_znode, tmp_path):
    """A signed layered image is brought to another node with what it stands on, also by way of a redirect."""
    url = f"http://127.0.0.1:{registry.port}/classic"
    words = ("import", "-p", "top", "-t", "2", "-U", url)
    other_znode.fails(*words, says=("plain http", "-C", "--insecure"))
    other_znode.fails(*words, "-C", sets.key + "2.pub", says=("top_2.xz.skein.sig",))
    assert other_znode.states() == {} and partial(other_znode) == []
    assert other_znode(*words, "-C", sets.key + ".pub").out == "top_2\n"
    assert sorted(other_znode.states()) == ["base_1", "top_2"]
    is_right(other_znode, "top_2", tmp_path)
    clear(other_znode)
    serve.elsewhere = url
    other_znode("import", "-p", "top", "-t", "2", "-U", serve.url + "/", "-C", sets.key + ".pub", "--as", "mine")
    is_right(other_znode, "mine", tmp_path)
    # Made by the registry of a stream, so nobody signed them.
    made = ("import", "-p", "made", "-t", "1", "-U", url)
    other_znode.fails(*made, "-C", sets.key + ".pub", says="made_1.xz.skein.sig")
    other_znode(*made, "--insecure")
    assert content(other_znode, "made_1", "/below", tmp_path) == "b\n"
    other_znode.fails("import", "-p", "top", "-t", "3", "-U", url, "--insecure", says=("top_3.xz.skein", "does not have it"))
    other_znode("prepare", "-p", "top", "-t", "2", "-U", url, "-C", sets.key + ".pub", "-a", "x")
    is_right(other_znode, "top_2_x", tmp_path)
    assert partial(other_znode) == []


def test_goes_on(sets, serve, znode, tmp_path):
    """What breaks off is gone on with by Range, by the same command and by the next one."""
    sets.give(serve.directory)
    size = len(sets.read("base_1.xz"))
    words = ("import", "-p", "base", "-t", "1", "-U", serve.url, "-C", sets.key + ".pub")
    serve.cuts, serve.errors = 2, 1
    znode(*words)
    assert serve.ranges_of("base_1.xz") == [None, "bytes=100000-", "bytes=200000-"]
    clear(znode)
    # Silent: given up, and what came is kept.
    serve.asked.clear()
    serve.silent = True
    process = znode.start(*words)
    lab.wait_until(lambda: arrived(znode, "base_1.xz") == 100000, "the first part")
    process.kill()
    process.wait()
    serve.silent = False
    serve.end.set()
    znode(*words)
    assert serve.ranges_of("base_1.xz")[-1] == "bytes=100000-"
    assert content(znode, "base_1", "/below", tmp_path) == "b\n" and partial(znode) == []
    clear(znode)
    # A kill after all of it came.
    killed = znode.call(*words, env={"POT_FAULT": "image.import.fetched"})
    assert killed.status != 0 and znode.states() == {}
    serve.asked.clear()
    znode(*words)
    assert serve.ranges_of("base_1.xz") == [f"bytes={size}-"]
    clear(znode)
    # Of another image that has the name now: begun again.
    assert znode.call(*words, env={"POT_FAULT": "image.import.fetched"}).status != 0
    for end in ("", ".meta", ".skein", ".skein.sig"):
        os.unlink(os.path.join(serve.directory, "base_1.xz" + end))
    other = os.path.join(serve.directory, "base_1.xz")
    znode.make("base")
    put(znode, "base", "/below", "new\n", tmp_path)
    znode("export", "--format", "classic", "-A", "-p", "base", "-t", "1", "-D", serve.directory, "-l", "0", "-S", sets.key + ".sec")
    assert os.path.getsize(other) < size
    znode(*words)
    assert content(znode, "base_1", "/below", tmp_path) == "new\n" and partial(znode) == []


def arrived(node, name):
    for directory in partial(node):
        path = os.path.join(node.root, "images", "partial", directory, name)
        if os.path.exists(path):
            return os.path.getsize(path)
    return 0


def test_servers_that_fail(sets, serve, znode):
    """One that stalls, breaks off for good, or gives something else: an error that says so, and no pot."""
    sets.give(serve.directory)
    words = ("import", "-p", "base", "-t", "1", "-U", serve.url, "--insecure", "--stall", "1s")
    serve.elsewhere = serve.url
    znode.fails(*words, says="redirects")
    serve.elsewhere = None
    os.unlink(os.path.join(serve.directory, "base_1.xz"))
    znode.fails(*words, says=("base_1.xz", "does not have it"))
    os.symlink(os.path.join(sets.directory, "top_2.xz"), os.path.join(serve.directory, "base_1.xz"))
    znode.fails(*words, says=("sum", "fetch them again"))
    assert partial(znode) == []
    with open(os.path.join(serve.directory, "base_1.xz.meta.new"), "wb") as f:
        f.write(b"x" * 100000)
    os.rename(f.name, os.path.join(serve.directory, "base_1.xz.meta"))
    znode.fails(*words, says=("base_1.xz.meta", "larger"))
    assert znode.states() == {} and partial(znode) == []
