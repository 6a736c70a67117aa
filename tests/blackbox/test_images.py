"""Images of pots and pots of images: what is stored, what comes back, what other tools make of it, what is freed."""

import hashlib
import io
import json
import os
import shutil
import stat
import subprocess
import tarfile
import tempfile

import pytest

import lab

@pytest.fixture(autouse=True)
def no_images(request):
    """Every test finds and leaves the node without images."""
    nodes = [request.getfixturevalue(name) for name in ("node", "onode") if name in request.fixturenames]
    yield
    for node in nodes:
        for pot in node.states():
            node("destroy", "-F", pot)
        for image in images(node):
            node("rmi", image)
        node("image", "prune", "-a")
        assert left(node) == [], left(node)


def images(node):
    return {i["name"]: i for i in node("--format", "json", "images").json()}


def left(node):
    """Files of the store that belong to an image, or to a command at work on one."""
    found = []
    for area in ("blobs", "partial", "refs", "ready", "layers", "subjects", "pins"):
        for directory, _, files in os.walk(os.path.join(node.root, "images", area)):
            found += [os.path.join(directory, f) for f in files if f != ".lock"]
    return found


def blobs(node):
    directory = os.path.join(node.root, "images", "blobs", "sha256")
    return {f: os.path.getsize(os.path.join(directory, f)) for f in os.listdir(directory)}


def rich(directory):
    """A tree with one of everything that a layer can hold."""
    def path(name):
        return os.path.join(directory, name)

    def write(name, content=b"x", mode=0o644):
        os.makedirs(os.path.dirname(path(name)), exist_ok=True)
        with open(path(name), "wb") as f:
            f.write(content)
        os.chmod(path(name), mode)

    write("setuid", b"su" * 3000, 0o4755)
    os.link(path("setuid"), path("second"))
    os.makedirs(path("d/sub"))
    os.link(path("setuid"), path("d/third"))
    os.chown(path("d"), 1000, 1001)
    os.chmod(path("d"), 0o2775)
    os.symlink("/etc/passwd", path("link"))
    os.symlink("x" * 150, path("longlink"))
    os.mkfifo(path("fifo"), 0o640)
    write("noted")
    os.setxattr(path("noted"), "user.note", b"a\0b")
    write("able", b"#!/bin/sh\n", 0o755)
    os.setxattr(path("able"), "security.capability",
                bytes.fromhex("0100000200040000000000000000000000000000"))
    os.setxattr(path("d"), "user.on-dir", b"yes")
    write("d/" + "n" * 200)
    write("/".join(["deep" * 12] * 5) + "/leaf")
    write("caf\u00e9")
    os.makedirs(os.fsencode(directory) + b"/bytes-\xff")
    with open(path("sparse"), "wb") as f:
        f.truncate(8 << 20)
        f.seek(4 << 20)
        f.write(b"middle")
    write("high-owner")
    os.chown(path("high-owner"), 4000000, 70000)
    os.utime(path("noted"), ns=(10**18 + 123456789, 10**18 + 123456789))
    write("old/one")
    write("old/two")
    write("gone/file")
    write("kind")
    write("alone")


def look(root, pot_made=True):
    """Everything below root that an image must keep. pot_made: without what pots have of their own."""
    out, inodes = {}, {}
    skip = {"dev", "proc", "sys", "run", "tmp", "etc/hosts", "etc/hostname", "etc/resolv.conf"} if pot_made else set()
    for directory, names, files in os.walk(root):
        here = os.path.relpath(directory, root)
        names[:] = [n for n in names if os.path.normpath(os.path.join(here, n)) not in skip]
        for name in names + files:
            full = os.path.join(directory, name)
            rel = os.path.normpath(os.path.join(here, name))
            if rel in skip:
                continue
            s = os.lstat(full)
            kind = stat.S_IFMT(s.st_mode)
            content, attrs = None, {}
            if kind == stat.S_IFLNK:
                content = os.readlink(full)
            elif kind == stat.S_IFREG:
                with open(full, "rb") as f:
                    content = hashlib.sha256(f.read()).hexdigest()
            if kind in (stat.S_IFREG, stat.S_IFDIR):
                attrs = {k: os.getxattr(full, k) for k in os.listxattr(full)
                         if k.startswith("user.") and "overlay" not in k or k == "security.capability"}
            if kind != stat.S_IFDIR and s.st_nlink > 1:
                inodes.setdefault(s.st_ino, []).append(rel)
            mtime = None if kind == stat.S_IFDIR and rel in (".", "etc") else s.st_mtime_ns
            out[rel] = [oct(s.st_mode), s.st_uid, s.st_gid, mtime, content, attrs, []]
    for names in inodes.values():
        for name in names:
            out[name][6] = sorted(names)
    return out


