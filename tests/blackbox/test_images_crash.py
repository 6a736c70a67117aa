"""Images and a kill at every step: a command on images happened or did not, every image that is shown works, and
nothing is left that the next prune does not take away.

As test_crash.py does: each scenario runs once to note the fault points that it passes, in pot-image as well as in
pot, and then once for every pass, killed there.
"""

import collections
import os
import subprocess

import pytest

import lab
from test_images import busybox_layer, docker_archive, images, layer, left


def clear(node):
    for name in node.states():
        node("destroy", "-F", name)
    node("image", "prune", "-a")
    if os.path.exists(os.path.join(node.root, "bases", "extra")):
        node.call("destroy", "-b", "extra")


def storage(node):
    """File systems of images in the storage, as it shows them."""
    if node.storage == "overlay":
        directory = os.path.join(node.root, "storage", "overlay", "fs")
        return sorted(n for n in os.listdir(directory) if n.startswith("image."))
    if node.storage == "zfs":
        out = subprocess.run(node.prefix + ["zfs", "list", "-H", "-o", "name", "-r", node.init_args[1]],
                             capture_output=True, text=True, check=True).stdout
        return sorted(n for n in out.split() if "/image" in n[len(node.init_args[1]):] and n.count("/") > 2)
    return []


def nothing(node):
    pass


def pot(node):
    node.make("a", "sleep 100000")
    node("copy-in", "-p", "a", "-s", "/etc/hostname", "-d", "/added")


def committed(node):
    pot(node)
    node("commit", "-p", "a", "-t", "one:1")


def snapshot(node):
    pot(node)
    node("snapshot", "-n", "s", "a")


def twice(node):
    committed(node)
    node("create", "-p", "b", "--image", "one:1")
    node("copy-in", "-p", "b", "-s", "/etc/hostname", "-d", "/more")
    node("commit", "-p", "b", "-t", "two:1")
    node("destroy", "b")


def named_twice(node):
    twice(node)
    node("rmi", "two:1")


def image_pot(node):
    committed(node)
    node("create", "-p", "b", "--image", "one:1")
    node("copy-in", "-p", "b", "-s", "/etc/hostname", "-d", "/more")


SCENARIOS = {
    "commit": (pot, lambda node: ["commit", "-p", "a", "-t", "one:1"]),
    "commit-snapshot": (snapshot, lambda node: ["commit", "-p", "a", "-n", "s", "-t", "one:1"]),
    "commit-on-image": (image_pot, lambda node: ["commit", "-p", "b", "-t", "two:1"]),
    "load": (nothing, lambda node: ["load", "-i", node.archive]),
    "tag": (committed, lambda node: ["tag", "one:1", "example.org/a/b:2"]),
    "rmi": (twice, lambda node: ["rmi", "two:1"]),
    "prune-all": (named_twice, lambda node: ["image", "prune", "-a"]),
    "create": (committed, lambda node: ["create", "-p", "c", "--image", "one:1"]),
    "create-base": (committed, lambda node: ["create-base", "-b", "extra", "--from", "one:1"]),
}


def seen(node):
    return {"images": {n: i["id"] for n, i in images(node).items()},
            "pots": sorted(node.states()),
            "bases": sorted(b["name"] for b in node("--format", "json", "list", "-b").json())}


def works(node):
    """Every image that is shown is whole: it is ready, and a pot of it runs."""
    for name, image in images(node).items():
        assert image["ready"], name
        assert node("run", "--rm", "-N", "inherit", name, "echo", "works").out == "works\n"


@pytest.fixture
def inode(node, box, tmp_path):
    yield from with_archive(node, box, tmp_path)


@pytest.fixture
def ionode(onode, box, tmp_path):
    yield from with_archive(onode, box, tmp_path)


def with_archive(node, box, tmp_path):
    node.archive = str(tmp_path / "archive.tar")
    docker_archive(node.archive, {}, [busybox_layer(box), layer(("more", b"1"))])
    clear(node)
    yield node
    clear(node)
    assert left(node) == []


