"""Classic images and a kill at every step, or a full disk: nothing half made is seen, and the next command cleans up."""

import os
import subprocess

import lab
from classic_lab import content, partial, put
from test_classic import skein  # noqa: F401 (a fixture)

# The steps of making any pot and of receiving any stream have tests of their own.
MINE = ("image.import.", "image.export.", "create.cloned", "create.configured", "zfs.pack.")


def datasets(node):
    out = subprocess.run(node.prefix + ["zfs", "list", "-H", "-o", "name", "-r", node.init_args[1]], capture_output=True,
                         text=True, check=True).stdout.split()
    return sorted(out)


def killed(node, command, point):
    process = node.start(*command, env={"POT_FAULT": point})
    process.communicate(timeout=lab.HANG)
    # pot executes pot-image, or says of what it started that it was killed.
    assert process.returncode != 0, point


def points(node, command, log):
    """The first pass of each step."""
    node(*command, env={"POT_FAULT_LOG": str(log)})
    return [p for p in dict.fromkeys(log.read_text().split()) if p.startswith(MINE)]


def is_whole(skein, place, stem):  # noqa: F811
    path = os.path.join(place, stem + ".xz")
    if not os.path.exists(path + ".skein"):
        return False
    both = b"".join(open(path + end, "rb").read() for end in ("", ".meta"))
    total = subprocess.run([skein], input=both, stdout=subprocess.PIPE, check=True).stdout
    with open(path + ".skein", "rb") as f:
        assert f.read() == total
    return True


def test_killed_export(znode, skein, tmp_path):  # noqa: F811
    """Where there is a .skein it is that of the files beside it; the same command again leaves the set and nothing else."""
    place = tmp_path / "sets"
    place.mkdir()
    key = str(tmp_path / "key")
    znode("keygen", "-p", key + ".pub", "-s", key + ".sec", "-n")
    znode.make("base")
    command = ("export", "--format", "classic", "-A", "-p", "web", "-t", "1", "-D", str(place), "-l", "0", "-S", key + ".sec")
    znode("snapshot", "-n", "s", "base")
    znode("export", "--format", "classic", "-p", "base", "-t", "1", "-D", str(place), "-l", "0")
    znode("clone", "-P", "base", "-p", "web")
    znode("snapshot", "-n", "s", "web")
    steps = points(znode, command, tmp_path / "log")
    assert {"image.export.retracted", "image.export.noted", "zfs.pack.copied"} <= set(steps)
    before, files, own = datasets(znode), sorted(os.listdir(place)), znode.states()
    seen = set()
    for step in steps:
        killed(znode, command, step)
        seen.add(is_whole(skein, str(place), "web_1"))
        assert znode.states() == own
        znode(*command)
        assert is_whole(skein, str(place), "web_1"), step
        assert (datasets(znode), sorted(os.listdir(place))) == (before, files), step
    assert seen == {True, False}
    # What nobody comes back for is prune's.
    killed(znode, command, "zfs.pack.snapshot")
    assert datasets(znode) != before
    znode("image", "prune")
    assert datasets(znode) == before


def test_killed_import(znode, serve, tmp_path):
    """No pot, or the whole of it; the same command again makes it and leaves nothing else."""
    znode.make("a")
    put(znode, "a", "/mark", "m\n", tmp_path)
    znode("export", "--format", "classic", "-A", "-p", "a", "-t", "1", "-D", serve.directory, "-l", "0")
    znode("destroy", "-F", "a")
    before = datasets(znode)
    command = ("import", "-p", "a", "-t", "1", "-U", serve.url, "--insecure")
    steps = points(znode, command, tmp_path / "log")
    assert {"image.import.fetched", "image.import.settings", "create.cloned", "create.configured"} <= set(steps)
    steps.append("zfs.receive.settled:2")
    after = datasets(znode)
    znode("destroy", "-F", "a_1")
    for step in steps:
        killed(znode, command, step)
        if znode.states() == {}:
            znode(*command)
        assert content(znode, "a_1", "/mark", tmp_path) == "m\n", step
        assert datasets(znode) == after, step
        znode("destroy", "-F", "a_1")
        assert datasets(znode) == before, step
    znode("image", "prune", "-a")
    assert partial(znode) == []


def test_prune_beside(znode, tmp_path):
    """What an export or an import has made for the moment is not taken from under it."""
    export = ("export", "--format", "classic", "-A", "-p", "a", "-t", "1", "-D", str(tmp_path), "-l", "0")
    znode.make("a")
    for command, point in ((export, "zfs.pack.copied"), (("import", "-p", "a", "-t", "1", "-U", str(tmp_path)), "image.import.head")):
        process = znode.start(*command, env={"POT_FAULT_STOP": point})
        lab.wait_until(lambda: stopped(process.pid), "the stop at " + point)  # pylint: disable=cell-var-from-loop
        znode("image", "prune")
        os.killpg(process.pid, 18)
        out, err = process.communicate(timeout=lab.HANG)
        assert process.returncode == 0, (out, err)
    assert sorted(znode.states()) == ["a", "a_1"]


def stopped(group):
    out = subprocess.run(["ps", "-e", "-o", "pgid=,stat="], capture_output=True, text=True, check=True).stdout
    return any(line.split()[0] == str(group) and line.split()[1].startswith("T") for line in out.splitlines())


def test_no_space(znode, other_znode, tmp_path):
    """A full directory and a full pool are told, and leave nothing but room."""
    place = str(tmp_path)
    small = os.path.join(place, "small")
    os.mkdir(small)
    znode.make("a")
    put(znode, "a", "/fill", os.urandom(400000).hex(), tmp_path)
    export = ("export", "--format", "classic", "-A", "-p", "a", "-t", "1", "-l", "0")
    subprocess.run(znode.prefix + ["mount", "-t", "tmpfs", "-o", "size=256k", "small", small], check=True)
    try:
        before = datasets(znode)
        znode.fails(*export, "-D", small, says="No space left")
        assert subprocess.run(znode.prefix + ["ls", "-A", small], check=True, capture_output=True).stdout == b""
        assert datasets(znode) == before
    finally:
        subprocess.run(znode.prefix + ["umount", small], check=True)
    znode(*export, "-D", place)
    root = other_znode.init_args[1]
    before = datasets(other_znode)
    used = int(subprocess.run(znode.prefix + ["zfs", "get", "-H", "-p", "-o", "value", "used", root], check=True,
                              capture_output=True).stdout)
    subprocess.run(znode.prefix + ["zfs", "set", f"quota={used + 300000}", root], check=True)
    result = other_znode.call("import", "-p", "a", "-t", "1", "-U", place)
    assert result.status == 1 and ("space" in result.err or "quota" in result.err), result
    subprocess.run(znode.prefix + ["zfs", "set", "quota=none", root], check=True)
    assert other_znode.states() == {} and datasets(other_znode) == before
    other_znode("import", "-p", "a", "-t", "1", "-U", place)
    assert len(content(other_znode, "a_1", "/fill", tmp_path)) == 800000