def tree(node, pot):
    """look() at a stopped pot's root, which is started for it with the host's user ids."""
    conf = os.path.join(node.root, "pots", pot, "pot.conf")
    with open(conf, encoding="utf-8") as f:
        text = f.read()
    with open(conf, "w", encoding="utf-8") as f:
        f.write("".join(line for line in text.splitlines(True) if not line.startswith(("pot.cmd=", "pot.workdir=",
                                                                                       "pot.user=")))
                + "pot.cmd=sleep 100000\npot.userns=off\n")
    node("start", pot)
    try:
        return look(f"/proc/{node.info(pot)['pid']}/root")
    finally:
        node("stop", "-t", "0", pot)
        with open(conf, "w", encoding="utf-8") as f:
            f.write(text)


def change(node, pot):
    """Changes of every kind in a running pot."""
    node.sh(pot, "rm -r /old /gone /kind; mkdir /kind; echo in >/kind/in; mkdir /old; echo new >/old/three; "
                 "echo more >>/noted; chmod 700 /d/sub; mv /alone /moved; ln -s there /here; "
                 "rm /link; echo file >/link; touch -d 2001-02-03 /stamped")


@pytest.fixture(scope="session")
def rich_box(place, box):
    directory = os.path.join(place, "rich")
    subprocess.run(["cp", "-a", box, directory], check=True)
    rich(directory)
    return directory


@pytest.fixture
def rich_node(node, rich_box):
    return with_rich(node, rich_box)


@pytest.fixture
def rich_onode(onode, rich_box):
    return with_rich(onode, rich_box)


def with_rich(node, rich_box):
    if "rich" not in [b["name"] for b in node("--format", "json", "list", "-b").json()]:
        node("create-base", "-b", "rich", "--from", rich_box)
    return node


def test_image_of_a_pot_is_the_pot(rich_node, tmp_path):
    """commit, save, load elsewhere, create: the tree is the same in every property, also after changes of every kind."""
    node = rich_node
    node("create", "-p", "a", "-b", "rich", "-c", "sleep 100000")
    node("start", "a")
    change(node, "a")
    node("stop", "-t", "0", "a")
    made = node("commit", "-p", "a", "-t", "rich:1").out.strip()
    assert images(node)["rich:1"]["id"] == made and images(node)["rich:1"]["layers"] == 2
    want = tree(node, "a")
    node("create", "-p", "b", "--image", "rich:1")
    assert tree(node, "b") == want
    archive = str(tmp_path / "rich.tar")
    node("save", "-o", archive, "rich:1")
    node("destroy", "a")
    node("destroy", "b")
    node("rmi", "rich:1")
    assert left(node) == []
    assert node("load", "-i", archive).out == "rich:1\n"
    assert images(node)["rich:1"]["id"] == made
    node("create", "-p", "c", "--image", "rich:1")
    assert tree(node, "c") == want


def test_layers_are_differences_and_shared(node):
    """An image on an image has the lower one's layers and one more, and what both have is stored once."""
    node.make("a")
    node("commit", "-p", "a", "-t", "one")
    before = blobs(node)
    node("create", "-p", "b", "--image", "one")
    node.call("copy-in", "-p", "b", "-s", "/etc/hostname", "-d", "/added")
    node("commit", "-p", "b", "-t", "two")
    both = images(node)
    added = {d: n for d, n in blobs(node).items() if d not in before}
    assert len(added) == 3 and sum(added.values()) < 4096, added  # layer, config, manifest
    one, two = (node("inspect", "--image", n).json() for n in ("one", "two"))
    assert [x["digest"] for x in two["manifest"]["layers"]][:-1] == [x["digest"] for x in one["manifest"]["layers"]]
    assert both["two:latest"]["shared_bytes"] == both["one:latest"]["shared_bytes"] > 0
    assert both["two:latest"]["own_bytes"] == sum(added.values())
    assert both["two:latest"]["size_bytes"] == both["two:latest"]["own_bytes"] + both["two:latest"]["shared_bytes"]
    assert both["one:latest"]["pots"] == 1 and both["two:latest"]["pots"] == 0


