"""Attacks by files: what a root, a shared directory or a pot's processes put in the way of mounts and copies.

The canary is a file of the host; its content, mode and times must never change, and no pot may read it.
"""

import os
import shutil

import pytest

import lab

# Where start mounts, or writes, in every root.
TARGETS = ("/dev", "/dev/pts", "/dev/null", "/dev/console", "/dev/shm", "/proc", "/sys", "/tmp", "/etc", "/etc/hosts",
           "/etc/resolv.conf", "/etc/hostname", "/mnt/volume")
# How it lies: {host} is the canary's directory, of which the pot knows the name.
LINKS = {"absolute": "{host}", "relative": "../../../../../../../..{host}", "dangling": "/nowhere/at/all",
         "looped": "{path}", "magic": "/proc/self/root{host}", "magic-parent": "/proc/1/cwd/..{host}"}


@pytest.fixture
def host(place):
    """The canary's directory."""
    directory = os.path.join(place, "canary-place")
    os.mkdir(directory)
    with open(os.path.join(directory, "canary"), "w", encoding="ascii") as f:
        f.write("of the host\n")
    os.makedirs(os.path.join(directory, "volume"))
    before = lab.tree(directory)
    yield directory
    after = lab.tree(directory)
    shutil.rmtree(directory)
    after.pop("volume", None)
    before.pop("volume", None)
    assert {k: v for k, v in after.items() if not k.startswith("volume/")} == before


def hostile_base(node, name, place, box, path, link):
    """A base whose path is a link, unless it is refused: the Result."""
    root = os.path.join(place, "hostile-root")
    shutil.copytree(box, root, symlinks=True)
    inside = root + path
    os.makedirs(os.path.dirname(inside), exist_ok=True)
    if os.path.isdir(inside) and not os.path.islink(inside):
        shutil.rmtree(inside)
    elif os.path.lexists(inside):
        os.unlink(inside)
    os.symlink(link, inside)
    try:
        return node.call("create-base", "-b", name, "--from", root)
    finally:
        shutil.rmtree(root)


@pytest.mark.parametrize("kind", sorted(LINKS))
def test_t19_links_at_mount_targets(onode, place, box, host, kind):
    """T19: a root in which a mount target is a link (absolute, relative, dangling, looped, magic) starts with all
    mounts inside, or start fails in one line; nothing of the host is mounted on, made, changed or shown."""
    volume = os.path.join(host, "volume")
    for number, path in enumerate(TARGETS):
        base = f"hostile{number}"
        made = hostile_base(onode, base, place, box, path, LINKS[kind].format(host=host, path=path))
        if made.status != 0:
            assert made.err.startswith("pot: ") and made.err.count("\n") == 1, (path, made)
            continue
        try:
            onode("create", "-p", "a", "-b", base, "-N", "none")
            onode("set-cmd", "-p", "a", "-c", "sleep 100000")
            onode("mount-in", "-p", "a", "-d", volume, "-m", "/mnt/volume")
            before, listing = onode.mounts(), sorted(os.listdir("/"))
            result = onode.call("start", "a")
            assert onode.mounts() == before, (path, result)
            assert sorted(os.listdir("/")) == listing, path
            if result.status == 0:
                # What the pot finds at the link's end is its own.
                assert onode.call("exec", "a", "cat", host + "/canary").status != 0, path
                assert onode("exec", "a", "stat", "-f", "-c", "%T", "/proc").out == "proc\n", path
                assert onode.sh("a", "echo x > /dev/null; wc -c < /dev/null").strip() == "0", path
            else:
                assert result.err.startswith("pot: ") and result.err.count("\n") == 1, (path, result)
                assert onode.states()["a"] != "running", path
        finally:
            onode("destroy", "-F", "a")
            onode("destroy", "-b", base)


def race(node, attack, host):
    """A pot "evil" that exchanges, in a directory it shares with the host, a directory and a link to the canary's."""
    volume = os.path.join(host, "volume")
    os.makedirs(os.path.join(volume, "d"))
    os.symlink("/etc", os.path.join(volume, "l"))
    os.chmod(volume, 0o777)
    node.run("evil")
    node("cp", attack, "evil:/bin/attack")
    node("mount-in", "-p", "evil", "-d", volume, "-m", "/volume")
    swapper = node.start("exec", "evil", "/bin/attack", "swap", "/volume/d", "/volume/l", "10000")
    assert swapper.stdout.readline() == b"ready\n", swapper.stderr.read()
    return volume, swapper


