"""The process around the parser: what it can reach, and how it ends."""

import os
import signal
import subprocess
import sys

import pytest

from conftest import HANG, PLAIN, PROGRAM
from tars import file, header, tar

CAPS = (1 << 0) | (1 << 1) | (1 << 3) | (1 << 4) | (1 << 31)  # CHOWN DAC_OVERRIDE FOWNER FSETID SETFCAP


def status_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def start_inside(cage, program=PLAIN, data=b""):
    """A pot-unpack that has begun (its first progress is read) and waits for more of a file."""
    read, write = os.pipe()
    os.mkdir(os.path.join(cage.directory, "leak"))
    leak = os.open(os.path.join(cage.directory, "leak"), os.O_RDONLY)
    os.rmdir(os.path.join(cage.directory, "leak"))
    run = subprocess.Popen([program, "--progress", str(write), cage.root], stdin=subprocess.PIPE,
                           stderr=subprocess.PIPE, pass_fds=[write, leak])
    os.close(write)
    os.close(leak)
    run.stdin.write(file("first", b"1") + header("f", size=1 << 20) + data)
    run.stdin.flush()
    with os.fdopen(read) as progress:
        assert progress.readline().strip().isdigit()
        yield run
        run.kill()
        run.wait()
        run.stdin.close()
        run.stderr.close()


@pytest.fixture
def inside(cage):
    yield from start_inside(cage)


def test_it_is_shut_in(cage, inside):
    """While it parses it has no host directory, no mount, no network, five capabilities and a filter."""
    proc = f"/proc/{inside.pid}"
    status = status_of(inside.pid)
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == CAPS
    assert int(status["CapBnd"], 16) == int(status["CapInh"], 16) == int(status["CapAmb"], 16) == 0
    for ns in ("mnt", "net", "ipc", "uts"):
        assert os.readlink(f"{proc}/ns/{ns}") != os.readlink(f"/proc/self/ns/{ns}")
    assert os.path.samefile(f"{proc}/root", cage.root) and os.path.samefile(f"{proc}/cwd", cage.root)
    with open(f"{proc}/mountinfo", encoding="ascii") as f:
        assert cage.directory not in f.read()
    with open(f"{proc}/limits", encoding="ascii") as f:
        limits = f.read()
    assert "Max core file size        0 " in limits


def test_no_fd_leads_out(cage, inside):
    """It has its three, the root and progress; what its parent forgot to close is closed."""
    proc = f"/proc/{inside.pid}/fd"
    names = sorted(map(int, os.listdir(proc)))
    assert names[:5] == [0, 1, 2, 3, 4]
    for fd in names:
        target = os.readlink(f"{proc}/{fd}")
        assert target.startswith("pipe:") or target.startswith(cage.root) or fd == 1, (fd, target)


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGTERM])
def test_killed_half_way(cage, inside, sig):
    """What is there can be removed, nothing else was touched, and it can be done again."""
    inside.send_signal(sig)
    assert inside.wait(HANG) == -sig
    cage.check()
    assert cage.unpack(tar(file("first"), file("f"))).status == 0


def test_dies_with_its_parent(cage):
    """A killed pot leaves no unpacking behind."""
    script = ("import subprocess,sys,time;p=subprocess.Popen(sys.argv[1:],stdin=0);print(p.pid,flush=True);p.wait()")
    keep, feed = os.pipe()
    read, write = os.pipe()
    parent = subprocess.Popen([sys.executable, "-c", script, PLAIN, "--progress", "2", cage.root], stdin=keep,
                              stdout=subprocess.PIPE, stderr=write)
    os.close(write)
    pid = int(parent.stdout.readline())
    pidfd = os.pidfd_open(pid)
    os.write(feed, file("first", b"1") + header("f", size=1 << 20))
    with os.fdopen(read) as progress:
        progress.readline()
        parent.kill()
        parent.wait()
        assert progress.read() == ""  # ends when the last holder of its other end is gone
    os.close(pidfd)
    os.close(keep)
    os.close(feed)
    parent.stdout.close()


def test_full_disk(cage):
    """Status 4, and says why."""
    archive = os.path.join(cage.directory, "host", "big.tar")
    data = tar(file("big", os.urandom(4 << 20)))
    script = 'mount -t tmpfs -o size=1m none "$1" && exec "$2" "$1"'
    run = subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", cage.root,
                          PROGRAM], input=data, capture_output=True, timeout=HANG, check=False)
    assert not os.path.exists(archive)
    result = cage.judge(run.returncode, run.stderr.decode())
    assert result.status == 4 and "No space left on device" in result.err and result.err.startswith("big: ")


def test_full_of_inodes(cage):
    """The same when only names are too many."""
    data = tar(*[file(f"f{i}", b"") for i in range(200)])
    script = 'mount -t tmpfs -o nr_inodes=50 none "$1" && exec "$2" "$1"'
    run = subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", cage.root,
                          PROGRAM], input=data, capture_output=True, timeout=HANG, check=False)
    assert cage.judge(run.returncode, run.stderr.decode()).status == 4


def test_read_only_target(cage):
    """A target that cannot be written is the system's fault, not the archive's."""
    script = 'mount -t tmpfs -o ro none "$1" && exec "$2" "$1"'
    run = subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", cage.root,
                          PROGRAM], input=tar(file("f")), capture_output=True, timeout=HANG, check=False)
    assert cage.judge(run.returncode, run.stderr.decode()).status == 5


def test_by_fd(cage):
    """The directory may be an inherited fd."""
    fd = os.open(cage.root, os.O_RDONLY)
    run = subprocess.run([PROGRAM, "--dirfd", str(fd)], input=tar(file("f")), pass_fds=[fd], capture_output=True,
                         timeout=HANG, check=False)
    os.close(fd)
    assert cage.judge(run.returncode, run.stderr.decode()).status == 0
    assert cage.names() == {"f"}


@pytest.mark.parametrize("argv", [[], ["--dirfd", "x"], ["--nonsense", "/tmp"], ["a", "b"], ["--max-size", "0", "/tmp"],
                                  ["--max-size", "-1", "/tmp"], ["--progress", "", "/tmp"], ["--max-entries", "1e9", "/tmp"]])
def test_wrong_use(argv):
    """One line and status 2, or 1 for a bad number."""
    run = subprocess.run([PROGRAM, *argv], stdin=subprocess.DEVNULL, capture_output=True, timeout=HANG, check=False)
    assert run.returncode in (1, 2) and run.stderr.count(b"\n") == 1, run


def test_target_that_is_not_there(cage):
    """Says which."""
    run = subprocess.run([PROGRAM, cage.path("missing")], input=tar(file("f")), capture_output=True, timeout=HANG,
                         check=False)
    assert run.returncode == 1 and b"missing" in run.stderr


def test_directory_as_archive(cage):
    """Standard input may be anything."""
    fd = os.open(cage.host, os.O_RDONLY)
    assert cage.unpack(fd).status == 1
    os.close(fd)