@pytest.mark.parametrize("verb", ["commit", "load"])
def test_killed_at_every_step(inode, verb, tmp_path):
    """Killed anywhere, the command happened or did not; what is there works; the same command again succeeds."""
    kill_at_every_step(inode, verb, tmp_path)


@pytest.mark.parametrize("verb", sorted(set(SCENARIOS) - {"commit", "load"}))
def test_killed_at_every_step_on_overlay(ionode, verb, tmp_path):
    """The same for the others, which ask nothing else of the storage."""
    kill_at_every_step(ionode, verb, tmp_path)


def kill_at_every_step(node, verb, tmp_path):
    setup, command = SCENARIOS[verb]
    log = tmp_path / "points"
    setup(node)
    done = node.call(*command(node), env={"POT_FAULT_LOG": str(log)})
    assert done.status == 0, done
    after = seen(node)
    after["images"] = dict.fromkeys(after["images"])  # the time in them makes digests other ones each time
    clear(node)
    empty = storage(node)
    passes, points = collections.Counter(), []
    for name in log.read_text().split():
        passes[name] += 1
        # The steps of what it stands on, storage and atomic files, have tests of their own.
        if passes[name] == 1 and name.startswith(("image.", "create.", "base.")):
            points.append((name, passes[name]))
    assert any(name.startswith("image.") or verb.startswith("create") for name, _ in points), points
    for name, count in points:
        setup(node)
        before = seen(node)
        process = node.start(*command(node), env={"POT_FAULT": f"{name}:{count}"})
        process.communicate(timeout=lab.HANG)
        node.call("prune")
        now = seen(node)
        same = now == before
        now["images"] = dict.fromkeys(now["images"])
        assert same or now == after, f"killed at {name}:{count}\n{now}\nbefore {before}\nafter {after}"
        works(node)
        if not same and verb.startswith(("create", "rmi")):
            clear(node)
            setup(node)
        again = node.call(*command(node))
        assert again.status == 0, f"killed at {name}:{count}: {again}"
        clear(node)
        assert left(node) == [], f"killed at {name}:{count}"
        assert storage(node) == empty, f"killed at {name}:{count}"


def test_no_space(onode, box, tmp_path):
    """A full disk: load and commit say so, show nothing, and work again when there is room."""
    image = tmp_path / "disk"
    with open(image, "wb") as f:
        f.truncate(12 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-O", "^has_journal", "-I", "256", str(image)], check=True)
    mount = tmp_path / "mnt"
    mount.mkdir()
    subprocess.run(["mount", "-o", "loop", str(image), str(mount)], check=True)
    try:
        small = lab.Node(onode.program, str(mount / "node"), "overlay")
        small.init()
        small("create-base", "-b", "box", "--from", box)
        small.make("a")
        with open(tmp_path / "fill", "wb") as f:
            f.write(os.urandom(3 << 20))
        archive = str(tmp_path / "big.tar")
        docker_archive(archive, {}, [busybox_layer(box), layer(("fill", os.urandom(4 << 20)))])
        result = small.call("load", "-i", archive)
        assert result.status == 1 and "No space left" in result.err, result
        assert images(small) == {} and small.call("image", "prune").status == 0 and left(small) == []
        filler = mount / "filler"
        with open(filler, "wb") as f:
            try:
                while f.write(b"x" * 65536):
                    f.flush()
            except OSError:
                pass
        result = small.call("commit", "-p", "a", "-t", "x:1")
        assert result.status == 1 and "No space left" in result.err, result
        filler.unlink()
        assert images(small) == {}
        small("commit", "-p", "a", "-t", "x:1")
        assert small("run", "--rm", "-N", "inherit", "x:1", "echo", "room").out == "room\n"
        small("de-init", "-f")
    finally:
        subprocess.run(["umount", str(mount)], check=True)
