"""The mistakes people make: one line on stderr that says what and why, the right status, and nothing changed."""

import os
import pwd
import shutil
import signal
import subprocess

import pytest

import lab


@pytest.fixture
def watched(onode):
    """A node with a stopped pot "old" and a running pot "live"; at the end both are as they were."""
    onode.make("old", "true")
    onode.run("live")
    before = onode.states(), onode.info("old"), settings(onode.info("live")), lab.tree(os.path.join(onode.root, "pots"))
    yield onode
    after = onode.states(), onode.info("old"), settings(onode.info("live")), lab.tree(os.path.join(onode.root, "pots"))
    assert after == before


def settings(info):
    return {k: v for k, v in info.items() if k not in ("uptime",)}


@pytest.mark.parametrize("args, status, says", [
    ([], 2, "help"),
    (["strat", "old"], 2, "start"),
    (["statr"], 2, "start"),
    (["xyzzy"], 2, "xyzzy"),
    (["start", "--atach", "old"], 2, "--attach"),
    (["create", "--bse", "box", "-p", "x"], 2, "--base"),
    (["ps", "-Z"], 2, "-Z"),
    (["ps", "--format", "yaml"], 2, "yaml"),
    (["ps", "extra"], 2, "extra"),
    (["start"], 2, ""),
    (["create", "-p", "new"], 2, "-b"),
    (["create", "-b"], 2, ""),
    (["create", "-p", "old", "-b", "box"], 1, "old"),
    (["create", "-p", "new", "-b", "bx"], 1, "bx"),
    (["create", "-p", "new", "-P", "odl"], 1, "odl"),
    (["create", "-p", "new", "-b", "box", "-P", "old"], 2, ""),
    (["create", "-p", "new", "-b", "box", "-N", "bridge-of-sighs"], 1, "bridge-of-sighs"),
    (["create", "-p", "new", "-b", "box", "-d", "custom:/not/there"], 1, "/not/there"),
    (["create", "-p", "new", "-b", "box", "-l", "9"], None, "9"),
    (["start", "nope"], 1, "nope"),
    (["start", "live"], 1, "live"),
    (["stop", "old"], 1, "old"),
    (["stop", "nope"], 1, "nope"),
    (["stop", "-t", "soon", "live"], None, "soon"),
    (["kill", "-s", "SIGNOTHING", "live"], None, "NOTHING"),
    (["kill", "-s", "0", "live"], None, "0"),
    (["kill", "-s", "99", "live"], None, "99"),
    (["kill", "old"], 1, "old"),
    (["pause", "old"], 1, "old"),
    (["unpause", "live"], 1, "live"),
    (["wait", "nope"], 1, "nope"),
    (["restart", "nope"], 1, "nope"),
    (["destroy", "nope"], 1, "nope"),
    (["destroy", "live"], 1, "live"),
    (["destroy", "-b", "nope"], 1, "nope"),
    (["destroy", "-b", "box"], 1, "old"),
    (["rename", "-p", "nope", "-n", "x"], 1, "nope"),
    (["rename", "-p", "old", "-n", "live"], 1, "live"),
    (["rename", "-p", "live", "-n", "x"], 1, "live"),
    (["rename", "-p", "old", "-n", "a/b"], 1, "a/b"),
    (["snapshot", "-p", "live"], 1, "live"),
    (["snapshot", "-p", "nope"], 1, "nope"),
    (["snapshot", "-p", "old", "-n", "../x"], 1, "../x"),
    (["rollback", "-p", "old"], 1, "old"),
    (["rollback", "-p", "old", "-n", "gone"], 1, "old"),
    (["rollback", "-p", "live"], 1, "live"),
    (["clone", "-p", "x", "-P", "nope"], 1, "nope"),
    (["clone", "-p", "live", "-P", "old", "-F"], 1, "live"),
    (["set-cmd", "-p", "nope", "-c", "x"], 1, "nope"),
    (["set-cmd", "-p", "old", "-c", "unbalanced 'quote"], 1, "quote"),
    (["set-env", "-p", "old", "-E", "NOEQUALS"], None, "NOEQUALS"),
    (["set-env", "-p", "old", "-E", "1BAD=x"], None, "1BAD"),
    (["set-env", "-p", "old", "--remove", "NOTSET"], 1, "NOTSET"),
    (["set-hosts", "-p", "old", "-H", "noaddress"], None, "noaddress"),
    (["set-hosts", "-p", "old", "-H", "host:300.1.1.1"], None, "300.1.1.1"),
    (["set-hosts", "-p", "old", "-H", "host:fe80::zz"], None, "fe80::zz"),
    (["set-attribute", "-p", "old", "-A", "nope", "-V", "1"], 1, "nope"),
    (["set-attribute", "-p", "old", "-A", "persistent", "-V", "2"], 1, "2"),
    (["get-attribute", "-p", "old", "-A", "nope"], 1, "nope"),
    (["info"], 2, ""),
    (["info", "-p", "nope"], 1, "nope"),
    (["top", "old"], 1, "old"),
    (["logs", "nope"], 1, "nope"),
    (["cp", "/etc/passwd", "nope:/x"], 1, "nope"),
    (["cp", "/not/there", "old:/x"], 1, "/not/there"),
    (["copy-in", "-p", "old", "-s", "/etc/passwd", "-d", "relative"], 1, "relative"),
    (["create-base"], 2, ""),
    (["create-base", "-b", "x/y", "--from", "/etc"], 1, "x/y"),
    (["create-base", "-b", "x", "--from", "/not/there"], 1, "/not/there"),
    (["create-base", "-r", "no-such-suite-anywhere", "-b", "x"], 1, "no-such-suite"),
    (["help", "nope"], None, "nope"),
    (["completion", "tcl"], None, "tcl"),
])
def test_mistakes(watched, args, status, says):
    """A mistake is told in one line that names its subject, with the right status, and nothing changes."""
    result = watched.call(*args)
    watched.fails(*args, status=result.status if status is None else status, says=says)
    assert result.status in (1, 2), result


