"""Classic images: a set made by zfs itself becomes a pot, whole, layered and signed; what is wrong makes nothing."""

import os
import subprocess

import pytest

import lab
from classic_lab import clear, content, put

SUM = """
#include <stdio.h>
#include "image/skein.h"
int main(void)
{
	static char b[65536], hex[SKEIN_HEX_LEN];
	struct skein s;
	size_t n;
	skein_init(&s);
	while ((n = fread(b, 1, sizeof(b), stdin)) > 0)
		skein_add(&s, b, n);
	skein_end_hex(&s, hex);
	puts(hex);
	return 0;
}
"""
CONF = """pot.level=0
pot.type=single
pot.cmd=/bin/serve -v
host.hostname="old.example.org"
ip4=inherit
pot.env="WHO=me and you"
pot.attr.persistent=NO
pot.attr.start-at-boot=YES
"""


def seal(skein, stem, packed, meta="-"):
    """A set whose sum is right, whatever is in it."""
    meta = meta.encode() + b"\n"
    total = subprocess.run([skein], input=packed + meta, stdout=subprocess.PIPE, check=True).stdout
    for end, text in (("", packed), (".meta", meta), (".skein", total)):
        with open(stem + end, "wb") as f:
            f.write(text)
    return stem


@pytest.fixture(scope="session")
def skein(place):
    """The program that tells the sum of its input; the hash itself is tested against published values elsewhere."""
    source, program = os.path.join(place, "sum.c"), os.path.join(place, "sum")
    with open(source, "w", encoding="ascii") as f:
        f.write(SUM)
    subprocess.run(["gcc", "-D_GNU_SOURCE", "-I", os.path.join(lab.TREE, "src"), "-o", program, source,
                    os.path.join(lab.TREE, "src", "image", "skein.c")], check=True)
    return program


class Maker:
    """A pool's corner with pots as the shell framework lays them out."""

    def __init__(self, node, skein, directory):
        self.node, self.skein, self.directory = node, skein, directory
        self.top = node.init_args[1].split("/")[0] + "/maker"
        self.zfs("create", "-o", "mountpoint=" + os.path.join(directory, "zfs"), self.top)

    def run(self, *words, **options):
        return subprocess.run(self.node.prefix + list(words), check=True, capture_output=True, **options).stdout

    def zfs(self, *words):
        return self.run("zfs", *words)

    def gone(self):
        run = subprocess.run(self.node.prefix + ["zfs", "destroy", "-R", "-f", self.top], check=False, capture_output=True)
        return run.returncode == 0 or b"does not exist" in run.stderr

    def make(self, name, files, origin=None, evil=()):
        dataset = f"{self.top}/{name}"
        self.zfs("create", dataset)
        if origin is None:
            self.zfs("create", dataset + "/m")
        else:
            self.zfs("clone", f"{self.top}/{origin}/m@7", dataset + "/m")
        base = os.path.join(self.directory, "zfs", name)
        self.run("mkdir", base + "/conf")
        self.run("tee", base + "/conf/pot.conf", input=CONF.encode())
        for path, text in files.items():
            self.run("tee", f"{base}/m/{path}", input=text.encode())
        for word in evil:
            self.zfs("set", word, dataset + "/m")
        self.zfs("snapshot", "-r", dataset + "@7")

    def export(self, name, tag, meta="-"):
        stem = os.path.join(self.directory, f"{name}_{tag}.xz")
        stream = self.zfs("send", "-R", f"{self.top}/{name}@7")
        packed = subprocess.run(["xz", "-1"], input=stream, stdout=subprocess.PIPE, check=True).stdout
        return seal(self.skein, stem, packed, meta)


@pytest.fixture
def maker(znode, skein, tmp_path):
    m = Maker(znode, skein, str(tmp_path))
    yield m
    # zfs-fuse's daemon is busy with a mount for a moment after its last use.
    lab.wait_until(m.gone, "the end of the maker's pots")


