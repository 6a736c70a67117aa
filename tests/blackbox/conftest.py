"""Fixtures of the black-box tests: see lab.py for what they hand out.

  pot    the program without an installation
  node   an installation on each storage in turn (overlay, btrfs, zfs), with the base "box"
  onode  the same on overlay only: for what no storage changes
  znode  the same on zfs only; other_znode another one, on a small pool of its own
  debian a node with a Debian base "bookworm" (overlay)

Every test gets back a node without pots and is failed when it left a process, a cgroup, a mount or a loop device.
"""

import contextlib
import ctypes
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import classic_lab  # noqa: E402
import file_server  # noqa: E402
import lab  # noqa: E402

CONFORMANCE = os.path.join(lab.TREE, "tests", "conformance")
STORAGES = ("overlay", "btrfs", "zfs")
# The agent's, where one was; its driver makes it and leaves it (docs/nomad.md).
NOMAD_GROUP = "/sys/fs/cgroup/freezer/nomad"


def pytest_sessionstart(session):
    if os.getuid() != 0:
        raise pytest.UsageError("pots need root: sudo make test")
    # What started us may ignore some (nohup, a background job); pots' commands are to see none of that.
    for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    own_namespaces()


def own_namespaces():
    """What a test mounts, or forgets, never reaches the host, nor does any packet."""
    libc = ctypes.CDLL(None, use_errno=True)
    new, private = 0x00020000 | 0x40000000, (1 << 14) | (1 << 18)  # CLONE_NEWNS, CLONE_NEWNET, MS_REC | MS_PRIVATE
    lab.OUTER_NETWORK = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    if libc.unshare(new) != 0 or libc.mount(b"none", b"/", None, ctypes.c_ulong(private), None) != 0:
        raise pytest.UsageError(f"no namespaces of our own: {os.strerror(ctypes.get_errno())}")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


@pytest.fixture(scope="session")
def place():
    """A directory on the machine's disk for everything that this session makes."""
    # Part of what buildah takes for the name of an image, in which "-_" cannot stand, as in names of tempfile.
    directory = f"/var/tmp/pot-test-{os.getpid()}-{secrets.token_hex(4)}"
    os.mkdir(directory, 0o700)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def cgroups(place):
    groups = lab.Cgroups(f"pot-test-{os.getpid()}")
    groups.place = place
    there = os.path.exists(NOMAD_GROUP)
    yield groups
    groups.leave()
    if not there and os.path.exists(NOMAD_GROUP):
        os.rmdir(NOMAD_GROUP)


@pytest.fixture(scope="session")
def program(place, cgroups):
    """The pot program under test, with its companions beside it."""
    directory = os.path.join(place, "programs")
    os.mkdir(directory)
    return lab.collect_programs(directory)


@pytest.fixture(scope="session")
def box(place):
    """The directory of the busybox root; box.tar stands beside it."""
    return lab.make_box(place)


@pytest.fixture(scope="session")
def attack(place):
    """The program of hostile processes, static: it runs in any root."""
    program = os.path.join(place, "attack")
    subprocess.run(["gcc", "-static", "-O1", "-o", program, os.path.join(lab.HERE, "attack.c")], check=True)
    return program


@pytest.fixture
def pot(program):
    return lab.Pot(program)


def prepare(script, verb, directory, *words):
    # Output to a file: a daemon that it starts would keep a pipe open.
    with open(directory + ".log", "w", encoding="utf-8") as log:
        run = subprocess.run([script, verb, directory, *words], stdout=log, stderr=log, stdin=subprocess.DEVNULL, check=False)
    assert run.returncode == 0, open(directory + ".log", encoding="utf-8").read()


def read(directory, name):
    with open(os.path.join(directory, name), encoding="ascii") as f:
        return f.read().strip()


@pytest.fixture(scope="session")
def zfs_pool(place, cgroups):
    """A pool on a file: its name, how to run a program where it is, and a process of that mount namespace."""
    script, directory = os.path.join(CONFORMANCE, "prepare_zfs.sh"), os.path.join(place, "zfs")
    prepare(script, "up", directory)
    daemon = "self"
    if os.path.exists(os.path.join(directory, "daemon.pid")):
        daemon = read(directory, "daemon.pid")
    yield read(directory, "pool"), [script, "run", directory], daemon
    prepare(script, "down", directory)


@pytest.fixture(scope="session")
def btrfs_mount(place, cgroups):
    """A btrfs on a loop device: its mount point."""
    script, directory = os.path.join(CONFORMANCE, "prepare_btrfs.sh"), os.path.join(place, "btrfs")
    prepare(script, "up", directory)
    yield os.path.join(directory, "mnt")
    prepare(script, "down", directory)


@pytest.fixture(scope="session")
def small_zfs_pool(zfs_pool, place):
    """Another pool, of another identity, in the same place."""
    return read(os.path.join(place, "zfs"), "small-pool")


def new_node(request, storage, where=None, pool=None):
    """An installation without bases, below `where` or the storage's usual place; the caller removes it."""
    program = request.getfixturevalue("program")
    place = request.getfixturevalue("place")
    if where is not None:
        place = where
    elif storage == "btrfs":
        place = request.getfixturevalue("btrfs_mount")
    root = tempfile.mkdtemp(prefix="node-", dir=place)
    node = lab.Node(program, root, storage)
    if storage == "zfs":
        first, node.prefix, node.namespace = request.getfixturevalue("zfs_pool")
        node.init_args = ("--zfs-root", (pool or first) + "/" + os.path.basename(root))
    node.init()
    return node