def test_t20_t22_swaps_while_starting(onode, attack, host):
    """T20, T22: while one pot exchanges a directory and a link in a shared volume, at least 10,000 times, another
    that has a mount below that directory is started again and again: it is mounted inside or start fails, /proc and
    what is masked there stay as they are, and the host gets no mount."""
    volume, swapper = race(onode, attack, host)
    with open(os.path.join(host, "canary"), encoding="ascii") as f:
        assert f.read() == "of the host\n"
    onode.make("victim", "sleep 100000")
    onode("mount-in", "-p", "victim", "-d", volume, "-m", "/volume")
    onode("mount-in", "-p", "victim", "-d", host, "-m", "/volume/d")
    before, started = onode.mounts(), 0
    for i in range(15):
        result = onode.call("start", "victim")
        assert onode.mounts() == before, f"round {i}"
        if result.status == 0:
            started += 1
            # Mounted below /volume, or through the link at the pot's own /etc: never anywhere of the host.
            seen = onode.sh("victim", "stat -f -c %T /proc; cat /proc/kcore /proc/keys /proc/timer_list 2>/dev/null |"
                                      " wc -c; echo x 2>/dev/null > /proc/sysrq-trigger || echo refused").split()
            assert seen == ["proc", "0", "refused"], seen
            onode("stop", "-t", "0", "victim")
        else:
            assert result.err.count("\n") == 1, result
    assert started > 0
    assert swapper.stdout.readline() == b"enough\n"
    # Nobody may exchange anything any more when the host's directory is looked at.
    onode("stop", "-t", "0", "evil")
    lab.kill_group(swapper)


def test_t20_swaps_while_mounting_in(onode, attack, host):
    """T20: mount-in and mount-out of a running pot whose process exchanges the target and a link, 10,000 times,
    mount inside the pot or fail; the host gets no mount."""
    onode.run("a")
    onode("cp", attack, "a:/bin/attack")
    onode.sh("a", f"mkdir -p /race/d; ln -s {host} /race/l")
    before = onode.mounts()
    swaps = 0
    while swaps < 10000:
        swapper = onode.start("exec", "a", "/bin/attack", "swap", "/race/d", "/race/l", str(10000 - swaps))
        assert swapper.stdout.readline() == b"ready\n"
        for i in range(30):
            for verb in ("mount-in", "-d", os.path.join(host, "volume"), "-m", "/race/d"), ("mount-out", "-m", "/race/d"):
                result = onode.call(verb[0], "-p", "a", *verb[1:])
                assert onode.mounts() == before, f"round {i}"
                assert result.status == 0 or result.err.count("\n") == 1, result
        said = swapper.stdout.readline().split()
        if said == [b"enough"]:
            swaps = 10000
        else:
            # The mount came to stand on the directory just before it got the other name: a new start frees it.
            assert said[0] == b"stuck", said
            swaps += int(said[1])
            onode("stop", "-t", "0", "a")
            onode.call("mount-out", "-p", "a", "-m", "/race/d")
            onode("start", "a")
        lab.kill_group(swapper)


@pytest.mark.parametrize("direction", ["in", "out"])
def test_t12_cp_against_100000_swaps(onode, attack, host, direction):
    """T12: cp in either direction, for as long as a process of the pot exchanges a directory and a link to the
    canary's directory 100,000 times, never reads or changes the canary."""
    onode.run("a")
    onode("cp", attack, "a:/bin/attack")
    onode.sh("a", f"mkdir /root/d; echo pot > /root/d/canary; ln -s {host} /root/l")
    with open(os.path.join(host, "volume", "mine"), "w", encoding="ascii") as f:
        f.write("new\n")
    swapper = onode.start("exec", "a", "/bin/attack", "swap", "/root/d", "/root/l", "100000")
    assert swapper.stdout.readline() == b"ready\n"
    os.set_blocking(swapper.stdout.fileno(), False)
    rounds, target = 0, os.path.join(host, "volume", "out")
    enough = False
    while rounds < 10 or not enough:
        rounds += 1
        enough = enough or bool(swapper.stdout.read(1))
        if direction == "in":
            onode.call("cp", os.path.join(host, "volume", "mine"), "a:/root/d/canary")
        else:
            onode.call("cp", "a:/root/d/canary", target)
            if os.path.lexists(target):
                with open(target, encoding="ascii") as f:
                    assert f.read() == "pot\n"
                os.unlink(target)
        with open(os.path.join(host, "canary"), encoding="ascii") as f:
            assert f.read() == "of the host\n"
    lab.kill_group(swapper)


@pytest.mark.parametrize("workdir", [
    "/proc/self/fd/0", "/proc/self/fd/3", "/proc/self/fd/7", "/proc/self/fd/10", "/proc/1/cwd", "/proc/1/root",
    "/proc/self/root/..", "../" * 40 + "etc", "/.." * 40, "/gone", "/link", "/loop"])
def test_t17_working_directories(onode, host, workdir):
    """T17: whatever the working directory of a command is told to be, it ends inside the pot, or the command is
    not run: nothing of the host is reached from it by going up."""
    onode.run("a")
    onode.sh("a", f"ln -s {host} /link; ln -s /loop /loop; mkdir /gone; rmdir /gone")
    up = "../" * 30
    result = onode.call("exec", "-w", workdir, "a", "sh", "-c",
                        f"pwd -P; cat {up[:-1]}{host}/canary .{host}/canary canary 2>/dev/null; ls -d {up} . >/dev/null")
    assert "of the host" not in result.out
    if result.status == 0:
        assert result.out.splitlines()[0].startswith("/"), result
        assert "(unreachable)" not in result.out
    else:
        assert result.status in (2, 125, 126, 127) and result.err.count("\n") == 1, result


