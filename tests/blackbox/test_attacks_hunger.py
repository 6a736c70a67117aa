"""Attacks by hunger: processes of a pot that take memory, processes, descriptors, log space and patience.

Limits are of groups below the one that the tests are in; the host and the other pots go on.
"""

import os
import signal
import time

import pytest

import lab

MIB = 1 << 20


def hungry(node, attack, name, *limits):
    node("create", "-p", name, "-b", "box", "-N", "none", *limits)
    node("set-cmd", "-p", name, "-c", "sleep 100000")
    node("start", name)
    node("cp", attack, f"{name}:/bin/attack")


@pytest.fixture
def neighbour(onode):
    """A pot that must not feel anything."""
    onode.run("neighbour")
    yield onode
    assert onode("exec", "neighbour", "echo", "alive").out == "alive\n"


def test_t36_fork_bomb(neighbour, attack):
    """T36: a fork bomb in a pot with --pids stays below its number, the neighbour can fork, and stop ends it all."""
    node = neighbour
    hungry(node, attack, "a", "--pids", "60", "--cpu-quota", "20")
    node("exec", "-d", "a", "/bin/attack", "bomb")
    lab.wait_until(lambda: node("--format", "json", "stats", "--no-stream", "a").json()[0]["pids"] >= 55, "the bomb")
    for _ in range(5):
        assert node("--format", "json", "stats", "--no-stream", "a").json()[0]["pids"] <= 60
        assert node("exec", "neighbour", "sh", "-c", "echo $(echo $(echo alive))").out == "alive\n"
    node("stop", "-t", "0", "a")
    assert node.states()["a"] == "stopped"


def test_t36_pids_exhausted(neighbour, attack):
    """T36: in a pot that has used up its processes fork fails with EAGAIN, and exec, top, logs and stop answer: they
    work or say why."""
    node = neighbour
    hungry(node, attack, "a", "--pids", "20")
    hog = node.start("exec", "a", "/bin/attack", "hog-pids")
    count, errno = hog.stdout.readline().split()
    assert int(count) <= 20 and int(errno) == 11
    result = node.call("exec", "a", "true")
    assert result.status in (0, 125) and result.err.count("\n") <= 1, result
    assert len(node("--format", "json", "top", "a").json()) <= 20
    node("logs", "a")
    node("stop", "-t", "0", "a")
    assert hog.wait(timeout=lab.HANG) != 0


def test_t36_memory_hog(neighbour, attack):
    """T36: a process that takes memory without end is killed at the pot's limit, inside the pot only; the pot says so."""
    node = neighbour
    hungry(node, attack, "a", "-M", "48m")
    result = node.call("exec", "a", "/bin/attack", "hog-memory")
    assert result.status == 137, result
    stats = node("--format", "json", "stats", "--no-stream", "a").json()[0] if node.states()["a"] == "running" else None
    assert stats is None or stats["memory_bytes"] <= 48 * MIB
    assert node.states()["neighbour"] == "running"


def test_t36_tmpfs_hog(neighbour, attack):
    """T36: /dev/shm and a tmpfs of the pot end at their size, and what is in them counts as the pot's memory."""
    node = neighbour
    hungry(node, attack, "a", "-M", "64m", "--shm-size", "8m", "--tmpfs", "/scratch:size=8m")
    for path in ("/dev/shm", "/scratch"):
        result = node.call("exec", "a", "dd", "if=/dev/zero", f"of={path}/x", "bs=1M", "count=64")
        assert result.status == 1 and "No space left" in result.err, result
        assert int(node.sh("a", f"stat -c %s {path}/x")) <= 8 * MIB


def test_t36_descriptor_hog(neighbour, attack):
    """T36: with --ulimit nofile a process has no more descriptors than that, and the pot still answers."""
    node = neighbour
    hungry(node, attack, "a", "--ulimit", "nofile=64:64")
    count, errno = node("exec", "a", "/bin/attack", "hog-fds").out.split()
    assert int(count) <= 61 and int(errno) == 24
    assert node("exec", "a", "echo", "alive").out == "alive\n"


