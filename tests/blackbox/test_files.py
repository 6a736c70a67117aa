"""Files and mounts: cp, copy-in, copy-out, mount-in, mount-out, and every way to get out of the pot by them."""

import os
import stat
import subprocess
import tempfile

import pytest

import lab


@pytest.fixture
def host(place):
    """A directory of the host with a file, a tree and a canary."""
    directory = tempfile.mkdtemp(prefix="host-", dir=place)
    os.makedirs(os.path.join(directory, "tree", "sub"))
    for name, text in (("file", "from the host\n"), ("tree/one", "1\n"), ("tree/sub/two", "2\n"), ("canary", "alive")):
        with open(os.path.join(directory, name), "w", encoding="ascii") as f:
            f.write(text)
    os.symlink("one", os.path.join(directory, "tree", "link"))
    os.symlink("/etc/shadow", os.path.join(directory, "tree", "absolute"))
    os.chown(os.path.join(directory, "tree", "one"), 12, 34)
    os.chmod(os.path.join(directory, "tree", "one"), 0o4751)
    os.utime(os.path.join(directory, "tree", "one"), (1e9, 1e9))
    return directory


@pytest.fixture(params=["running", "stopped"])
def a(request, onode):
    """The pot a, running and stopped."""
    onode.make("a", "sleep 100000")
    if request.param == "running":
        onode("start", "a")
    onode.running = request.param == "running"
    return onode


def read_in(node, script):
    """What a shell script in the pot prints, started for it when it does not run."""
    if not node.running:
        node("start", "a")
    out = node.sh("a", script)
    if not node.running:
        node("stop", "a")
    return out


def test_cp_both_ways(a, host):
    """A tree goes in and comes out with contents, owners, modes, times and links."""
    a("cp", os.path.join(host, "tree"), "a:/root")
    assert read_in(a, "cd /root/tree; cat one sub/two; readlink link; stat -c '%a %u:%g %Y' one") \
        == "1\n2\none\n4751 12:34 1000000000\n"
    a("cp", "a:/root/tree", os.path.join(host, "back"))
    ours, theirs = (lab.tree(os.path.join(host, d)) for d in ("tree", "back"))
    assert set(ours) == set(theirs)
    for name, (mode, uid, gid, size, mtime) in ours.items():
        if not stat.S_ISLNK(mode):
            assert theirs[name] == (mode, uid, gid, size, mtime), name
    assert os.readlink(os.path.join(host, "back", "absolute")) == "/etc/shadow"


def test_cp_names(a, host):
    """Into a directory the name stays, else the destination gives it; a missing parent is an error."""
    a("cp", os.path.join(host, "file"), "a:/tmp" if not a.running else "a:/root")
    a("cp", os.path.join(host, "file"), "a:/root/other")
    assert read_in(a, "cat /root/other") == "from the host\n"
    a.fails("cp", os.path.join(host, "file"), "a:/not/there/x", says="/not/there")
    a.fails("cp", os.path.join(host, "missing"), "a:/root", says="missing")
    a.fails("cp", "a:/missing", host, says="missing")


def test_copy_in_and_out(a, host):
    """The classic copy-in (with -c for parents) and copy-out do the same."""
    force = ["-F"] if a.running else []
    a("copy-in", *force, "-c", "-p", "a", "-s", os.path.join(host, "file"), "-d", "/new/dir/file")
    assert read_in(a, "cat /new/dir/file") == "from the host\n"
    out = os.path.join(host, "out")
    os.mkdir(out)
    a("copy-out", *force, "-p", "a", "-s", "/new/dir/file", "-d", out)
    with open(os.path.join(out, "file"), encoding="ascii") as f:
        assert f.read() == "from the host\n"


def test_cp_needs_one_side(onode, host):
    """cp with no pot side, or two, is a usage error."""
    onode.make("a")
    onode.fails("cp", os.path.join(host, "file"), "/tmp/x", status=2)
    onode.fails("cp", "a:/x", "a:/y", status=2)