def test_import(znode, maker, tmp_path):
    """Content, settings and snapshot come; nothing that the maker set on the dataset does."""
    maker.make("web", {"hello": "hi\n"}, evil=("setuid=off", "pot:evil=1", "compression=on"))
    maker.export("web", "1.0")
    assert znode("import", "-p", "web", "-t", "1.0", "-U", str(tmp_path)).out == "web_1_0\n"
    assert content(znode, "web_1_0", "/hello", tmp_path) == "hi\n"
    assert znode("get-attribute", "-p", "web_1_0", "-A", "persistent").out.strip().endswith("NO")
    assert znode("get-attribute", "-p", "web_1_0", "-A", "start-at-boot").out.strip().endswith("NO")
    dataset = znode.init_args[1] + "/jails/web_1_0"
    got = maker.zfs("get", "-H", "-o", "property,source", "all", dataset).decode()
    local = {line.split("\t")[0] for line in got.splitlines() if line.split("\t")[1] in ("local", "received")}
    assert local <= {"canmount", "pot:created"}, local
    assert "import-" not in maker.zfs("list", "-H", "-r", znode.init_args[1]).decode()
    znode.fails("import", "-p", "web", "-t", "1.0", "-U", str(tmp_path), says=("exists already",))


def test_layered(znode, maker, tmp_path):
    """A layered one brings what it stands on, and is a clone of it."""
    maker.make("base", {"below": "b\n"})
    maker.make("top", {"above": "t\n"}, origin="base")
    maker.export("base", "1")
    maker.export("top", "2", "base:1@7")
    # On its maker's own pool an old zfs might find the original of what it stands on.
    lab.wait_until(maker.gone, "the end of the maker's pots")
    os.rename(tmp_path / "base_1.xz.meta", tmp_path / "away")
    znode.fails("import", "-p", "top", "-t", "2", "-U", str(tmp_path), says=("top_2 stands on base_1", ".meta"))
    assert znode.states() == {}
    os.rename(tmp_path / "away", tmp_path / "base_1.xz.meta")
    assert znode("import", "-p", "top", "-t", "2", "-U", str(tmp_path)).out == "top_2\n"
    assert content(znode, "top_2", "/below", tmp_path) == "b\n"
    assert content(znode, "top_2", "/above", tmp_path) == "t\n"
    assert sorted(znode.states()) == ["base_1", "top_2"]
    # Another pot of that name is not what it stands on.
    clear(znode)
    znode.make("base_1")
    znode.fails("import", "-p", "top", "-t", "2", "-U", str(tmp_path), says=("snapshot 7 of base:1", "pot rename base_1"))
    znode("snapshot", "-n", "7", "base_1")
    znode.fails("import", "-p", "top", "-t", "2", "-U", str(tmp_path), says="difference to another snapshot")
    assert sorted(znode.states()) == ["base_1"]