def test_t17_directory_removed_while_joining(onode, attack):
    """T17: a working directory that is exchanged for a link while commands enter it is inside or refused."""
    onode.run("a")
    onode("cp", attack, "a:/bin/attack")
    onode.sh("a", "mkdir -p /w/d; ln -s /proc/1/root/../.. /w/l")
    swapper = onode.start("exec", "a", "/bin/attack", "swap", "/w/d", "/w/l", "10000")
    assert swapper.stdout.readline() == b"ready\n"
    for _ in range(30):
        result = onode.call("exec", "-w", "/w/d", "a", "pwd", "-P")
        assert result.status != 0 or result.out in ("/w/d\n", "/w/l\n", "/\n"), result
    assert swapper.stdout.readline() == b"enough\n"
    lab.kill_group(swapper)


def test_t06_setuid_and_devices_in_roots(onode, place, box, attack):
    """T6: a root that brings setuid programs and device nodes gives nobody more rights: the program runs as its
    caller, and the nodes are not there or cannot be opened."""
    root = os.path.join(place, "setuid-root")
    shutil.copytree(box, root, symlinks=True)
    shutil.copy2(attack, os.path.join(root, "bin", "raise"))
    os.chmod(os.path.join(root, "bin", "raise"), 0o6755)
    for name, device in (("mem", (1, 1)), ("kmsg", (1, 11)), ("console", (5, 1))):
        os.mknod(os.path.join(root, "root", name), 0o020666, os.makedev(*device))
    os.mknod(os.path.join(root, "root", "disk"), 0o060666, os.makedev(7, 0))
    os.chmod(os.path.join(root, "root"), 0o755)
    try:
        onode("create-base", "-b", "setuid", "--from", root)
        onode("create", "-p", "a", "-b", "setuid", "-N", "none")
        onode("set-cmd", "-p", "a", "-c", "sleep 100000")
        onode("start", "a")
        assert onode("exec", "-u", "alice", "a", "/bin/raise", "ids").out == "1000 1000 1000 1000 1000 1000 1\n"
        for name in ("mem", "kmsg", "console", "disk"):
            for user in ("root", "alice"):
                result = onode.call("exec", "-u", user, "a", "dd", f"if=/root/{name}", "of=/dev/null", "bs=1", "count=1")
                assert result.status == 1, (name, user, result)
    finally:
        onode.call("destroy", "-F", "a")
        onode.call("destroy", "-b", "setuid")
        shutil.rmtree(root)


def test_t06_devices_made_inside(onode):
    """T6: root in a pot that makes device nodes of its own cannot, or cannot open them."""
    onode.run("a")
    for kind, major, minor in (("c", 1, 1), ("c", 1, 11), ("b", 7, 0), ("c", 10, 200)):
        result = onode.call("exec", "a", "sh", "-c", f"cd /root && mknod n {kind} {major} {minor} &&"
                                                     " dd if=n of=/dev/null bs=1 count=1; s=$?; rm -f n; exit $s")
        assert result.status == 1, result


@pytest.mark.parametrize("make", [
    "mkfifo /etc/passwd", "ln -s {host}/canary /etc/passwd", "ln -s /dev/zero /etc/passwd", "mkdir /etc/passwd",
    "ln -s /proc/kmsg /etc/passwd", "ln -s /etc/passwd /etc/passwd", "ln -s /dev/tty /etc/passwd",
    "yes 'alice:x:0:0::/:/bin/sh' | head -c 8000000 > /etc/passwd",
    "printf 'alice:x:4294967295:0::/:/bin/sh\\nalice:x:-1:0::/:\\nalice:x:00x:0:::\\n' > /etc/passwd",
    "printf 'alice' > /etc/passwd", "head -c 100000 /dev/zero > /etc/passwd"])
def test_t11_hostile_passwd(onode, host, make):
    """T11: an /etc/passwd that is a fifo, a device, a link out, endless or garbage ends a look-up in an error at
    once: nothing of the host is read, and the user does not become root."""
    onode.run("a")
    onode.sh("a", "rm -rf /etc/passwd; " + make.format(host=host))
    result = onode.call("exec", "-u", "alice", "a", "id", "-u")
    assert result.status in (0, 125), result
    if result.status == 0:
        # Only the endless file names her at all, and there she says that she is root: that is the pot's own word.
        assert make.startswith("yes") and result.out == "0\n", result
    else:
        assert result.out == "" and result.err.count("\n") == 1, result
    # A number is that number, or the file is too strange to be read at all.
    result = onode.call("exec", "-u", "1000:1000", "a", "id", "-u")
    assert result.out == ("1000\n" if result.status == 0 else ""), result
