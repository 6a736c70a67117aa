"""Hooks: programs of the host at four points of a pot's life."""

import os

import pytest

import lab

POINTS = ("prestart", "poststart", "prestop", "poststop")
LETTERS = dict(zip(POINTS, ("-s", "-S", "-t", "-T")))


@pytest.fixture
def record(place, request):
    """The file that hooks write to."""
    return os.path.join(place, "record-" + "".join(c if c.isalnum() else "-" for c in request.node.name))


def hook(record, point, script="", interpreter="/bin/sh"):
    path = f"{record}.{point}"
    with open(path, "w", encoding="ascii") as f:
        f.write(f"#!{interpreter}\necho {point} >> {record}\n{script}\n")
    os.chmod(path, 0o755)
    return path


def set_all(node, name, record):
    args = []
    for point in POINTS:
        args += [LETTERS[point], hook(record, point, f"env > {record}.env.{point}; exec 3>&-; true")]
    node("set-hook", "-p", name, *args)


def recorded(record):
    if not os.path.exists(record):
        return []
    with open(record, encoding="ascii") as f:
        return f.read().split()


def test_four_points(node, record):
    """The hooks run in order at start and stop, with the pot's facts in their environment."""
    node.make("a", "sleep 100000")
    set_all(node, "a", record)
    assert sorted(node.info("a")["hooks"]) == sorted(POINTS)
    node("start", "a")
    assert recorded(record) == ["prestart", "poststart"]
    node("stop", "a")
    assert recorded(record) == list(POINTS)
    for point in POINTS:
        with open(f"{record}.env.{point}", encoding="ascii") as f:
            env = dict(line.split("=", 1) for line in f.read().splitlines() if "=" in line)
        assert env["_POT_NAME"] == "a"
        assert env["_POT_HOOK"] == point


@pytest.mark.parametrize("death", ["itself", "kill", "stop", "shim", "init", "destroy"])
def test_poststop_after_every_death(onode, record, death):
    """poststop runs exactly once, however the pot ends."""
    onode.make("a", "sh -c 'exit 3'" if death == "itself" else "sleep 100000")
    onode("set-hook", "-p", "a", "-T", hook(record, "poststop"))
    onode("start", "a")
    if death == "kill":
        onode("kill", "a")
    elif death == "stop":
        onode("stop", "-t", "0", "a")
    elif death == "destroy":
        onode("destroy", "-F", "a")
    elif death in ("shim", "init"):
        pid = onode.info("a")["pid"]
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            shim = int(f.read().rpartition(")")[2].split()[1])
        os.kill(shim if death == "shim" else pid, 9)
        if death == "shim":
            lab.wait_until(lambda: not lab.command_line(shim), "the shim's death")
            onode("ps")
    lab.wait_until(lambda: recorded(record), "poststop")
    if death != "destroy":
        lab.wait_until(lambda: onode.states()["a"] not in ("running", "stopping"), "the clean-up")
        onode("ps", "-a")
    assert recorded(record) == ["poststop"]


def test_failing_prestart(node, record):
    """A prestart that fails stops the start and undoes it; the message tells its status."""
    node.make("a", "sleep 100000")
    node("set-hook", "-p", "a", "-s", hook(record, "prestart", "exit 9"))
    node.fails("start", "a", says=("prestart", "9"))
    assert node.states()["a"] != "running"
    assert node.info("a")["pid"] is None
    hook(record, "prestart", "exit 0")
    node("set-hook", "-p", "a", "-s", f"{record}.prestart")
    node("start", "a")


@pytest.mark.parametrize("point", ["prestart", "poststop"])
def test_time_limit(empty_node, box, record, point):
    """A hook that does not end is killed after hook_timeout, with its children, and the life goes on."""
    with open(os.path.join(empty_node.root, "pot.conf"), "w", encoding="ascii") as f:
        f.write("hook_timeout = 1s\n")
    empty_node("create-base", "-b", "box", "--from", box)
    empty_node.make("a", "sleep 100000")
    empty_node("set-hook", "-p", "a", LETTERS[point],
               hook(record, point, f"sleep 5555 & echo $! > {record}.child; wait; sleep 5556"))
    if point == "prestart":
        empty_node.fails("start", "a", says=("prestart", "1"))
        assert empty_node.states()["a"] != "running"
    else:
        empty_node("start", "a")
        empty_node.call("stop", "a")
        assert empty_node.states()["a"] == "stopped"
    with open(f"{record}.child", encoding="ascii") as f:
        child = int(f.read())
    lab.wait_until(lambda: not lab.command_line(child), "the death of the hook's child")


def test_hook_is_a_copy(onode, record):
    """set-hook copies the file: what happens to the original later changes nothing; --remove takes it away."""
    onode.make("a", "true")
    path = hook(record, "prestart")
    onode("set-hook", "-p", "a", "-s", path)
    os.unlink(path)
    onode.call("start", "--attach", "a")
    assert recorded(record) == ["prestart"]


def test_hook_mistakes(onode, record, place):
    """A hook that is missing, a directory or not executable is refused and nothing is set."""
    onode.make("a")
    path = hook(record, "prestart")
    os.chmod(path, 0o644)
    onode.fails("set-hook", "-p", "a", "-s", path, says=path)
    onode.fails("set-hook", "-p", "a", "-s", "/not/there", says="/not/there")
    onode.fails("set-hook", "-p", "a", "-s", place, says=place)
    assert onode.info("a")["hooks"] == []


def test_hooks_get_no_descriptors(onode, record):
    """A hook has descriptors 0, 1 and 2, the root that _POT_ROOT names, and no others."""
    onode.make("a", "true")
    with open(f"{record}.fds.py", "w", encoding="ascii") as f:
        f.write("#!/usr/bin/python3\nimport os\nfds = os.listdir('/proc/self/fd')\n"
                f"with open('{record}.fds', 'w') as f:\n    f.write(os.environ['_POT_ROOT'] + ' ' + ' '.join(fds))\n")
    os.chmod(f"{record}.fds.py", 0o755)
    onode("set-hook", "-p", "a", "-s", f"{record}.fds.py")
    onode.call("start", "--attach", "a")
    with open(f"{record}.fds", encoding="ascii") as f:
        root, *fds = f.read().split()
    # 3 is the list's own; the pot's root is given by a descriptor, and that one is named.
    assert set(fds) - {os.path.basename(root)} == {"0", "1", "2", "3"}