def test_unchanged_pot_gives_no_layer(node):
    """A commit without a change of files has the layers of the image below, and its own settings."""
    node.make("a")
    node("commit", "-p", "a", "-t", "one")
    node("create", "-p", "b", "--image", "one")
    node("set-cmd", "-p", "b", "-c", "sleep 5")
    node("commit", "-p", "b", "-t", "two")
    one, two = (node("inspect", "--image", n).json() for n in ("one", "two"))
    assert one["manifest"]["layers"] == two["manifest"]["layers"]
    assert two["config"]["config"]["Cmd"] == ["sleep", "5"]


def test_same_content_gives_the_same_image(onode, tmp_path):
    """With SOURCE_DATE_EPOCH two pots of the same content become one image, and no time is later."""
    epoch = {"SOURCE_DATE_EPOCH": "1000000000"}
    digests = set()
    for name in ("a", "b"):
        onode.make(name)
        onode("copy-in", "-p", name, "-s", "/etc/hostname", "-d", "/added")
        digests.add(onode("commit", "-p", name, "-t", name, env=epoch).out)
    assert len(digests) == 1
    onode("save", "-o", str(tmp_path / "a.tar"), "a")
    with tarfile.open(tmp_path / "a.tar") as archive:
        names = [m.name for m in archive.getmembers() if m.isfile() and m.name.startswith("blobs/")]
        layers = [m["digest"].split(":")[1]
                  for m in onode("inspect", "--image", "a").json()["manifest"]["layers"]]
        for name in names:
            if name.split("/")[-1] in layers:
                plain = subprocess.run(["zstd", "-dc"], input=archive.extractfile(name).read(), capture_output=True,
                                       check=True).stdout
                with tarfile.open(fileobj=io.BytesIO(plain)) as layer:
                    assert max(m.mtime for m in layer.getmembers()) <= 1000000000


def test_commit_of_a_snapshot(node):
    """An image of a snapshot has the files of then, while the pot runs."""
    node.make("a", "sleep 100000")
    node("start", "a")
    node.sh("a", "echo then >/when")
    node("stop", "-t", "0", "a")
    node("snapshot", "-n", "s", "a")
    node("start", "a")
    node.sh("a", "echo now >/when")
    node.fails("commit", "-p", "a", "-t", "x", says="running")
    node("commit", "-p", "a", "-n", "s", "-t", "x:1")
    assert node("run", "--rm", "x:1", "cat", "/when").out == "then\n"
    node("image", "prune")
    assert images(node).keys() == {"x:1"}


def test_export(node, tmp_path):
    """A pot's last snapshot becomes an archive that makes the pot again; which snapshot and tag are asked for."""
    node.make("Web", "cat /when")
    node.fails("export", "-p", "Web", "-D", str(tmp_path), says="has no snapshot")
    with open(tmp_path / "when", "w", encoding="ascii") as f:
        f.write("then\n")
    node("copy-in", "-p", "Web", "-s", str(tmp_path / "when"), "-d", "/when")
    out = node("export", "-A", "-c", "-p", "Web", "-t", "1.9", "-D", str(tmp_path)).out
    assert out == f"{tmp_path}/Web_1.9.tar\n"
    node.fails("export", "-c", "-p", "Web", "-t", "1.8", "-D", str(tmp_path), says="lower than 1.9")
    node("snapshot", "-n", "later", "Web")
    node.fails("export", "-p", "Web", "-t", "1.10", "-D", str(tmp_path), says="2 snapshots")
    node.fails("export", "-F", "-c", "-p", "Web", "-t", "1.9", "-D", str(tmp_path), says="exported before")
    node("export", "-F", "-c", "-p", "Web", "-t", "1.10", "-D", str(tmp_path))
    assert node("export", "-A", "-p", "Web", "-D", str(tmp_path)).out == f"{tmp_path}/Web_later.tar\n"
    assert sorted(f for f in os.listdir(tmp_path) if "Web" in f) == ["Web_1.10.tar", "Web_1.9.tar", "Web_later.tar"]
    assert images(node) == {}
    node("destroy", "Web")
    node("load", "-i", str(tmp_path / "Web_1.9.tar"))
    assert node("run", "--rm", "web:1.9").out == "then\n"