NAMES = ["", ".", "..", "-x", "_x", "a/b", "../a", "a b", "a\nb", "a\tb", "a;b", "$(id)", "é", "a" * 64, "a.b", "a:b",
         "*", "a\x1b[31m"]


@pytest.mark.parametrize("name", NAMES)
def test_bad_names(watched, name):
    """Names outside of letters, digits, - and _ are refused by every verb that makes something, in one line."""
    for args in (["create", f"--pot={name}", "-b", "box"], ["clone", f"--pot={name}", "-P", "old", "-F"],
                 ["rename", "-p", "old", f"--new-name={name}"]):
        result = watched.call(*args)
        assert result.status in (1, 2), result
        assert result.err.count("\n") == 1 and "\x1b" not in result.err, result


@pytest.mark.parametrize("name", ["a", "A9", "9a", "a-b_c", "x" * 63])
def test_good_names(onode, name):
    """Names of letters, digits, - and _ up to 63 characters work through a whole life."""
    onode.make(name, "true")
    assert onode.call("start", "--attach", name).status == 0
    onode("destroy", name)


def test_errors_go_to_stderr_only(onode):
    """With --format json and --quiet an error is the same line on stderr, and stdout stays empty."""
    for args in (["--format", "json", "info", "-p", "nope"], ["-q", "start", "nope"], ["-v", "stop", "nope"]):
        onode.fails(*args, says="nope")


def test_control_characters_are_escaped(onode):
    """Escape sequences in what a user or a pot wrote do not reach the terminal through messages and tables."""
    onode.fails("start", "x\x1b]0;evil\x07", says="x")
    result = onode.call("start", "x\x1b]0;evil\x07")
    assert "\x1b" not in result.err and "\x07" not in result.err
    onode.run("a", "sleep 1000")
    onode("exec", "-d", "a", "sh", "-c", "sleep 1000; : \x1b]0;evil\x07")
    lab.wait_until(lambda: "evil" in onode("top", "a").out, "the process")
    assert "\x1b" not in onode("top", "a").out and "\x07" not in onode("top", "a").out


def test_closed_streams(onode):
    """Verbs work with stdin, stdout and stderr closed, and a closed stdout is told for what shows something."""
    onode.make("a", "sleep 10000")

    def close_all():
        for fd in (0, 1, 2):
            os.close(fd)

    run = subprocess.run(onode.argv("start", "a"), env=onode.env, preexec_fn=close_all, check=False, timeout=lab.HANG)
    assert run.returncode == 0
    assert onode.states() == {"a": "running"}
    full = open("/dev/full", "w", encoding="ascii")
    run = subprocess.run(onode.argv("ps"), env=onode.env, stdout=full, stderr=subprocess.PIPE, check=False, text=True)
    full.close()
    assert run.returncode == 1 and "standard output" in run.stderr


# ---- not root -------------------------------------------------------------------------------------------


def nobody():
    user = pwd.getpwnam("nobody")
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)


