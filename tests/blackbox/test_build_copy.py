"""COPY and ADD of pot build: what lands where, what is CACHED, and hostile contexts, archives and servers."""

import collections
import contextlib
import http.server
import io
import json
import os
import signal
import socket
import stat
import subprocess
import tarfile
import threading

import pytest

import lab

Entry = collections.namedtuple("Entry", "kind mode owner text mtime attributes")


def write(top, path, text="", mode=0o644):
    path = os.path.join(str(top), path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(text if isinstance(text, bytes) else text.encode())
    os.chmod(path, mode)
    return path


@pytest.fixture
def context(tmp_path):
    directory = tmp_path / "context"
    directory.mkdir()
    return directory


@pytest.fixture
def builder(onode):
    yield onode
    # A later test of the session finds nothing CACHED that it did not make itself.
    onode.call("image", "prune", "-a")
    onode.call("build", "prune", "-a")


def build(node, context, potfile, *options, env=None, **more):
    """The result as an object; the Potfile stands beside the context, in no digest."""
    where = write(os.path.dirname(str(context)), "Potfile.test", potfile)
    run = node.call("--format", "json", "build", "-t", "t:1", "-f", where, *options, str(context), env=env, **more)
    assert run.status == 0, run
    return json.loads(run.out)


def refused(node, context, potfile, *says, env=None, options=()):
    """The build fails, says so, and no name means another image than before."""
    where = write(os.path.dirname(str(context)), "Potfile.test", potfile)
    before = node("images", "-q").out
    run = node.call("build", "-t", "t:1", "-f", where, *options, str(context), env=env)
    assert run.status == 1, run
    for text in says:
        assert text in run.err, run
    assert node("images", "-q").out == before
    return run


def entry(member, layer):
    kinds = {tarfile.DIRTYPE: "d", tarfile.SYMTYPE: "l", tarfile.FIFOTYPE: "p", tarfile.LNKTYPE: "h"}
    text = member.linkname if member.issym() or member.islnk() else \
        layer.extractfile(member).read().decode(errors="replace") if member.isreg() else ""
    attributes = {k.split(".", 2)[2]: v for k, v in member.pax_headers.items() if k.startswith("SCHILY.xattr.")}
    return Entry(kinds.get(member.type, "f"), member.mode, (member.uid, member.gid), text, member.mtime, attributes)


def layers(node, tmp_path, image="t:1"):
    """What the layers of an image hold, one dict a layer: path to Entry."""
    saved = str(tmp_path / "saved.tar")
    node("save", "-o", saved, image)
    out = []
    with tarfile.open(saved) as archive:
        manifest = node("inspect", "--image", image).json()["manifest"]
        for desc in manifest["layers"]:
            blob = archive.extractfile("blobs/" + desc["digest"].replace(":", "/")).read()
            plain = subprocess.run(["zstd", "-dc"], input=blob, capture_output=True, check=True).stdout
            with tarfile.open(fileobj=io.BytesIO(plain)) as layer:
                out.append({m.name.rstrip("/"): entry(m, layer) for m in layer.getmembers() if m.name.rstrip("/") != "."})
    return out


def tree(node, tmp_path, image="t:1"):
    """All layers on top of each other; nothing here takes anything away."""
    return {path: e for layer in layers(node, tmp_path, image) for path, e in layer.items()}


def files(node, tmp_path):
    """Path to content, of what is no directory."""
    return {path: e.text for path, e in tree(node, tmp_path).items() if e.kind != "d"}


# ---- what lands where -----------------------------------------------------------------------------


def test_copies(builder, context, tmp_path):
    """Names, modes, owners, links, attributes and times of what is copied; what is made on the way is 0755."""
    write(context, "a", "a", 0o640)
    write(context, "d/sub/b", "b", 0o4755)
    os.chmod(context / "d/sub", 0o700)
    os.symlink("sub/b", context / "d/link")
    os.link(context / "a", context / "d/one")
    os.link(context / "a", context / "d/two")
    os.setxattr(context / "d/sub/b", "user.note", b"kept")
    os.chown(context / "a", 77, 78)
    os.utime(context / "d/sub/b", (1, 1_000_000_000))
    build(builder, context, "FROM scratch\nWORKDIR /w/x\nCOPY a .\nCOPY d /deep/er/\nCOPY --chown=5:6 a /o/a\n")
    got = tree(builder, tmp_path)
    assert got["w/x/a"][:4] == ("f", 0o640, (0, 0), "a")
    assert got["deep"][:3] == ("d", 0o755, (0, 0)) and got["deep/er"][:3] == ("d", 0o755, (0, 0))
    assert got["deep/er/sub"][:3] == ("d", 0o700, (0, 0))
    b = got["deep/er/sub/b"]
    assert b[:5] == ("f", 0o4755, (0, 0), "b", 1_000_000_000) and b.attributes == {"user.note": "kept"}
    assert got["deep/er/link"][:1] + got["deep/er/link"][3:4] == ("l", "sub/b")
    assert sorted(got["deep/er/" + n].kind for n in ("one", "two")) == ["f", "h"]
    assert got["o"].owner == (5, 6) and got["o/a"].owner == (5, 6)


def test_on_each_storage(node, context, tmp_path):
    """From the host and from stage to stage: large files, holes, names of one file, attributes, owners, archives."""
    with open(context / "sparse", "wb") as f:
        f.truncate(32 << 20)
        f.seek(16 << 20)
        f.write(b"middle")
    write(context, "large", os.urandom(3 << 20))
    os.setxattr(context / "large", "user.note", b"kept")
    write(context, "a.tar", tar_of([("in/f", "f")]))
    build(node, context, "FROM scratch AS one\nCOPY --chown=7:8 sparse large /d/\nADD a.tar /d/\n"
                         "FROM scratch\nCOPY --from=one /d /e/\nCOPY --from=one --chmod=600 /d/large /f\n")
    got = tree(node, tmp_path)
    with open(context / "large", "rb") as f:
        large = f.read().decode(errors="replace")
    assert got["e/large"][1:4] == (0o644, (7, 8), large) and got["e/large"].attributes == {"user.note": "kept"}
    assert got["f"][1:4] == (0o600, (7, 8), large)
    assert len(got["e/sparse"].text) == 32 << 20 and got["e/sparse"].text[16 << 20:][:6] == "middle"
    assert got["e/in/f"].text == "f"
    node("rmi", "t:1")
    node("build", "prune", "-a")
    node("image", "prune", "-a")


def test_names_of_owners_are_the_image_s(builder, context, tmp_path):
    """--chown by names asks etc/passwd and etc/group below the image's root, wherever these lead."""
    write(context, "etc/passwd", "web:x:33:34::/:/bin/sh\n")
    write(context, "etc/group", "www:x:35:\n")
    write(context, "f", "f")
    build(builder, context, "FROM scratch\nCOPY etc /etc\nCOPY --chown=web f /one\nCOPY --chown=web:www f /two\n")
    got = tree(builder, tmp_path)
    assert got["one"].owner == (33, 34) and got["two"].owner == (33, 35)
    refused(builder, context, "FROM scratch\nCOPY etc /etc\nCOPY --chown=root f /x\n", "--chown=root")
    os.remove(context / "etc/passwd")
    os.symlink("../../../../../../../etc/passwd", context / "etc/passwd")
    refused(builder, context, "FROM scratch\nCOPY etc /etc\nCOPY --chown=daemon f /x\n", "--chown=daemon")


def test_epoch_clamps_times(builder, context, tmp_path):
    """With SOURCE_DATE_EPOCH two contexts of other times give the same image."""
    write(context, "f", "f")
    write(context, "d/g", "g")
    ids = set()
    for when in (1_500_000_000, 1_600_000_000):
        for path in ("f", "d/g", "d"):
            os.utime(context / path, (when, when))
        potfile = "FROM scratch\nCOPY . /x/\nCOPY <<E /y\ntext\nE\n"
        ids.add(build(builder, context, potfile, "--no-cache", env={"SOURCE_DATE_EPOCH": "1000000000"})["id"])
    assert len(ids) == 1
    assert max(e.mtime for e in tree(builder, tmp_path).values()) <= 1_000_000_000


def test_ignore_files(builder, context, tmp_path):
    """The Potfile's own goes first, then .potignore, then .dockerignore; none of them is mixed with another."""
    for name in ("one", "two", "three"):
        write(context, name, name)
    potfile = write(context, "Potfile", "FROM scratch\nCOPY [ot]* /\n")
    write(context, ".dockerignore", "one\n")
    builder("build", "-q", "-t", "t:1", str(context))
    assert files(builder, tmp_path).keys() == {"two", "three"}
    write(context, ".potignore", "t*\n!three\n")
    builder("build", "-q", "-t", "t:1", str(context))
    assert files(builder, tmp_path).keys() == {"one", "three"}
    write(context, "Potfile.dockerignore", "three\n")
    builder("build", "-q", "-t", "t:1", str(context))
    assert files(builder, tmp_path).keys() == {"one", "two"}
    builder("build", "-q", "-t", "t:1", "-f", potfile, str(context))
    assert files(builder, tmp_path).keys() == {"one", "two"}
    write(context, ".potignore", "[\n")
    os.remove(context / "Potfile.dockerignore")
    builder.fails("-q", "build", "-t", "t:2", str(context), says=".potignore:1")


def tar_of(entries):
    """entries: TarInfo with .data, or (name, text)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for one in entries:
            info, data = one if isinstance(one[0], tarfile.TarInfo) else (tarfile.TarInfo(one[0]), one[1].encode())
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def special(name, kind, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info, b""


def test_contexts_that_are_tars(builder, tmp_path):
    """A tar on stdin, compressed or not, or in a file; a Potfile alone on stdin; what is neither."""
    tar = tar_of([("Dockerfile", "FROM scratch\nCOPY . /\n"), ("d/f", "f"), (".dockerignore", "Dockerfile\nother\n"),
                  ("other/Potfile", "FROM scratch\nCOPY d/f /renamed\n")])
    for data in (tar, subprocess.run(["zstd", "-c"], input=tar, capture_output=True, check=True).stdout):
        builder("build", "-q", "-t", "t:1", "-", stdin=data)
        assert files(builder, tmp_path) == {"d/f": "f", ".dockerignore": "Dockerfile\nother\n"}
    builder("build", "-q", "-t", "t:1", write(tmp_path, "context.tar", tar))
    assert files(builder, tmp_path) == {"d/f": "f", ".dockerignore": "Dockerfile\nother\n"}
    builder("build", "-q", "-t", "t:1", "-f", "other/Potfile", "-", stdin=tar)
    assert files(builder, tmp_path) == {"renamed": "f"}
    builder("build", "-q", "-t", "t:1", "-", stdin=b"FROM scratch\nCOPY <<E /x\ntext\nE\n")
    assert files(builder, tmp_path) == {"x": "text\n"}
    builder.fails("-q", "build", "-t", "t:2", "-", stdin=b"FROM scratch\nCOPY f /f\n", says="there is no context")
    builder.fails("-q", "build", "-t", "t:2", "-", stdin=bytes(1000), says="neither a tar nor a Potfile")
    builder.fails("-q", "build", "-t", "t:2", write(tmp_path, "text", "text"), says="neither a directory nor a tar")
    builder.fails("-q", "build", "-t", "t:2", "-", stdin=tar[:700])
    builder.fails("-q", "build", "-t", "t:2", "https://example.org/x.git", says="contexts are not fetched")


# ---- what is CACHED ---------------------------------------------------------------------------------


def cached(node, context, potfile):
    return build(node, context, potfile)["cached"]


def test_unchanged_is_cached(builder, context):
    """The content decides, also the mode; times, ignored files and what is not copied do not."""
    potfile = "FROM scratch\nCOPY a /a\nCOPY d /d/\nCOPY <<E /e\ntext\nE\n"
    write(context, "a", "a")
    write(context, "d/b", "b")
    write(context, ".potignore", "d/ignored\n")
    assert cached(builder, context, potfile) == 0
    assert cached(builder, context, potfile) == 3
    os.utime(context / "d/b", (1, 1))
    write(context, "d/ignored", "new")
    write(context, "unused", "new")
    os.chown(context / "a", 5, 5)
    assert cached(builder, context, potfile) == 3
    write(context, "d/b", "B")
    assert cached(builder, context, potfile) == 1
    os.chmod(context / "a", 0o600)
    assert cached(builder, context, potfile) == 0
    write(context, "d/c", "c")
    assert cached(builder, context, potfile) == 1
    os.rename(context / "d/c", context / "d/x")
    assert cached(builder, context, potfile) == 1
    os.remove(context / "d/x")
    assert cached(builder, context, potfile) == 1 + 2  # as it was before


def test_copy_from_a_stage_goes_by_content(builder, context):
    """A stage that was made again, but has the same file, does not make again who copies that file."""
    potfile = ("FROM scratch AS first\nCOPY tool noise /\n"
               "FROM scratch\nCOPY --from=first /tool /tool\nCOPY a /a\n")
    for name in ("tool", "noise", "a"):
        write(context, name, name)
    assert build(builder, context, potfile)["cached"] == 0
    assert build(builder, context, potfile)["cached"] == 3
    write(context, "noise", "other")
    assert build(builder, context, potfile)["cached"] == 2
    write(context, "tool", "other")
    assert build(builder, context, potfile)["cached"] == 0


def test_sums_are_not_believed_blindly(builder, context, tmp_path):
    """The table of sums spares reading files, and when it is damaged or gone, they are read."""
    potfile = "FROM scratch\nCOPY d /d/\n"
    for i in range(50):
        os.utime(write(context, f"d/{i}", str(i)), (1, 1))
    first = build(builder, context, potfile)["id"]
    table = os.path.join(builder.root, "build", "sums")
    for damage in (b"", b"\0" * 100_000, os.urandom(100_000)):
        with open(table, "wb") as f:
            f.write(damage)
        again = build(builder, context, potfile)
        assert (again["id"], again["cached"]) == (first, 1)
    with contextlib.suppress(FileNotFoundError):
        os.remove(table)
    assert build(builder, context, potfile)["cached"] == 1


# ---- archives -----------------------------------------------------------------------------------------


def test_add_of_hostile_archives(builder, context, tmp_path):
    """Ways out, bombs and devices: refused or left out, and nothing outside is touched."""
    canary = write(tmp_path, "canary", "sing")
    bomb = tarfile.TarInfo("bomb")
    bomb.size = 1 << 50
    hostile = {
        "up.tar": tar_of([("../../../canary", "dead")]),
        "absolute.tar": tar_of([(canary, "dead")]),
        "through.tar": tar_of([special("s", tarfile.SYMTYPE, str(tmp_path)), ("s/canary", "dead")]),
        "hard.tar": tar_of([special("h", tarfile.LNKTYPE, canary), ("h", "dead")]),
        "bomb.tar": bomb.tobuf(),
        "cut.tar": tar_of([("f", "x" * 5000)])[:3000],
    }
    for name, data in hostile.items():
        write(context, name, data)
        where = write(tmp_path, "Potfile.test", f"FROM scratch\nADD {name} /x/\n")
        run = builder.call("build", "-t", "t:1", "-f", where, str(context))
        if name == "through.tar":
            # The link stays in the image's root, and so does what goes through it.
            assert run.status in (0, 1), run
        else:
            assert run.status == 1 and name in run.err, run
        with open(canary, encoding="ascii") as f:
            assert f.read() == "sing", name
    node = special("null", tarfile.CHRTYPE)
    node[0].devmajor, node[0].devminor = 1, 3
    write(context, "device.tar", tar_of([node, ("f", "f")]))
    build(builder, context, "FROM scratch\nADD device.tar /\n")
    assert files(builder, tmp_path) == {"f": "f"}


def test_add_owner_and_as_it_is(builder, context, tmp_path):
    """--chown is for what is in an archive, too; --unpack=false and COPY leave it whole."""
    data = tar_of([("f", "f")])
    write(context, "a.tar", data)
    build(builder, context, "FROM scratch\nADD --chown=7:8 a.tar /one/\nADD --unpack=false a.tar /two/\nCOPY a.tar /three\n")
    got = tree(builder, tmp_path)
    assert got["one"].owner == (7, 8) and got["one/f"][:4] == ("f", 0o644, (7, 8), "f")
    assert got["two/a.tar"].kind == "f" and got["three"].kind == "f" and "two/f" not in got


# ---- hostile contexts -----------------------------------------------------------------------------------


def test_no_way_out_of_the_context(builder, context, tmp_path):
    """Links and names that lead out of the context find nothing there."""
    write(tmp_path, "shadow", "secret")
    os.symlink("/etc/shadow", context / "absolute")
    os.symlink("../shadow", context / "up")
    os.symlink("..", context / "dots")
    os.symlink("/proc/self/root/etc/shadow", context / "magic")
    for source in ("absolute", "up", "dots/shadow", "magic", "../shadow", "/etc/shadow", "dots/../../etc/shadow"):
        refused(builder, context, f"FROM scratch\nCOPY {source} /x\n", "is not in the context")
    # The links themselves may be copied; they mean what they say in the image.
    build(builder, context, "FROM scratch\nCOPY . /all/\n")
    assert files(builder, tmp_path) == {"all/absolute": "/etc/shadow", "all/up": "../shadow", "all/dots": "..",
                                        "all/magic": "/proc/self/root/etc/shadow"}


def test_the_image_leads_nowhere(builder, context, tmp_path):
    """Links of the image are followed in it: for the destination, for what is on the way."""
    outside = tmp_path / "outside"
    outside.mkdir()
    write(context, "f", "f")
    write(context, "d/in/f", "f")
    os.makedirs(context / "links")
    os.symlink(str(outside), context / "links/out")
    os.symlink("../" * 20 + str(outside).lstrip("/"), context / "links/up")
    base = "FROM scratch\nCOPY links /\n"
    build(builder, context, base + "COPY f /out/f\nCOPY f /up/g\nCOPY d /out/d/\n")
    got = files(builder, tmp_path)
    inside = str(outside).lstrip("/")
    assert got[inside + "/f"] == "f" and got[inside + "/g"] == "f" and got[inside + "/d/in/f"] == "f"
    assert os.listdir(outside) == []
    write(context, "e/out/f", "f")
    refused(builder, context, base + "COPY e /\n", "out: is a file or a link in the image")


def test_special_files(builder, context, tmp_path):
    """FIFOs are never opened; sockets and devices are left out, and refused by name."""
    write(context, "f", "f")
    os.mkfifo(context / "fifo")
    os.mknod(context / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    with socket.socket(socket.AF_UNIX) as s:
        here = os.getcwd()
        os.chdir(context)
        s.bind("socket")
        os.chdir(here)
        build(builder, context, "FROM scratch\nCOPY . /\n")
    assert {path: e.kind for path, e in tree(builder, tmp_path).items()} == {"f": "f", "fifo": "p"}
    refused(builder, context, "FROM scratch\nCOPY null /x\n", "null: is a device")
    refused(builder, context, "FROM scratch\nADD socket /x\n", "socket: is a socket")


def stopped(cgroups):
    """A process of ours that a fault point has stopped, or None."""
    for pid in cgroups.processes():
        with contextlib.suppress(OSError):
            if lab.is_stopped(pid):
                return pid
    return None


@pytest.mark.parametrize("swap", ["link", "content", "gone", "fifo"])
def test_swapped_while_it_is_copied(builder, cgroups, context, tmp_path, swap):
    """A source that becomes another between its digest and its copy: nothing of the other one is in an image."""
    secret = write(tmp_path, "secret", "secret")
    write(context, "a", "first")
    write(context, "b", "b" * 10)
    where = write(tmp_path, "Potfile.test", "FROM scratch\nCOPY a b /\n")
    process = builder.start("build", "-t", "t:1", "-f", where, str(context), env={"POT_FAULT_STOP": "build.copy.file"})
    lab.wait_until(lambda: stopped(cgroups) is not None, "the stop at the first file")
    b = context / "b"
    if swap == "content":
        write(context, "b", "c" * 10)
    else:
        os.remove(b)
    if swap == "link":
        os.symlink(secret, b)
    elif swap == "fifo":
        os.mkfifo(b)
    while process.poll() is None:
        pid = stopped(cgroups)
        if pid is not None:
            os.kill(pid, signal.SIGCONT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
    out, err = process.communicate(timeout=lab.HANG)
    if process.returncode == 0:
        # It began again, and took what was there then.
        assert swap == "content", (out, err)
        assert files(builder, tmp_path)["b"] == "c" * 10
    else:
        assert b"secret" not in out
        assert "t:1" not in builder("images").out


# ---- URLs -----------------------------------------------------------------------------------------------


class Server:
    """Serves what tests put into .files (path to bytes, or a function of the handler); notes the requests."""

    def __init__(self):
        self.files, self.seen, self.etags, self.modified = {}, [], True, None
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = outer.files.get(self.path)
                outer.seen.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
                if callable(body):
                    body(self)
                    return
                etag = f'"{hash(body) & 0xffffffff:x}"' if body is not None else ""
                if body is not None and outer.etags and self.headers.get("If-None-Match") == etag:
                    self.send_response(304)
                    self.end_headers()
                    return
                self.send_response(200 if body is not None else 404)
                self.send_header("Content-Length", str(len(body or b"")))
                if body is not None and outer.etags:
                    self.send_header("ETag", etag)
                if outer.modified:
                    self.send_header("Last-Modified", outer.modified)
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def server():
    s = Server()
    yield s
    s.close()


def redirect(to):
    def answer(handler):
        handler.send_response(302)
        handler.send_header("Location", to)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
    return answer


def sha256(data):
    import hashlib
    return "sha256:" + hashlib.sha256(data).hexdigest()


def test_add_url(builder, context, server, tmp_path):
    """Under its name or another, 0600, with the server's time; asked again, and fetched again only when changed."""
    server.files["/dir/a%20file.txt?x=/y"] = b"one"
    server.modified = "Sun, 09 Sep 2001 01:46:40 GMT"
    url = f"{server.url}/dir/a%20file.txt?x=/y"
    potfile = f"FROM scratch\nADD {url} /d/\nADD {url} /named\nADD --chown=3:4 --chmod=755 {url} /mine\n"
    assert build(builder, context, potfile)["cached"] == 0
    got = tree(builder, tmp_path)
    assert got["d/a file.txt"][:5] == ("f", 0o600, (0, 0), "one", 1_000_000_000)
    assert got["named"].text == "one" and got["mine"][1:3] == (0o755, (3, 4))
    assert len(server.seen) == 1  # three steps ask for it, and two processes of the build
    server.seen.clear()
    assert build(builder, context, potfile)["cached"] == 3
    assert len(server.seen) == 1 and "if-none-match" in server.seen[0][1]
    server.files["/dir/a%20file.txt?x=/y"] = b"two"
    assert build(builder, context, potfile)["cached"] == 0
    assert files(builder, tmp_path)["named"] == "two"
    # The same content is the same step, also from a server that has no ETag.
    server.etags = False
    assert build(builder, context, potfile)["cached"] == 3


def test_add_url_with_checksum(builder, context, server, tmp_path):
    """The content must be what was said; what is here already needs no server."""
    server.files["/f"] = b"content"
    good = f"FROM scratch\nADD --checksum={sha256(b'content')} {server.url}/f /f\n"
    bad = f"FROM scratch\nADD --checksum={sha256(b'other')} {server.url}/f /f\n"
    refused(builder, context, bad, sha256(b"content")[:40])
    assert build(builder, context, good)["cached"] == 0
    server.seen.clear()
    assert build(builder, context, good)["cached"] == 1
    assert build(builder, context, good, "--no-cache")["cached"] == 0
    assert server.seen == []
    refused(builder, context, bad, "checksum")
    sha512 = "sha512:" + __import__("hashlib").sha512(b"content").hexdigest()
    build(builder, context, f"FROM scratch\nADD --checksum={sha512} {server.url}/f /f\n")
    refused(builder, context, f"FROM scratch\nADD --checksum=sha512:{'0' * 128} {server.url}/f /f\n", "checksum")


def test_add_url_refusals(builder, context, server, tmp_path):
    """What a server may do: not have it, send elsewhere for ever, break off; each is told, nothing is kept."""
    url = server.url
    write(context, "f", "f")

    def breaks_off(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b"short")

    server.files.update({"/loop": redirect("/loop"), "/file": redirect("file:///etc/shadow"), "/": b"root",
                         "/good": redirect("/real"), "/real": b"real", "/user": redirect("http://u:p@127.0.0.1/"),
                         "/huge": lambda h: (h.send_response(200), h.send_header("Content-Length", str(1 << 50)),
                                             h.end_headers(), h.wfile.write(b"x")),
                         "/short": breaks_off, "/500": lambda h: h.send_error(500)})
    refused(builder, context, f"FROM scratch\nADD {url}/none /x\n", "does not have it")
    refused(builder, context, f"FROM scratch\nADD {url}/loop /x\n", "redirects")
    refused(builder, context, f"FROM scratch\nADD {url}/file /x\n", "neither http nor https")
    refused(builder, context, f"FROM scratch\nADD {url}/user /x\n", "user's name")
    refused(builder, context, f"FROM scratch\nADD {url}/short /x\n")
    refused(builder, context, f"FROM scratch\nADD {url}/huge /x\n", "larger than")
    refused(builder, context, f"FROM scratch\nADD {url}/500 /x\n", "status 500")
    refused(builder, context, f"FROM scratch\nADD {url}/ /dir/\n", "what the file is called")
    refused(builder, context, f"FROM scratch\nCOPY {url}/real /x\n", "COPY takes no URLs")
    refused(builder, context, "FROM scratch\nADD https://example.org/repo.git /x\n", "git")
    refused(builder, context, f"FROM scratch\nADD --checksum={sha256(b'')} f /x\n", "--checksum is for one URL")
    kept = os.path.join(builder.root, "build", "fetched")
    assert {n for n in os.listdir(kept) if not n.startswith(".")} <= {sha256(b"root")[7:]} | {
        n for n in os.listdir(kept) if n.startswith("url-")}
    build(builder, context, f"FROM scratch\nADD {url}/good /x\nADD {url}/ /y\n")
    assert files(builder, tmp_path) == {"x": "real", "y": "root"}


def test_add_url_unpacks_when_told(builder, context, server, tmp_path):
    """An archive from a URL is a file, but for --unpack."""
    server.files["/a.tar"] = tar_of([("f", "f")])
    build(builder, context, f"FROM scratch\nADD {server.url}/a.tar /one/\nADD --unpack=true {server.url}/a.tar /two/\n")
    got = tree(builder, tmp_path)
    assert got["one/a.tar"].kind == "f" and got["two/f"].text == "f" and "two/a.tar" not in got


def test_plain_http_is_warned_of(builder, context, server):
    """Without a checksum nothing says that the content is the right one."""
    server.files["/f"] = b"f"
    where = write(os.path.dirname(str(context)), "Potfile.test", f"FROM scratch\nADD {server.url}/f /f\n")
    run = builder.call("build", "-t", "t:1", "-f", where, str(context))
    assert run.status == 0 and "plain http without --checksum" in run.err, run


# ---- crashes -----------------------------------------------------------------------------------------------


def test_killed_on_the_way(builder, context, server, tmp_path):
    """Killed at each point of COPY and ADD, the next build does it, and nothing of the dead one is left."""
    server.files["/f"] = b"f" * 1000
    write(context, "large", b"l" * 600_000)
    write(context, "d/f", "f")
    write(context, "a.tar", tar_of([("in", "in")]))
    for path in ("large", "d/f", "a.tar"):
        os.utime(context / path, (1, 1))
    # What was changed just now is not put into the table of sums; what is in a stage is.
    potfile = (f"FROM scratch AS first\nCOPY large d /\nADD a.tar /a/\nADD {server.url}/f /url\n"
               "FROM scratch\nCOPY --from=first . /\n")
    for point in ("build.sums.write", "build.copy.file", "build.copy.data", "build.unpack.started", "build.fetch.whole",
                  "build.fetch.kept"):
        log = tmp_path / "points"
        log.write_text("")
        build_dir = os.path.join(builder.root, "build")
        where = write(tmp_path, "Potfile.test", potfile)
        builder("build", "prune", "-a")
        for name in ("fetched", "sums"):
            subprocess.run(["rm", "-rf", os.path.join(build_dir, name)], check=True)
        run = builder.call("build", "--no-cache", "-t", "t:1", "-f", where, str(context),
                           env={"POT_FAULT": point, "POT_FAULT_LOG": str(log)})
        assert point in log.read_text().split(), point
        # A step may be done by a process of its own: then the build says that this one was killed.
        assert run.status != 0, (point, run)
        assert "t:1" not in builder("images").out
        build(builder, context, potfile)
        assert files(builder, tmp_path) == {"large": "l" * 600_000, "f": "f", "a/in": "in", "url": "f" * 1000}
        assert os.listdir(os.path.join(build_dir, "tmp")) == [], point
        builder("rmi", "t:1")
        builder("image", "prune", "-a")