def test_settings_go_through(onode):
    """Command, environment, ports, signal and attributes of a pot become the image's, and those of its pots."""
    onode.make("a", "sh -c 'echo $GREETING $0 \"$@\"' one 'two words'", "--publish", "18080:80")
    onode("set-env", "-p", "a", "-E", "GREETING=hello")
    onode("set-attribute", "-p", "a", "-A", "stop_signal", "-V", "INT")
    onode("set-attribute", "-p", "a", "-A", "persistent", "-V", "NO")
    onode("set-attribute", "-p", "a", "-A", "stop_timeout", "-V", "3")
    onode("commit", "-p", "a", "-t", "app:1", "-m", "a message", "-a", "Ann")
    config = onode("inspect", "--image", "app:1").json()["config"]
    assert config["config"]["Cmd"] == ["sh", "-c", "echo $GREETING $0 \"$@\"", "one", "two words"]
    assert config["config"]["Env"] == ["GREETING=hello"]
    assert config["config"]["ExposedPorts"] == {"80/tcp": {}}
    assert config["config"]["StopSignal"] == "SIGINT"
    assert config["config"]["Labels"] == {"io.pot.attr.stop_timeout": "3"}
    history = onode("--format", "json", "history", "app:1").json()
    assert [(h["comment"], h["author"]) for h in history] == [("a message", "Ann"), (None, None)]
    onode("create", "-p", "b", "--image", "app:1")
    info = onode.info("b")
    assert info["env"] == ["GREETING=hello"] and info["attributes"]["stop_signal"] == "INT"
    assert info["attributes"]["stop_timeout"] == "3"
    assert onode("start", "-a", "b").out == "hello one two words\n"


def docker_archive(path, config, layers, tags=("foreign:1",)):
    """A docker-archive by hand; config gets its rootfs."""
    config = {"os": "linux", "architecture": "amd64", **config}
    config["rootfs"] = {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(x).hexdigest() for x in layers]}
    text = json.dumps(config).encode()
    with tarfile.open(path, "w") as tar:
        def add(name, data):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for i, layer in enumerate(layers):
            add(f"{i}/layer.tar", layer)
        add("config.json", text)
        add("manifest.json", json.dumps([{"Config": "config.json", "RepoTags": list(tags),
                                          "Layers": [f"{i}/layer.tar" for i in range(len(layers))]}]).encode())


def layer(*entries):
    """A tar of (name, content or None for a directory, options)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content, *options in entries:
            info = tarfile.TarInfo(name)
            info.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            info.mode = 0o755
            for key, value in (options[0] if options else {}).items():
                setattr(info, key, value)
            info.size = len(content) if content and info.type == tarfile.REGTYPE else 0
            tar.addfile(info, io.BytesIO(content) if content else None)
    return out.getvalue()


def busybox_layer(box):
    with open(os.path.join(box, "bin", "busybox"), "rb") as f:
        data = f.read()
    return layer(("bin", None), ("bin/busybox", data),
                 *[(f"bin/{n}", b"", {"type": tarfile.SYMTYPE, "linkname": "busybox"})
                   for n in ("sh", "cat", "ls", "id", "pwd", "echo", "sleep", "env", "true", "false")],
                 ("etc", None), ("etc/passwd", b"root:x:0:0::/root:/bin/sh\nweb:x:33:44::/srv:/bin/sh\n"),
                 ("etc/group", b"root:x:0:\nweb:x:44:\n"))


def test_foreign_config_is_obeyed(node, box, tmp_path):
    """User, working directory, entry point, environment and arguments of somebody else's image."""
    archive = str(tmp_path / "foreign.tar")
    docker_archive(archive, {"config": {
        "User": "web", "WorkingDir": "/srv/made here", "Entrypoint": ["sh", "-c", "id -u; id -g; pwd; echo $A $0 $@"],
        "Cmd": ["zero", "one"], "Env": ["A=b c", "PATH=/bin"], "StopSignal": "SIGQUIT", "Volumes": {"/data": {}},
        "Labels": {"org.freebsd.jail.allow.mount": "1", "io.pot.attr.raw_sockets": "YES",
                   "io.pot.attr.stop_timeout": "7"}}}, [busybox_layer(box)])
    assert node("load", "-i", archive).out == "foreign:1\n"
    out = node.call("run", "--rm", "foreign:1")
    assert out.status == 0 and out.out == "33\n44\n/srv/made here\nb c zero one\n", out
    assert "raw_sockets" in out.err and "left out" in out.err
    assert node.call("run", "--rm", "-e", "A=x", "foreign:1", "-flag", "y").out.splitlines()[3] == "x -flag y"
    result = node.call("create", "-p", "a", "--image", "foreign:1")
    assert result.status == 0
    info = node.info("a")
    assert info["attributes"]["stop_timeout"] == "7" and info["attributes"]["raw_sockets"] == "NO"
    assert info["attributes"]["stop_signal"] == "QUIT"