def log_bytes(node, name):
    total = 0
    for directory, _, files in os.walk(node.root):
        total += sum(os.lstat(os.path.join(directory, f)).st_size for f in files
                     if f.split(".")[0] == "log" and f"/{name}" in directory)
    return total


def test_t37_log_flood(onode, attack):
    """T37: 200 MiB of output leave no more than the configured log files on the disk, at any moment; the last lines
    are whole, and the shim has not grown."""
    settings = {row["key"]: row["value"] for row in onode("--format", "json", "config").json()}
    assert settings["log_max_size"] == "10M"
    cap = int(settings["log_files"]) * 10 * MIB
    onode.run("a")
    onode("cp", attack, "a:/bin/attack")
    onode("stop", "-t", "0", "a")
    onode("set-cmd", "-p", "a", "-c", "sh -c '/bin/attack flood 200; echo done; exec sleep 100000'")
    onode("start", "a")
    with open(f"/proc/{onode.info('a')['pid']}/status", encoding="ascii") as f:
        shim = next(int(line.split()[1]) for line in f if line.startswith("PPid"))
    end = time.monotonic() + lab.HANG
    while "done" not in onode("logs", "-n", "1", "a").out:
        assert log_bytes(onode, "a") <= cap + MIB
        assert time.monotonic() < end
    assert MIB < log_bytes(onode, "a") <= cap + MIB
    lines = onode("logs", "-n", "50", "a").out.splitlines()
    assert lines[-1] == "done" and all(line == "x" * 127 for line in lines[:-1])
    with open(f"/proc/{shim}/status", encoding="ascii") as f:
        rss = next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))
    assert rss < 1024, f"{rss} KiB"


def test_t38_nobody_reads(onode, attack):
    """T38: a client that does not read blocks neither the pot's stop nor other clients; a command that does not read
    its input does not block the end of exec."""
    onode.run("a")
    onode("cp", attack, "a:/bin/attack")
    onode("stop", "-t", "0", "a")
    onode("set-cmd", "-p", "a", "-c", "/bin/attack flood 1000")
    client = onode.start("start", "--attach", "a")
    lab.wait_until(lambda: onode.states()["a"] == "running", "the start")
    os.kill(client.pid, signal.SIGSTOP)
    assert onode("exec", "a", "echo", "alive").out == "alive\n"
    unread = onode.start("exec", "a", "/bin/attack", "flood", "100")
    deaf = onode.start("exec", "-i", "a", "sleep", "100000", stdin=open("/dev/zero", "rb"))
    assert onode("exec", "a", "echo", "alive").out == "alive\n"
    onode("stop", "-t", "0", "a")
    os.kill(client.pid, signal.SIGCONT)
    for process in (client, unread, deaf):
        process.communicate(timeout=lab.HANG)


def test_t44_few_descriptors(onode):
    """T44: with any small number of descriptors each verb works or fails in one line, leaves nothing, and works again
    afterwards."""
    import resource

    onode.make("a", "sleep 100000")
    before, worked = onode.mounts(), set()
    for number in list(range(3, 24, 2)) + [32, 64]:
        def few(number=number):
            resource.setrlimit(resource.RLIMIT_NOFILE, (number, number))

        for verb in (("start", "a"), ("exec", "a", "true"), ("ps", "-a"), ("stop", "-t", "0", "a")):
            result = onode.call(*verb, preexec=few)
            if result.status == 0:
                worked.add(verb[0])
            else:
                assert 0 < result.status < 128 and result.err.count("\n") <= 1, (number, result)
        onode.call("stop", "-t", "0", "a")
        assert onode.states()["a"] != "running" and onode.mounts() == before, number
    assert worked == {"start", "exec", "ps", "stop"}
    onode("start", "a")