def test_export_layered(znode, maker, tmp_path):
    """A clone is exported as the difference to the image that its original was exported as, or imported from."""
    place = tmp_path / "sets"
    place.mkdir()
    export = ("export", "--format", "classic", "-A", "-D", str(place), "-l", "0")

    def meta(stem):
        return (place / (stem + ".xz.meta")).read_text()

    znode.make("base")
    put(znode, "base", "/below", "b\n", tmp_path)
    znode("snapshot", "-n", "s1", "base")
    znode("clone", "-P", "base", "-p", "web")
    put(znode, "web", "/above", "t\n", tmp_path)
    znode.fails(*export, "-p", "web", "-t", "2", says=("snapshot s1 of base", "not exported", "--whole"))
    assert os.listdir(place) == []
    znode(*export, "-p", "web", "-t", "whole", "--whole")
    znode(*export, "-p", "base", "-t", "1.0")
    assert (meta("web_whole"), meta("base_1.0")) == ("-\n", "-\n")
    # However its original is called meanwhile, and when its snapshot lives for the clone only.
    znode("rename", "base", "-n", "root")
    znode("snapshot", "-n", "s2", "root")
    znode("purge-snapshots", "root")
    znode(*export, "-p", "web", "-t", "2")
    assert meta("web_2") == "base:1.0@s1\n"
    assert os.path.getsize(place / "web_2.xz") < os.path.getsize(place / "web_whole.xz") // 4
    # What zfs itself makes of it, as the other import does.
    plain = subprocess.run(["xzcat", str(place / "web_2.xz")], stdout=subprocess.PIPE, check=True).stdout
    maker.run("zfs", "receive", "-u", maker.top + "/taken", input=plain)
    assert "@" in maker.zfs("get", "-H", "-o", "value", "origin", maker.top + "/taken/m").decode()
    lab.wait_until(maker.gone, "the end of the maker's pots")
    clear(znode)
    znode("import", "-p", "web", "-t", "2", "-U", str(place))
    assert sorted(znode.states()) == ["base_1_0", "web_2"]
    znode("clone", "-P", "web_2", "-p", "more")
    put(znode, "more", "/third", "3\n", tmp_path)
    znode(*export, "-p", "more", "-t", "3")
    snapshot = znode.info("web_2")["snapshots"][0]["tag"]
    assert meta("more_3") == f"web:2@{snapshot}\n"
    znode("import", "-p", "more", "-t", "3", "-U", str(place))
    for path, text in (("/below", "b\n"), ("/above", "t\n"), ("/third", "3\n")):
        assert content(znode, "more_3", path, tmp_path) == text
    # Beside each other on one node all are themselves.
    znode("import", "-p", "web", "-t", "whole", "-U", str(place))
    znode("destroy", "-F", "base_1_0")
    assert content(znode, "more_3", "/below", tmp_path) == content(znode, "web_whole", "/below", tmp_path) == "b\n"


def test_wrong(znode, maker, tmp_path):
    """A changed file, a missing one and a missing signature are told, and nothing is made."""
    maker.make("web", {"hello": "hi\n"})
    stem = maker.export("web", "1")
    with open(stem, "r+b") as f:
        f.seek(100)
        byte = f.read(1)
        f.seek(100)
        f.write(bytes([byte[0] ^ 1]))
    znode.fails("import", "-p", "web", "-t", "1", "-U", str(tmp_path), says=("sum",))
    maker.export("web", "1")
    os.unlink(stem + ".meta")
    znode.fails("import", "-p", "web", "-t", "1", "-U", str(tmp_path), says=(".meta",))
    maker.export("web", "1")
    znode("keygen", "-p", os.path.join(str(tmp_path), "key.pub"), "-s", os.path.join(str(tmp_path), "key.sec"), "-n")
    znode.fails("import", "-p", "web", "-t", "1", "-U", str(tmp_path), "-C", os.path.join(str(tmp_path), "key.pub"),
                says=("not signed",))
    znode("keygen", "-p", os.path.join(str(tmp_path), "two.pub"), "-s", os.path.join(str(tmp_path), "two.sec"), "-n")
    znode("import", "-p", "web", "-t", "1", "-U", str(tmp_path), "--as", "a")
    znode("export", "--format", "classic", "-p", "a", "-t", "2", "-D", str(tmp_path), "-S", os.path.join(str(tmp_path), "two.sec"))
    znode.fails("import", "-p", "a", "-t", "2", "-U", str(tmp_path), "-C", os.path.join(str(tmp_path), "key.pub"),
                says=("a_2.xz.skein.sig", "key"))
    assert list(znode.states()) == ["a"]