def test_whiteouts_of_others(node, box, tmp_path):
    """Deleted files, opaque directories and changed types, as Docker writes them."""
    lower = layer(("d", None), ("d/a", b"1"), ("d/b", b"2"), ("o", None), ("o/x", b"3"), ("o/sub", None),
                  ("o/sub/y", b"4"), ("t", None), ("t/in", b"5"), ("f", b"6"), ("keep", b"7"))
    upper = layer(("d", None), ("d/.wh.a", b""), ("o", None), ("o/new", b"8"), ("o/.wh..wh..opq", b""),
                  ("t", b"now a file"), ("f", None), ("f/in", b"9"), (".wh.missing", b""))
    archive = str(tmp_path / "w.tar")
    docker_archive(archive, {}, [busybox_layer(box), lower, upper])
    node("load", "-i", archive)
    out = node("run", "--rm", "foreign:1", "ls", "/d", "/o", "/f", "/keep", "/t").out
    assert out.split() == ["/keep", "/t", "/d:", "b", "/f:", "in", "/o:", "new"]


def test_layers_that_need_those_below(node, box, tmp_path):
    """Directories without an entry, names behind links, links to lower files: as if each layer came after the other."""
    link = {"type": tarfile.SYMTYPE}
    old = {"mode": 0o711, "uid": 5, "mtime": 1000}
    layers = [
        layer(("p", None, old), ("p/q", None, old), ("p/q/a", b"1"), ("x", None, old), ("x/y", None, old), ("x/y/z", b"2"),
              ("x/y/w", b"2"), ("real", None), ("real/c", b"3"), ("alias", b"", {**link, "linkname": "real"}), ("twin", b"4"),
              ("o", None, old), ("o/in", b"5"), ("deep", None, old), ("deep/er", None, old), ("deep/er/f", b"6")),
        layer(("p/q/new", b"7"), ("x/y/.wh.z", b""), ("none/here/.wh.thing", b""), ("only/.wh.thing", b"")),
        layer(("alias/d", b"8"), ("alias/.wh.c", b"")),
        layer(("second", b"", {"type": tarfile.LNKTYPE, "linkname": "twin"}), ("o/.wh..wh..opq", b""), ("o/fresh", b"9")),
        layer((".wh.deep", b""), ("deep/other", b"10")),
        layer((".", None, {"mode": 0o755}), (".wh.only", b""), ("last", b"11")),
    ]
    archive = str(tmp_path / "n.tar")
    docker_archive(archive, {}, [busybox_layer(box)] + layers)
    node("load", "-i", archive)
    def inside(*words):
        return node("run", "--rm", "foreign:1", "/bin/busybox", *words).out.split()

    assert sorted(inside("find", "/p", "/x", "/real", "/o", "/deep", "/last")) == [
        "/deep", "/deep/other", "/last", "/o", "/o/fresh", "/p", "/p/q", "/p/q/a", "/p/q/new", "/real", "/real/d", "/x",
        "/x/y", "/x/y/w"]
    assert inside("readlink", "/alias") == ["real"]
    first, second = inside("stat", "-c", "%i", "/twin", "/second")
    assert first == second
    assert inside("stat", "-c", "%a:%u", "/p", "/p/q", "/x", "/x/y", "/o") == ["711:5"] * 5


