"""The same on a kernel that lacks calls (T66): a filter around pot makes them ENOSYS, for it and all it starts.

Without openat2, pidfd_open or clone3 every verb works; without the others each works, or fails in one line and
leaves nothing behind. What works keeps the walls.
"""

import os

import pytest

import lab

REPLACED = ("openat2", "pidfd_open", "clone3")
CALLS = REPLACED + ("open_tree", "fsopen", "mount_setattr")
SETS = {**{call: call for call in CALLS}, "replaced": ",".join(REPLACED), "all": ",".join(CALLS)}


@pytest.fixture
def old(onode, attack):
    """Runs pot as on a kernel without some calls: a function that gives the node."""
    def without(calls):
        node = lab.Node(onode.program, onode.root, onode.storage, prefix=[attack, "old-kernel", calls])
        return node

    return without


def either(result, statuses=(1,), calls=""):
    """It worked, or it failed as failures should (never when pot has something else for the calls): did it work?"""
    if result.status == 0:
        return True
    assert not calls or not set(calls.split(",")) <= set(REPLACED), result
    assert result.status in statuses, result
    assert result.err.startswith("pot: ") and result.err.count("\n") == 1, result
    return False


@pytest.mark.parametrize("calls", SETS.values(), ids=SETS)
def test_t66_verbs_without_calls(onode, old, place, calls):
    """T66: each verb works or fails closed, in one line, when a call is missing; afterwards, with the call, all of
    them work on what is there."""
    node, file = old(calls), os.path.join(place, "old-kernel-file")

    def works(result, statuses=(1,)):
        return either(result, statuses, calls)

    with open(file, "w", encoding="ascii") as f:
        f.write("from the host\n")
    onode.make("ready", "sleep 100000")
    before = onode.mounts()
    made = works(node.call("create", "-p", "a", "-b", "box", "-N", "none"))
    assert ("a" in onode.states()) == made
    if not made:
        onode("create", "-p", "a", "-b", "box", "-N", "none")
    works(node.call("set-cmd", "-p", "a", "-c", "sleep 100000"))
    onode("set-cmd", "-p", "a", "-c", "sleep 100000")
    for name in ("a", "ready"):
        if not works(node.call("start", name)):
            assert onode.states()[name] in ("created", "stopped", "failed"), onode.states()
            assert onode.mounts() == before
            onode("start", name)
        if works(node.call("exec", name, "sh", "-c", "echo $$ > /root/ran"), (125,)):
            assert onode.sh(name, "cat /root/ran").strip().isdigit()
        works(node.call("cp", file, f"{name}:/root/file"))
        works(node.call("cp", f"{name}:/etc/passwd", os.path.join(place, "old-kernel-out")))
        works(node.call("mount-in", "-p", name, "-d", place, "-m", "/mnt"))
        works(node.call("mount-out", "-p", name, "-m", "/mnt"))
        works(node.call("--format", "json", "top", name))
        works(node.call("pause", name))
        onode.call("unpause", name)
        assert onode("exec", name, "echo", "alive").out == "alive\n"
        if not works(node.call("stop", "-t", "0", name)):
            onode("stop", "-t", "0", name)
        assert onode.states()[name] == "stopped"
    works(node.call("snapshot", "-p", "a"))
    works(node.call("clone", "-p", "b", "-P", "a", "-F"))
    works(node.call("destroy", "a"))
    assert onode.mounts() == before
    for name in onode.states():
        onode("start", name)
        assert onode("exec", name, "echo", "alive").out == "alive\n"
        onode("stop", "-t", "0", name)
    for name in ("old-kernel-file", "old-kernel-out"):
        if os.path.lexists(os.path.join(place, name)):
            os.unlink(os.path.join(place, name))


@pytest.mark.parametrize("calls", SETS.values(), ids=SETS)
def test_t66_links_without_calls(onode, old, tmp_path, calls):
    """T66: without a call, cp, mount-in, exec -w and user look-ups still do not follow a link out of the pot."""
    node, directory, empty = old(calls), str(tmp_path / "canary"), str(tmp_path / "empty")
    os.mkdir(directory)
    os.mkdir(empty)
    with open(os.path.join(directory, "canary"), "w", encoding="ascii") as f:
        f.write("of the host\n")
    before = lab.tree(directory)
    onode.run("a")
    onode.sh("a", f"ln -s {directory} /l; ln -s ../../../../..{directory} /r; ln -s /proc/1/root{directory} /m")
    for link in ("/l", "/r", "/m"):
        result = node.call("exec", "-w", link, "a", "cat", "canary")
        assert "of the host" not in result.out, result
        # A directory of that name may be in the pot by now (mount-in makes its target), but never the host's.
        stolen = str(tmp_path / "stolen")
        if node.call("cp", f"a:{link}/canary", stolen).status == 0:
            if os.path.isdir(stolen):
                os.rmdir(stolen)
                continue
            with open(stolen, encoding="ascii") as f:
                assert f.read() != "of the host\n"
            os.unlink(stolen)
        node.call("cp", "/etc/hostname", f"a:{link}/canary")
        node.call("cp", "/etc/hostname", f"a:{link}/new")
        mounts = onode.mounts()
        node.call("mount-in", "-p", "a", "-d", empty, "-m", f"{link}/canary")
        assert onode.mounts() == mounts
    onode.sh("a", f"rm /etc/passwd; ln -s {directory}/canary /etc/passwd")
    assert node.call("exec", "-u", "alice", "a", "true").status == 125
    onode("stop", "-t", "0", "a")
    assert lab.tree(directory) == before


def test_t66_walls_without_calls(onode, old, attack):
    """T66: a pot that starts without the calls has the same walls: user namespace or capabilities, filter, masks."""
    onode.make("new", "sleep 100000")
    onode("start", "new")
    for calls in SETS.values():
        node = old(calls)
        onode.make("old", "sleep 100000")
        if either(node.call("start", "old"), calls=calls):
            seen = {}
            for name in ("new", "old"):
                onode("cp", attack, f"{name}:/bin/attack")
                seen[name] = (onode("exec", name, "/bin/attack", "calls").out,
                              onode.sh(name, "grep -E '^(Cap|NoNew)' /proc/1/status; id; cat /proc/keys | wc -c"))
            # A filter around pot is one more inside.
            assert seen["old"] == seen["new"], calls
        onode("destroy", "-F", "old")