def canary_state(host):
    s = os.stat(os.path.join(host, "canary"))
    return s.st_ino, s.st_mode, s.st_size, s.st_mtime_ns, sorted(os.listdir(host))


@pytest.mark.parametrize("script, destination", [
    ("ln -s {host} /root/d", "/root/d/canary"),
    ("ln -s {host}/canary /root/f", "/root/f"),
    ("ln -s ../../../../../../../../../..{host} /root/d", "/root/d/canary"),
    ("ln -s /proc/1/root/{host} /root/d", "/root/d/canary"),
    ("ln -s /proc/self/cwd /root/d", "/root/d/canary"),
    ("true", "/../../../../../../..{host}/canary"),
    ("mkdir -p /x; ln -s /proc/self/fd /x/d", "/x/d/4/canary"),
])
def test_cp_in_cannot_leave(onode, host, script, destination):
    """No link, no dots and no magic link of /proc in a destination makes cp write to the host."""
    onode.run("a")
    onode.sh("a", script.format(host=host))
    before = canary_state(host)
    for _ in ("running", "stopped"):
        onode.call("cp", os.path.join(host, "file"), "a:" + destination.format(host=host))
        assert canary_state(host) == before
        onode.call("stop", "a")


@pytest.mark.parametrize("script, source", [
    ("ln -s {host}/canary /root/f", "/root/f"),
    ("ln -s {host} /root/d", "/root/d/canary"),
    ("ln -s /proc/self/root{host}/canary /root/f", "/root/f"),
    ("true", "/../../../../..{host}/canary"),
])
def test_cp_out_cannot_read_the_host(onode, host, script, source):
    """No link in a source makes cp copy a file of the host out."""
    onode.run("a")
    onode.sh("a", script.format(host=host))
    out = os.path.join(host, "got")
    os.mkdir(out)
    for _ in ("running", "stopped"):
        onode.call("cp", "a:" + source.format(host=host), out)
        for name in os.listdir(out):
            path = os.path.join(out, name)
            assert os.path.islink(path), path
            os.unlink(path)
        onode.call("stop", "a")


def test_cp_out_of_special_files(onode, host):
    """Copying a fifo or a device out neither hangs nor reads it."""
    onode.run("a")
    onode.sh("a", "mkdir /root/t; mkfifo /root/t/fifo; echo x > /root/t/file")
    onode.call("cp", "a:/root/t", os.path.join(host, "t"))
    onode.call("cp", "a:/root/t/fifo", os.path.join(host, "fifo"))
    onode.call("cp", "a:/dev/zero", os.path.join(host, "zero"))
    for name in ("zero",):
        path = os.path.join(host, name)
        if os.path.lexists(path):
            assert not stat.S_ISREG(os.lstat(path).st_mode)