def test_layers_are_unpacked_once(node, box, tmp_path):
    """A second image on the same layers adds its own only; 16 loads at once unpack each layer once."""
    first, second = busybox_layer(box), layer(("more", b"1"))
    docker_archive(str(tmp_path / "a.tar"), {}, [first], ["a:1"])
    docker_archive(str(tmp_path / "b.tar"), {}, [first, second], ["b:1"])
    node("load", "-i", str(tmp_path / "a.tar"))
    layers = os.path.join(node.root, "images", "layers")
    before = {n: os.stat(os.path.join(layers, n)).st_ino for n in os.listdir(layers)}
    processes = [node.start("load", "-i", str(tmp_path / "b.tar")) for _ in range(16)]
    for p in processes:
        out, err = p.communicate(timeout=lab.HANG)
        assert p.returncode == 0 and out == b"b:1\n" and err == b"", (out, err)
    after = {n: os.stat(os.path.join(layers, n)).st_ino for n in os.listdir(layers)}
    assert before.items() <= after.items() and len(after) == 2


def test_removal_frees_what_nothing_needs(node):
    """rmi keeps layers of other names, of other images and of pots; the last one frees everything."""
    node.make("a")
    node("commit", "-p", "a", "-t", "one")
    node("tag", "one", "alias:2")
    node("create", "-p", "b", "--image", "one")
    node("commit", "-p", "b", "-t", "two")
    node("rmi", "one")
    assert images(node).keys() == {"alias:2", "two:latest"}
    node.fails("rmi", "alias:2", says=["used by b"])
    node("rmi", "-f", "alias:2")
    node("rmi", "two")
    assert images(node) == {}
    # The pot stands on what it was made from, and can still become an image.
    assert left(node) != []
    node("commit", "-p", "b", "-t", "three")
    assert node("run", "--rm", "three", "echo", "lives").out == "lives\n"
    node("rmi", "three")
    node("destroy", "b")
    node("destroy", "a")
    assert "freed" in node("image", "prune").out
    assert left(node) == []


def test_prune_all(onode):
    """image prune -a removes images without pots, -n only names them."""
    onode.make("a")
    for name in ("one", "two"):
        onode("commit", "-p", "a", "-t", name, "-m", name)
    onode("create", "-p", "b", "--image", "two")
    would = onode("--format", "json", "image", "prune", "-a", "-n").json()
    assert would["images"] == ["one:latest"] and images(onode).keys() == {"one:latest", "two:latest"}
    gone = onode("--format", "json", "image", "prune", "-a").json()
    assert gone["images"] == ["one:latest"] and gone["blobs"] == 2
    assert images(onode).keys() == {"two:latest"}


def test_run(onode):
    """Status, signals, names, mounts, policy: run is create and start in one, and cleans up after itself."""
    onode.make("a")
    onode("commit", "-p", "a", "-t", "app")
    assert onode.call("run", "--rm", "app", "sh", "-c", "exit 7").status == 7
    assert onode.call("run", "--rm", "app", "sh", "-c", "kill -9 $$").status == 137
    result = onode.call("run", "--rm", "app", "no-such-command")
    assert result.status == 127, result
    assert onode.states().keys() == {"a"}
    name = onode("run", "-d", "app", "sleep", "100000").out.strip()
    assert name.startswith("app-") and onode.states()[name] == "running"
    onode("destroy", "-F", name)
    source = os.path.join(onode.root, "source")
    os.makedirs(source)
    with open(os.path.join(source, "f"), "w", encoding="ascii") as f:
        f.write("mounted")
    out = onode("run", "--rm", "-p", "named", "--mount", source + ":/mnt/in:ro", "app", "sh", "-c",
                "cat /mnt/in/f; echo x 2>/dev/null >/mnt/in/g || echo ' read-only'; hostname | cut -c1-5").out
    assert out == "mounted read-only\nnamed\n"
    shutil.rmtree(source)
    onode.fails("run", "missing:1", status=125, says="missing:1")
    onode.fails("run", "--image-policy", "never", "example.org/missing:1", status=125, says="missing:1")


