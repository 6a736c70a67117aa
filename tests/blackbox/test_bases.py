"""Bases: made whole or not at all."""

import os
import signal
import subprocess
import tarfile
import io

import lab


def names(node):
    return {b["name"] for b in node("--format", "json", "list", "-b").json()} - {"box"}


def leftovers(node):
    """What belongs to no base: records without a commit, locks, work directories."""
    found = [n for n in os.listdir(os.path.join(node.root, "bases"))
             if not os.path.exists(os.path.join(node.root, "bases", n, "base.conf"))]
    tmp = os.path.join(node.root, "tmp")
    return found + (os.listdir(tmp) if os.path.isdir(tmp) else [])


def tarball(path, *entries):
    with tarfile.open(path, "w") as t:
        for name, data in entries:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))
    return str(path)


def test_release_from_packages(empty_node):
    """create-base -r makes a Debian of the host's own sources, without the host's name and resolver."""
    empty_node.fails("create-base", "-r", "bookworm", "--include", "hello;id", status=2, says="hello;id")
    empty_node.fails("create-base", "-b", "x", "--from", "/etc", "--include", "hello", status=2, says="release")
    empty_node("create-base", "-r", "bookworm", "--include", "hello", preexec=lambda: lab.enter(lab.OUTER_NETWORK))
    (release,) = [b["release"] for b in empty_node("--format", "json", "list", "-b").json() if b["name"] == "bookworm"]
    assert release == "bookworm"
    assert leftovers(empty_node) == []
    empty_node("create", "-p", "deb", "-b", "bookworm", "-N", "none", "-c", "hello")
    assert "Hello, world!" in empty_node("start", "-a", "deb").out
    for name in ("etc/resolv.conf", "etc/hostname"):
        copied = os.path.join(empty_node.root, "copied")
        empty_node("copy-out", "-p", "deb", "-s", "/" + name, "-d", copied)
        assert os.path.getsize(copied) == 0
        os.remove(copied)
    empty_node("destroy", "-p", "deb")


def test_unknown_release_leaves_nothing(empty_node):
    """A suite that no mirror has: one error, no base."""
    result = empty_node.call("create-base", "-r", "nosuchsuite", preexec=lambda: lab.enter(lab.OUTER_NETWORK))
    assert result.status == 1 and "nosuchsuite" in result.err
    assert names(empty_node) == set() and leftovers(empty_node) == []


def test_hostile_tarball_leaves_nothing(empty_node, tmp_path):
    """The refusal names the entry, and no base is there."""
    bad = tarball(tmp_path / "bad.tar", ("good", b"1"), ("../../evil", b"2"))
    result = empty_node.call("create-base", "-b", "bad", "--from", bad)
    assert result.status == 1 and "../../evil" in result.err
    assert names(empty_node) == set() and leftovers(empty_node) == []


def halfway(node, name, *arguments):
    """A create-base from a pipe that has begun to unpack; gives the process and our end of the pipe."""
    env = dict(node.env)
    p = subprocess.Popen([node.program, "--root", node.root, "create-base", "-b", name, "--from", "-", *arguments],
                         stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
    header = tarfile.TarInfo("half")
    header.size = 1 << 20
    p.stdin.write(header.tobuf() + b"x" * 512)
    p.stdin.flush()
    lab.wait_until(lambda: os.path.isdir(os.path.join(node.root, "bases", name)), "the record's directory")
    return p


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        return list(map(int, f.read().split()))


def test_interrupt_leaves_nothing(empty_node):
    """Ctrl-C half-way: no base, no process, an error that says so."""
    p = halfway(empty_node, "half")
    lab.wait_until(lambda: children(p.pid), "pot-unpack to run")
    (unpack,) = children(p.pid)
    p.send_signal(signal.SIGINT)
    err = p.stderr.read().decode()
    assert p.wait(lab.HANG) != 0 and "interrupted" in err
    assert not os.path.exists(f"/proc/{unpack}")
    assert names(empty_node) == set() and leftovers(empty_node) == []


def test_kill_is_repaired_by_the_next_command(empty_node):
    """SIGKILL half-way: no base is visible, the next look removes the rest, and it can be made again."""
    p = halfway(empty_node, "half")
    lab.wait_until(lambda: children(p.pid), "pot-unpack to run")
    (unpack,) = children(p.pid)
    p.kill()
    p.wait(lab.HANG)
    lab.wait_until(lambda: not os.path.exists(f"/proc/{unpack}"), "pot-unpack to die with its parent")
    assert names(empty_node) == set()
    assert leftovers(empty_node) == []


def test_same_base_twice(empty_node):
    """While one is made the same name is busy, and another command does not take it for left over."""
    p = halfway(empty_node, "half")
    result = empty_node.call("create-base", "-b", "half", "--from", "/etc/hostname")
    assert result.status == 1 and "half" in result.err and "another command" in result.err
    assert names(empty_node) == set()
    assert p.poll() is None
    p.kill()
    p.wait(lab.HANG)
    assert names(empty_node) == set() and leftovers(empty_node) == []