@contextlib.contextmanager
def installation(request, storage, where=None, pool=None):
    """A node from init to the proof that de-init left nothing."""
    box = request.getfixturevalue("box")
    node = new_node(request, storage, where, pool)
    node("create-base", "-b", "box", "--from", box)
    yield node
    node("de-init", "-f")
    assert not os.path.exists(node.root) or os.listdir(node.root) == []
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(node.root)
    assert [m for m in node.mounts() if os.path.basename(node.root) in m] == []


@pytest.fixture(scope="session")
def overlay_installation(request):
    with installation(request, "overlay") as node:
        yield node


@pytest.fixture(scope="session")
def btrfs_installation(request, btrfs_mount):
    with installation(request, "btrfs") as node:
        yield node


@pytest.fixture(scope="session")
def zfs_installation(request, zfs_pool):
    with installation(request, "zfs") as node:
        yield node


def leftovers(node, cgroups):
    return {"processes": cgroups.processes(), "cgroups": cgroups.groups(), "mounts": node.mounts(),
            "loops": lab.loops(cgroups.place), "network": lab.network(node)}


def kill_leftovers(cgroups):
    """So that one bad test does not fail all that follow."""
    for pid in cgroups.processes():
        with contextlib.suppress(OSError):
            os.kill(pid, 9)


def clear(node):
    """Removes every pot. A second round for what a failed test left busy, so that the next one can work."""
    for _ in range(2):
        results = [node.call("destroy", "-F", pot["name"]) for pot in
                   json.loads(node.call("--format", "json", "ps", "-a").out)]
        if all(result.status == 0 for result in results):
            return
    raise AssertionError(results)


@contextlib.contextmanager
def borrowed(node, cgroups):
    """The node for one test: afterwards without pots, and nothing else changed."""
    before = leftovers(node, cgroups)
    yield node
    try:
        clear(node)
        lab.wait_until(lambda: not cgroups.processes() or cgroups.processes() == before["processes"],
                       "the end of all processes", seconds=20)
        lab.wait_until(lambda: not cgroups.lingering(), "the end of who waits for the kernel", seconds=20)
        # Nobody waits for the kernel's removal of a link.
        lab.wait_until(lambda: lab.network(node)["links"] == before["network"]["links"], "the end of links")
        assert leftovers(node, cgroups) == before
    except BaseException:
        kill_leftovers(cgroups)
        raise


@pytest.fixture(autouse=True)
def no_hang():
    """A test that waits for ever fails where it waits."""
    def stop(number, frame):
        raise AssertionError(f"hangs: longer than {8 * lab.HANG} seconds")

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(8 * lab.HANG)
    yield
    signal.alarm(0)


@pytest.fixture(params=STORAGES)
def node(request, cgroups):
    with borrowed(request.getfixturevalue(request.param + "_installation"), cgroups) as n:
        yield n


@pytest.fixture
def onode(overlay_installation, cgroups):
    with borrowed(overlay_installation, cgroups) as n:
        yield n


@pytest.fixture
def znode(zfs_installation, cgroups):
    with borrowed(zfs_installation, cgroups) as n:
        yield n


@pytest.fixture(scope="session")
def other_zfs_installation(request, small_zfs_pool):
    with installation(request, "zfs", pool=small_zfs_pool) as node:
        yield node


@pytest.fixture
def other_znode(other_zfs_installation, cgroups):
    with borrowed(other_zfs_installation, cgroups) as n:
        yield n


@pytest.fixture(scope="session")
def sets(zfs_installation, cgroups, tmp_path_factory):
    """Classic images: base:1, and top:2 layered on it; signed."""
    with borrowed(zfs_installation, cgroups) as node:
        return classic_lab.make_sets(node, tmp_path_factory.mktemp("sets"))


@pytest.fixture
def serve(tmp_path):
    """A plain file server of a directory of its own."""
    directory = tmp_path / "served"
    directory.mkdir()
    server = file_server.FileServer(str(directory))
    yield server
    server.close()


@pytest.fixture(scope="session")
def quota_mount(place, cgroups):
    """A btrfs with quotas."""
    script, directory = os.path.join(CONFORMANCE, "prepare_btrfs.sh"), os.path.join(place, "btrfs-quota")
    prepare(script, "up", directory, "full")
    yield os.path.join(directory, "mnt")
    prepare(script, "down", directory)


@pytest.fixture(params=("btrfs", "zfs"))
def quota_node(request, cgroups):
    """An installation on each storage that has quotas."""
    if request.param == "zfs":
        with borrowed(request.getfixturevalue("zfs_installation"), cgroups) as n:
            yield n
        return
    with installation(request, "btrfs", request.getfixturevalue("quota_mount")) as made, borrowed(made, cgroups) as n:
        yield n


@pytest.fixture
def empty_node(request):
    """A node of the test's own on overlay, for tests that change or remove the installation."""
    n = new_node(request, "overlay")
    yield n
    n.call("de-init", "-f")
    shutil.rmtree(n.root, ignore_errors=True)


@pytest.fixture(scope="session")
def debian_tarball(place):
    """A Debian root, from the cache or made now."""
    run = subprocess.run([os.path.join(lab.TREE, "tests", "make_base.sh")], capture_output=True, text=True,
                         check=False, preexec_fn=lambda: lab.enter(lab.OUTER_NETWORK))
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout.strip().splitlines()[-1]


@pytest.fixture
def debian(onode, debian_tarball):
    bases = [b["name"] for b in onode("--format", "json", "list", "-b").json()]
    if "bookworm" not in bases:
        onode("create-base", "-b", "bookworm", "--from", debian_tarball)
    return onode