def test_hostile(znode, skein, tmp_path):
    """Sets whose sum is right: what is cut off, no package, or stands on itself makes nothing and names what is wrong."""
    place = str(tmp_path)
    znode.make("a")
    znode("export", "-A", "--format", "classic", "-p", "a", "-t", "1", "-D", place, "-l", "0")
    znode("destroy", "a")
    with open(place + "/a_1.xz", "rb") as f:
        whole = f.read()
    packed = subprocess.run(["xz", "-0"], input=b"no stream" * 1000, stdout=subprocess.PIPE, check=True).stdout

    def bad(content, meta, *says):
        seal(skein, place + "/a_1.xz", content, meta)
        znode.fails("import", "-p", "a", "-t", "1", "-U", place, says=says)
        assert znode.states() == {}

    bad(whole[:len(whole) // 2], "-", "xz file")
    bad(whole[:-1], "-", "xz file")
    bad(whole + b"tail", "-", "xz file")
    bad(packed, "-", "package")
    bad(b"", "-", "xz file")
    for meta in ("", "../a:1@2", "a:1@2\nb:1@2"):
        bad(whole, meta, ".meta")
    bad(whole, "a:1@2", "stands on itself")
    # Each on the other.
    seal(skein, place + "/b_1.xz", whole, "a:1@2")
    bad(whole, "b:1@2", "stands on itself")
    # A whole one that says it is a difference.
    znode.make("b_1")
    znode("snapshot", "-n", "2", "b_1")
    seal(skein, place + "/a_1.xz", whole, "b:1@2")
    znode.fails("import", "-p", "a", "-t", "1", "-U", place, says="another snapshot")
    assert list(znode.states()) == ["b_1"]


def test_export(znode, maker, tmp_path):
    """What we export has the shape of the shell framework's, is signed, and is imported again with all that was in it."""
    place, key = str(tmp_path), os.path.join(str(tmp_path), "key")
    maker.make("web", {"hello": "hi\n"})
    maker.export("web", "1")
    znode("import", "-p", "web", "-t", "1", "-U", place)
    znode("keygen", "-p", key + ".pub", "-s", key + ".sec", "-n")
    out = znode("export", "-A", "--format", "classic", "-p", "web_1", "-t", "2.0", "-D", place, "-S", key + ".sec", "-l", "1").out
    assert out == place + "/web_1_2.0.xz\n"
    with open(place + "/web_1_2.0.xz.meta", encoding="ascii") as f:
        assert f.read() == "-\n"
    packed = subprocess.run(["cat", place + "/web_1_2.0.xz", place + "/web_1_2.0.xz.meta"], stdout=subprocess.PIPE, check=True)
    total = subprocess.run([maker.skein], input=packed.stdout, stdout=subprocess.PIPE, check=True).stdout
    with open(place + "/web_1_2.0.xz.skein", "rb") as f:
        assert f.read() == total
    assert "export-" not in maker.zfs("list", "-H", "-r", znode.init_args[1]).decode()
    # What zfs itself makes of it, as the other import does.
    plain = subprocess.run(["xzcat", place + "/web_1_2.0.xz"], stdout=subprocess.PIPE, check=True).stdout
    maker.run("zfs", "receive", "-u", maker.top + "/taken", input=plain)
    assert maker.zfs("list", "-H", "-o", "name", "-r", maker.top + "/taken").decode().split() == [
        maker.top + "/taken", maker.top + "/taken/m"]
    znode("import", "-p", "web_1", "-t", "2.0", "-U", place, "-C", key + ".pub", "--as", "again")
    assert content(znode, "again", "/hello", tmp_path) == "hi\n"
    assert znode("get-attribute", "-p", "again", "-A", "persistent").out.strip().endswith("NO")
    assert znode("prepare", "-p", "web_1", "-t", "2.0", "-U", place, "-a", "x").out == "web_1_2_0_x\n"
    assert znode("prepare", "-p", "web_1", "-t", "2.0", "-a", "y").out == "web_1_2_0_y\n"
    assert content(znode, "web_1_2_0_y", "/hello", tmp_path) == "hi\n"


def test_other_storages(onode, tmp_path):
    """Where there is no zfs the verb says so."""
    onode.fails("import", "-p", "web", "-t", "1", "-U", str(tmp_path), says=("streams of zfs",))
    onode.make("a", "true")
    onode.fails("export", "-A", "--format", "classic", "-p", "a", "-D", str(tmp_path), says=("streams of zfs",))
    assert os.listdir(tmp_path) == []