@pytest.fixture
def public_program(program):
    """The programs where a user without rights can reach them."""
    directory = os.path.dirname(program)
    for path in (directory, os.path.dirname(directory)):
        os.chmod(path, 0o755)
    return program


def test_not_root(onode, public_program):
    """Without root every verb that changes something says so in one line and changes nothing."""
    onode.make("a", "true")
    before = lab.tree(onode.root)
    for args in (["create", "-p", "x", "-b", "box"], ["start", "a"], ["stop", "a"], ["destroy", "a"], ["init"],
                 ["de-init", "-f"], ["create-base", "-b", "y", "--from", "/etc"], ["set-env", "-p", "a", "-E", "A=1"],
                 ["snapshot", "-p", "a"], ["rename", "-p", "a", "-n", "b"], ["cp", "/etc/passwd", "a:/x"]):
        onode.fails(*args, says="root", preexec=nobody)
    onode.fails("exec", "a", "true", says="root", status=125, preexec=nobody)
    assert lab.tree(onode.root) == before


def test_not_root_may_ask(pot, public_program):
    """help, version and completion work for everybody."""
    for args in (["help"], ["version"], ["completion", "bash"], ["help", "start"]):
        assert pot(*args, preexec=nobody).out


# ---- what is missing or full ----------------------------------------------------------------------------------


def test_shim_missing(onode, place):
    """Without its companions pot says which program is missing and where it looked; nothing is started."""
    lonely = os.path.join(place, "lonely")
    os.makedirs(lonely, exist_ok=True)
    shutil.copy2(onode.program, lonely)
    onode.make("a", "sleep 1000")
    alone = lab.Pot(os.path.join(lonely, "pot"), onode.root)
    alone.fails("start", "a", says="pot-shim")
    assert onode.states()["a"] in ("created", "stopped", "failed")


@pytest.fixture
def small_disk(place, cgroups):
    """A file system of 24 MiB."""
    image, directory = os.path.join(place, "small.img"), os.path.join(place, "small")
    with open(image, "wb") as f:
        f.truncate(24 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    os.makedirs(directory, exist_ok=True)
    subprocess.run(["mount", "-o", "loop", image, directory], check=True)
    yield directory
    subprocess.run(["umount", directory], check=True)
    os.unlink(image)


def fill(directory):
    """Leaves no free block."""
    path = os.path.join(directory, "filler")
    with open(path, "ab", buffering=0) as f:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    f.write(b"x" * size)
            except OSError:
                pass
    os.sync()
    return path


def fill_and_use(node, program, box, small_disk):
    node("create-base", "-b", "box", "--from", box)
    node.make("a", "sleep 100000")
    node.run("live")
    for round_number in range(2):
        filler = fill(small_disk)
        for args in (["create", "-p", f"new{round_number}", "-b", "box"], ["create-base", "-b", "more", "--from", box],
                     ["set-env", "-p", "a", "-E", "X=" + "y" * 8000], ["snapshot", "-p", "a"],
                     ["cp", program, "a:/root/x"], ["start", "a"]):
            result = node.call(*args)
            if result.status != 0:
                assert result.status == 1, result
                assert "space" in result.err.lower() and result.err.count("\n") == 1, result
        assert set(node.states()) >= {"a", "live"}
        assert node.states()["live"] == "running"
        if node.states()["a"] == "running":
            node("stop", "a")
        os.unlink(filler)
        node("start", "a")
        node("stop", "a")
        assert node("exec", "live", "echo", "fine").out == "fine\n"


def test_disk_full(program, box, small_disk):
    """On a full disk each verb either works or says in one line that there is no space; what was there stays
    whole, and everything works again when there is space."""
    node = lab.Node(program, os.path.join(small_disk, "root"), "overlay")
    node.init()
    try:
        fill_and_use(node, program, box, small_disk)
    finally:
        node("de-init", "-f")


def test_interrupt_while_waiting(onode):
    """Ctrl-C ends a waiting command with a status of its own and leaves the pot alone."""
    onode.run("a")
    for args in (["wait", "a"], ["logs", "-f", "a"]):
        process = onode.start(*args)
        lab.wait_until(lambda p=process: catches(p.pid, signal.SIGINT), "the handler")
        os.kill(process.pid, signal.SIGINT)
        process.communicate(timeout=lab.HANG)
        assert process.returncode not in (0, None)
    assert onode.states() == {"a": "running"}


def catches(pid, number):
    """Has this process set a handler for the signal?"""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        mask = next(line for line in f if line.startswith("SigCgt:")).split()[1]
    return int(mask, 16) >> (number - 1) & 1 == 1