SWAPPER = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
int
main(int argc, char **argv)
{
	puts("ready");
	fflush(stdout);
	for (long i = 0;; i++) {
		syscall(SYS_renameat2, AT_FDCWD, argv[1], AT_FDCWD, argv[2], 2 /* RENAME_EXCHANGE */);
		if (i == 10000) {
			puts("enough");
			fflush(stdout);
		}
	}
}
"""


@pytest.mark.parametrize("direction", ["in", "out"])
def test_cp_races(onode, host, direction):
    """cp against a process that swaps a directory and a link to the host 10,000 times never touches the canary."""
    # Copies for as long as the swaps take; 200 copies are far longer.
    source = os.path.join(host, "swap.c")
    with open(source, "w", encoding="ascii") as f:
        f.write(SWAPPER)
    subprocess.run(["gcc", "-static", "-O1", "-o", os.path.join(host, "swap"), source], check=True)
    onode.run("a")
    onode("cp", os.path.join(host, "swap"), "a:/bin/swap")
    onode.sh("a", f"mkdir /root/d; echo pot > /root/d/canary; ln -s {host} /root/l")
    swapper = onode.start("exec", "a", "/bin/swap", "/root/d", "/root/l")
    assert swapper.stdout.readline() == b"ready\n"
    os.mkdir(os.path.join(host, "out"))
    before = canary_state(host)
    for i in range(200):
        if direction == "in":
            onode.call("cp", os.path.join(host, "file"), "a:/root/d/canary")
        else:
            target = os.path.join(host, "out", "x")
            onode.call("cp", "a:/root/d/canary", target)
            if os.path.lexists(target):
                with open(target, encoding="ascii") as f:
                    assert f.read() != "alive", f"round {i}"
                os.unlink(target)
        assert canary_state(host) == before, f"round {i}"
    assert swapper.stdout.readline() == b"enough\n"
    lab.kill_group(swapper)


# ---- mounts -------------------------------------------------------------------------------------------------


def test_mount_in(node, host):
    """A directory of the host appears in the pot, at once and after a restart, and goes with mount-out."""
    node.run("a")
    node("mount-in", "--idmap", "-p", "a", "-d", host, "-m", "/data")
    assert node.sh("a", "cat /data/file") == "from the host\n"
    node.sh("a", "echo back > /data/back")
    with open(os.path.join(host, "back"), encoding="ascii") as f:
        assert f.read() == "back\n"
    node("restart", "a")
    assert node.sh("a", "cat /data/file") == "from the host\n"
    node("mount-out", "-p", "a", "-m", "/data")
    assert node.call("exec", "a", "cat", "/data/file").status == 1
    node("restart", "a")
    assert node.call("exec", "a", "cat", "/data/file").status == 1
    assert os.path.exists(os.path.join(host, "file"))


def test_mount_in_read_only(onode, host):
    """-r is read-only from the inside, whatever root in the pot tries with the files."""
    onode.run("a")
    onode("mount-in", "-r", "--idmap", "-p", "a", "-d", host, "-m", "/data")
    assert onode.call("exec", "a", "sh", "-c", "echo x > /data/file").status != 0
    onode("restart", "a")
    assert onode.call("exec", "a", "sh", "-c", "echo x > /data/file").status != 0
    assert onode.sh("a", "cat /data/file") == "from the host\n"


def test_mount_target_cannot_leave(onode, host):
    """A mount point that is a link out of the pot mounts inside the pot or fails; the host sees no mount."""
    onode.run("a")
    onode.sh("a", f"ln -s {host} /root/l; ln -s /proc/1/root /root/m")
    before, canary = lab.mounts(), canary_state(host)
    for target in ("/root/l", "/root/l/tree", "/root/m/data"):
        onode.call("mount-in", "-p", "a", "-d", os.path.join(host, "tree"), "-m", target)
        assert lab.mounts() == before and canary_state(host) == canary
    onode.call("restart", "a")
    assert lab.mounts() == before and canary_state(host) == canary


@pytest.mark.parametrize("target", ["/", "relative", "/a/../b", "", "/proc/x"])
def test_bad_mount_points(onode, host, target):
    """Mount points that are no absolute path inside the pot are refused and nothing is recorded."""
    onode.make("a")
    result = onode.call("mount-in", "-p", "a", "-d", host, "-m", target)
    if target != "/proc/x":
        assert result.status != 0 and result.err.count("\n") == 1, result
        assert onode.info("a")["mounts"] == []


def test_mount_mistakes(onode, host):
    """A mount point used twice, one not used, and a directory that is not there are errors that name them."""
    onode.make("a")
    onode("mount-in", "-p", "a", "-d", host, "-m", "/data")
    onode.fails("mount-in", "-p", "a", "-d", host, "-m", "/data", says="/data")
    onode.fails("mount-out", "-p", "a", "-m", "/other", says="/other")
    onode.fails("mount-in", "-p", "a", "-d", "/not/there", "-m", "/x", says="/not/there")
