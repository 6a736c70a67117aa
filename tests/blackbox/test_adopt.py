"""Pots of the shell framework are taken over in place: no copy, settings along, the classic pot as it was."""

import json
import os
import subprocess

import pytest

import lab

SINGLE = """pot.level=0
pot.type=single
pot.cmd=/bin/busybox cat /etc/made
host.hostname="www.example"
pot.attr.persistent=NO
pot.env="GREETING=good day"
pot.hosts=10.0.0.5 db
pot.export.ports=80:18080
pot.rss.memory=64M
pot.stack=ipv4
network_type=public-bridge
vnet=true
ip=10.192.0.3
pot.depend=db
"""
MULTI = """pot.level=1
pot.type=multi
pot.base=14.3
pot.cmd=/bin/busybox cat /usr/local/own
pot.attr.persistent=NO
network_type=inherit
"""


class Classic:
    """The shell framework's datasets in a corner of the node's pool."""

    def __init__(self, node, directory):
        self.node, self.fs = node, os.path.join(directory, "opt")
        self.top = node.init_args[1].split("/")[0] + "/classic"
        self.config = os.path.join(directory, "classic.conf")
        with open(self.config, "w", encoding="ascii") as f:
            f.write(f'# the framework\'s\nPOT_ZFS_ROOT={self.top}\nPOT_FS_ROOT="{self.fs}"\nPOT_EXTIF=em0\n')
        self.zfs("create", "-o", "mountpoint=" + self.fs, self.top)
        self.zfs("create", self.top + "/jails")

    def run(self, *words, **options):
        return subprocess.run(self.node.prefix + list(words), check=True, capture_output=True, **options).stdout

    def zfs(self, *words):
        return self.run("zfs", *words).decode()

    def put(self, path, text):
        self.run("mkdir", "-p", os.path.dirname(f"{self.fs}/{path}"))
        self.run("tee", f"{self.fs}/{path}", input=text.encode())

    def root(self, dataset, box, **files):
        self.zfs("create", "-p", f"{self.top}/{dataset}")
        self.run("cp", "-a", box + "/.", f"{self.fs}/{dataset}/")
        for path, text in files.items():
            self.put(f"{dataset}/{path.replace('_', '/')}", text)

    def gone(self):
        run = subprocess.run(self.node.prefix + ["zfs", "destroy", "-R", "-f", self.top], check=False, capture_output=True)
        return run.returncode == 0 or b"does not exist" in run.stderr


@pytest.fixture
def classic(znode, tmp_path):
    c = Classic(znode, str(tmp_path))
    yield c
    lab.wait_until(c.gone, "the end of the classic pots")


def test_single(znode, classic, box):
    """A thick pot runs from a clone of its own dataset, with what its pot.conf says; the classic one is unchanged."""
    classic.root("jails/www/m", box, etc_made="by the framework\n")
    classic.put("jails/www/conf/pot.conf", SINGLE)
    classic.put("jails/www/conf/fscomp.conf", "")
    before = classic.zfs("list", "-H", "-o", "name,used,mountpoint", "-r", classic.top)
    adopt = ("adopt", "-p", "www", "--classic-config", classic.config)
    znode(*adopt, "--dry-run")
    assert classic.zfs("list", "-H", "-o", "name,used,mountpoint", "-r", classic.top) == before
    result = znode.call(*adopt)
    assert result.status == 0 and result.out == "www\n" and "depends on 'db'" in result.err, result
    info = znode("--format", "json", "inspect", "www").json()
    text = json.dumps(info)
    for said in ("GREETING=good day", "18080", "public-bridge"):
        assert said in text, text
    origin = classic.zfs("get", "-H", "-o", "value", "origin", znode.init_args[1] + "/jails/www").strip()
    assert origin == f"{classic.top}/jails/www/m@pot-www"
    znode.fails(*adopt, says="exists already")
    # It is a pot like any other; what it writes is its own.
    target = os.path.join(znode.root, "copied")
    znode("copy-out", "-p", "www", "-s", "/etc/made", "-d", target)
    assert open(target).read() == "by the framework\n"
    os.remove(target)
    znode("destroy", "-p", "www")
    assert classic.run("cat", f"{classic.fs}/jails/www/m/etc/made") == b"by the framework\n"


def test_parts(znode, classic, box):
    """A thin pot: its root is a clone of the base, its own parts are mounted from where they are."""
    classic.root("bases/14.3", box)
    classic.zfs("create", "-p", classic.top + "/jails/thin/usr.local")
    classic.put("jails/thin/usr.local/own", "its own part\n")
    classic.put("jails/thin/conf/pot.conf", MULTI)
    classic.put("jails/thin/conf/fscomp.conf",
                f"{classic.top}/bases/14.3 {classic.fs}/jails/thin/m ro\n"
                f"{classic.top}/jails/thin/usr.local {classic.fs}/jails/thin/m/usr/local zfs-remount\n")
    znode("adopt", "-p", "thin", "--as", "other", "--classic-config", classic.config)
    assert znode("start", "-a", "other").out == "its own part\n"
    znode("destroy", "-p", "other")


def test_refused(znode, classic, onode, tmp_path):
    """What is not there, not ours to read as a pot, or on another storage: an error, and no pot."""
    znode.fails("adopt", "-p", "nobody", "--classic-config", classic.config, says="no classic pot nobody")
    znode.fails("adopt", "-p", "../x", "--classic-config", classic.config, says="no name of a classic pot")
    classic.zfs("create", "-p", classic.top + "/jails/bad")
    classic.put("jails/bad/conf/pot.conf", MULTI)
    classic.put("jails/bad/conf/fscomp.conf", "elsewhere/data /data\n")
    znode.fails("adopt", "-p", "bad", "--classic-config", classic.config, says=("fscomp.conf:1", "elsewhere/data"))
    evil = tmp_path / "evil.conf"
    evil.write_text("POT_ZFS_ROOT=$(touch /tmp/x)\n")
    znode.fails("adopt", "-p", "bad", "--classic-config", str(evil), says="POT_ZFS_ROOT is more than a name")
    plain = tmp_path / "plain.conf"
    plain.write_text(f"POT_ZFS_ROOT=tank/pot\nPOT_FS_ROOT={tmp_path}/fs\n")
    os.makedirs(tmp_path / "fs/jails/www/conf")
    (tmp_path / "fs/jails/www/conf/pot.conf").write_text(SINGLE.replace("public-bridge", "inherit"))
    onode.fails("adopt", "-p", "www", "--classic-config", str(plain), says="cannot take over")
    assert "www" not in onode("ps", "-a").out