def test_base_from_an_image(node):
    """create-base --from IMAGE: a base of the image's files, which shares its layers."""
    node.make("a")
    node("copy-in", "-p", "a", "-s", "/etc/hostname", "-d", "/added")
    node("commit", "-p", "a", "-t", "app:1")
    node("create-base", "-b", "app", "--from", "app:1")
    node("rmi", "app:1")
    node("create", "-p", "b", "-b", "app", "-c", "sh -c 'test -s /added'")
    assert node.call("start", "-a", "b").status == 0
    node("destroy", "b")
    node("destroy", "-b", "app")


def test_damaged_and_wrong_archives(onode, box, tmp_path):
    """What is no image, is cut off, or does not have the content that it promises is refused and leaves nothing."""
    good = str(tmp_path / "good.tar")
    docker_archive(good, {}, [busybox_layer(box)])
    with open(good, "rb") as f:
        data = f.read()
    cut = tmp_path / "cut.tar"
    cut.write_bytes(data[:len(data) // 2])
    onode.fails("load", "-i", str(cut), says="runcated")
    wrong = tmp_path / "wrong.tar"
    wrong.write_bytes(data.replace(b"/srv:/bin/sh", b"/bad:/bin/sh"))
    onode.fails("load", "-i", str(wrong), says="content")
    nothing = tmp_path / "nothing.tar"
    nothing.write_bytes(layer(("x", b"1")))
    onode.fails("load", "-i", str(nothing), says=["no image", "create-base"])
    (tmp_path / "text").write_text("not a tar")
    onode.fails("load", "-i", str(tmp_path / "text"))
    onode.fails("load", "-i", str(tmp_path / "absent"), says="absent")
    hostile = str(tmp_path / "hostile.tar")
    docker_archive(hostile, {}, [busybox_layer(box), layer(("../escape", b"1"))])
    onode.fails("load", "-i", hostile, says=["layer 2 of 2", "../escape"])
    assert images(onode) == {}
    onode("image", "prune")
    assert left(onode) == []


def test_names(onode):
    """A bad reference, a missing image, a digest as a new name: each is told in one line."""
    onode.make("a")
    onode.fails("commit", "-p", "a", "-t", "Upper:1", says="Upper")
    onode.fails("commit", "-p", "a", "-t", "x@sha256:" + "0" * 64, says="digest")
    onode.fails("tag", "missing", "other", says="missing")
    onode.fails("rmi", "missing:7", says="missing:7")
    onode.fails("history", "missing", says="missing")
    onode.fails("inspect", "--image", "missing", says="missing")
    onode.fails("create", "-p", "b", "--image", "missing", says="missing")
    onode.fails("create", "-p", "b", "--image", "missing", "-b", "box", status=2)
    onode("commit", "-p", "a", "-t", "example.org:5000/team/app:1.0")
    assert list(images(onode)) == ["example.org:5000/team/app:1.0"]
    assert onode("-q", "images").out == "example.org:5000/team/app:1.0\n"


# ---- other tools ----------------------------------------------------------------------------------------------


def committed(node, tmp_path):
    """The rich image with changes: its archive, and the tree that everybody must make of it."""
    node("create", "-p", "a", "-b", "rich", "-c", "sleep 100000")
    node("start", "a")
    change(node, "a")
    node("stop", "-t", "0", "a")
    node("commit", "-p", "a", "-t", "rich:1")
    archive = str(tmp_path / "rich.tar")
    node("save", "-o", archive, "rich:1")
    node("create", "-p", "b", "--image", "rich:1")
    return archive, tree(node, "b")


def run(*argv):
    result = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{argv}\n{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.fixture
def where():
    """Options for podman and buildah: a storage of their own, below a short path as they want."""
    directory = tempfile.mkdtemp(prefix="pt-", dir="/tmp")
    yield ("--root", directory + "/graph", "--runroot", directory + "/run", "--storage-driver", "vfs")
    shutil.rmtree(directory)


def whole_seconds(found):
    """Tools that cut times to seconds."""
    return {name: entry[:3] + [entry[3] and entry[3] // 10**9] + entry[4:] for name, entry in found.items()}


def test_umoci_unpacks_the_same_tree(rich_onode, tmp_path):
    """skopeo reads our archive, umoci unpacks it (without zstd: skopeo makes it gzip): the trees are equal."""
    archive, want = committed(rich_onode, tmp_path)
    layout = str(tmp_path / "layout")
    run("skopeo", "copy", "--dest-compress-format", "gzip", "oci-archive:" + archive, "dir:" + layout + ".dir")
    run("skopeo", "copy", "--dest-decompress", "dir:" + layout + ".dir", "dir:" + layout + ".plain")
    run("skopeo", "copy", "--dest-oci-accept-uncompressed-layers", "dir:" + layout + ".plain", "oci:" + layout + ":x")
    run("umoci", "unpack", "--keep-dirlinks", "--image", layout + ":x", str(tmp_path / "bundle"))
    assert look(str(tmp_path / "bundle" / "rootfs")) == want


def test_buildah_mounts_the_same_tree(rich_onode, where, tmp_path):
    """podman loads our archive, buildah mounts it: the trees are equal."""
    archive, want = committed(rich_onode, tmp_path)
    run("podman", *where, "load", "-i", archive)
    container = run("buildah", *where, "from", "--pull-never", "localhost/rich:1").strip()
    root = run("buildah", *where, "mount", container).strip()
    try:
        assert look(root) == want
    finally:
        run("buildah", *where, "umount", container)
        run("buildah", *where, "rm", container)


def test_we_run_what_buildah_makes(onode, box, where, tmp_path):
    """An image that buildah made, as docker-archive and as oci-archive: loaded, run, its tree the same."""
    container = run("buildah", *where, "from", "scratch").strip()
    root = run("buildah", *where, "mount", container).strip()
    subprocess.run(["cp", "-a", box + "/.", root], check=True)
    run("buildah", *where, "config", "--cmd", '["echo", "from buildah"]', "--env", "X=1", container)
    run("buildah", *where, "commit", container, "theirs:1")
    want = whole_seconds(look(root))
    run("buildah", *where, "umount", container)
    for kind in ("oci", "docker"):
        archive = str(tmp_path / (kind + ".tar"))
        run("buildah", *where, "push", "localhost/theirs:1", f"{kind}-archive:{archive}:example.org/theirs:1")
        loaded = onode("load", "-i", archive).out.split()  # one of them writes all names that it knows
        assert "example.org/theirs:1" in loaded
        assert onode("run", "--rm", "example.org/theirs:1").out == "from buildah\n"
        onode("create", "-p", kind, "--image", "example.org/theirs:1")
        assert whole_seconds(tree(onode, kind)) == want
        onode("destroy", kind)
        onode("rmi", *loaded)


def test_run_with_input_and_terminal(onode):
    """-i passes standard input and both outputs apart; -t gives a terminal with job control, size and Ctrl-C."""
    onode.make("a")
    onode("commit", "-p", "a", "-t", "app")
    result = onode.call("run", "--rm", "-i", "app", "sh", "-c", "cat; echo err >&2; exit 3", stdin=b"typed")
    assert (result.status, result.out, result.err) == (3, "typed", "err\n")
    with onode.start("run", "--rm", "-i", "-p", "b", "app", "sh", "-c", "trap 'echo got; exit 4' TERM; echo up; read x",
                     stdin=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"up\n"
        process.terminate()
        assert process.stdout.read() == b"got\n" and process.wait() == 4
    terminal = onode.terminal("run", "--rm", "-it", "app", "sh", rows=33, cols=77)
    terminal.expect("# ")
    terminal.type("stty size; echo end$?\n")
    assert "33 77" in terminal.expect("end0")
    terminal.type("sleep 1234.5\n")
    # Its command line is that of sleep only after the shell has put it in front.
    lab.wait_until(lambda: any(lab.command_line(int(p)) == "sleep 1234.5" for p in os.listdir("/proc") if p.isdigit()),
                   "the start of sleep")
    terminal.type("\x03")
    terminal.expect("# ")
    terminal.type("exit 5\n")
    assert terminal.end() == 5
    assert onode.states().keys() == {"a"}


def test_run_takes_limits_and_walls(onode):
    """The options of create work with run, too."""
    onode.make("a")
    onode("commit", "-p", "a", "-t", "app")
    onode("run", "-d", "-p", "b", "-M", "64m", "--pids", "50", "--cap-drop", "all", "app", "sleep", "100000")
    info = onode.info("b")
    assert info["limits"]["memory"] == 64 << 20 and info["limits"]["pids"] == 50
    assert "CapEff:\t0000000000000000" in onode.sh("b", "cat /proc/1/status; grep CapEff /proc/*/status")
