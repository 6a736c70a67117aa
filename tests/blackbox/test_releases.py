"""Bases of FreeBSD's releases: from a mirror's sets and from packages, whole or not at all."""

import contextlib
import hashlib
import http.server
import io
import os
import signal
import tarfile
import threading

import lab

RELEASE = "releases/amd64/amd64/14.3-RELEASE"


def make_set():
    """A made-up base.txz: large enough to be cut in the middle."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:xz") as t:
        for name, data, mode in (("libexec/ld-elf.so.1", b"\x7fELF", 0o755), ("bin/freebsd-version", b"#!/bin/sh\n", 0o755),
                                 ("usr/share/noise", os.urandom(300_000), 0o644)):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            info.mode = mode
            t.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("sys")
        link.type = tarfile.SYMTYPE
        link.linkname = "usr/src/sys"
        t.addfile(link)
    return out.getvalue()


class Mirror:
    """Serves the files it has; can cut one answer short, at once or when told, and tells what it was asked for."""

    def __init__(self):
        self.files, self.asked, self.cut, self.ranges = {}, [], None, True
        self.cuts_now = threading.Event()
        self.cuts_now.set()
        mirror = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                mirror.asked.append((self.path.rsplit("/", 1)[-1], self.headers.get("Range")))
                body = mirror.files.get(self.path.lstrip("/"))
                if body is None:
                    self.send_error(404)
                    return
                first = 0
                if mirror.ranges and self.headers.get("Range"):
                    first = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
                    if first >= len(body):
                        self.send_error(416)
                        return
                    self.send_response(206)
                    self.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
                else:
                    self.send_response(200)
                self.send_header("Content-Length", str(len(body) - first))
                self.end_headers()
                if mirror.cut is None or not self.path.endswith(".txz"):
                    self.wfile.write(body[first:])
                    return
                end, mirror.cut = mirror.cut, None
                self.wfile.write(body[first:end])
                mirror.cuts_now.wait()
                self.close_connection = True

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def put(self, content, digest=None):
        digest = digest or hashlib.sha256(content).hexdigest()
        self.files[f"{RELEASE}/base.txz"] = content
        self.files[f"{RELEASE}/MANIFEST"] = (
            f'kernel.txz\t{"0" * 64}\t9\tkernel\t"Kernel (MANDATORY)"\ton\n'
            f'base.txz\t{digest}\t26431\tbase\t"Base system (MANDATORY)"\ton\n').encode()

    def close(self):
        self.cuts_now.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def mirror():
    return contextlib.closing(Mirror())


def bases(node):
    return {b["name"]: b for b in node("--format", "json", "list", "-b").json() if b["name"] != "box"}


def cached(node):
    place = os.path.join(node.root, "cache", "freebsd")
    return sorted(n for n in os.listdir(place) if not n.startswith(".lock-")) if os.path.isdir(place) else []


def size(node, name):
    return os.path.getsize(os.path.join(node.root, "cache", "freebsd", name))


def clean(node, *names):
    for name in names:
        node("destroy", "-b", name)
    for name in cached(node):
        os.remove(os.path.join(node.root, "cache", "freebsd", name))


def test_release(empty_node):
    """create-base -r 14.3 fetches the set, proves its sum, and a second base needs the mirror's list only."""
    with mirror() as m:
        m.put(make_set())
        empty_node("create-base", "-r", "14.3", "--mirror", m.url)
        base = bases(empty_node)["14.3"]
        assert base["release"] == "14.3-RELEASE" and base["source"].endswith(RELEASE)
        assert [name for name, _ in m.asked] == ["MANIFEST", "base.txz"]
        empty_node("create-base", "-r", "freebsd:14.3-RELEASE", "-b", "second", "--mirror", m.url)
        assert [name for name, _ in m.asked] == ["MANIFEST", "base.txz", "MANIFEST"]
        empty_node.fails("create-base", "-r", "14.3", "--mirror", m.url, says="exists already")
    empty_node("create", "-p", "bsd", "-b", "14.3", "-N", "none", "-c", "x")
    copied = os.path.join(empty_node.root, "copied")
    empty_node("copy-out", "-p", "bsd", "-s", "/bin/freebsd-version", "-d", copied)
    assert open(copied).read() == "#!/bin/sh\n"
    os.remove(copied)
    empty_node("destroy", "-p", "bsd")
    clean(empty_node, "14.3", "second")


def test_broken_off(empty_node):
    """A connection that breaks is gone on with, where it broke off or, by a server without ranges, from the beginning."""
    for ranges in (True, False):
        with mirror() as m:
            m.put(make_set())
            m.cut, m.ranges = 100_000, ranges
            empty_node("create-base", "-r", "14.3", "--mirror", m.url)
            assert m.asked == [("MANIFEST", None), ("base.txz", None), ("base.txz", "bytes=100000-")]
            assert cached(empty_node) == ["14.3-RELEASE-amd64-amd64.txz"]
        clean(empty_node, "14.3")


def test_resumed(empty_node):
    """What an interrupted fetch has is kept, and the next one goes on behind it; nothing of it is a base."""
    part = "14.3-RELEASE-amd64-amd64.txz.part"
    for ranges in (True, False):
        with mirror() as m:
            m.put(make_set())
            m.cut, m.ranges = 100_000, ranges
            m.cuts_now.clear()
            p = empty_node.start("create-base", "-r", "14.3", "--mirror", m.url)
            lab.wait_until(lambda: part in cached(empty_node) and size(empty_node, part) == 100_000, "the beginning")
            p.send_signal(signal.SIGINT)
            err = p.communicate()[1].decode()
            m.cuts_now.set()
            assert p.returncode != 0 and "interrupted" in err
            assert bases(empty_node) == {} and cached(empty_node) == [part]
            empty_node("create-base", "-r", "14.3", "--mirror", m.url)
            assert m.asked[-1] == ("base.txz", "bytes=100000-")
            assert cached(empty_node) == ["14.3-RELEASE-amd64-amd64.txz"]
        clean(empty_node, "14.3")


def test_wrong_sum(empty_node):
    """A set that is not what the list says never becomes a base; a spoilt beginning is thrown away and fetched again."""
    content = make_set()
    with mirror() as m:
        m.put(content, digest="1" * 64)
        empty_node.fails("create-base", "-r", "14.3", "--mirror", m.url, says="its sum is another")
        assert bases(empty_node) == {} and cached(empty_node) == []
        m.put(content)
        place = os.path.join(empty_node.root, "cache", "freebsd")
        for spoilt in (b"x" * 5000, b"x" * (len(content) + 10)):
            with open(os.path.join(place, "14.3-RELEASE-amd64-amd64.txz.part"), "wb") as f:
                f.write(spoilt)
            empty_node("create-base", "-r", "14.3", "--mirror", m.url)
            clean(empty_node, "14.3")
        # One that was whole and was changed on the disk since.
        with open(os.path.join(place, "14.3-RELEASE-amd64-amd64.txz"), "wb") as f:
            f.write(content[:-1] + b"x")
        empty_node("create-base", "-r", "14.3", "--mirror", m.url)
    clean(empty_node, "14.3")


def test_refused(empty_node):
    """No such release, a list that is none, plain HTTP from elsewhere, and what is no release: each says so."""
    with mirror() as m:
        empty_node.fails("create-base", "-r", "14.3", "--mirror", m.url, says="no release 14.3-RELEASE")
        m.put(make_set())
        m.files[f"{RELEASE}/MANIFEST"] = b"<html>not here</html>\n"
        empty_node.fails("create-base", "-r", "14.3", "--mirror", m.url, says="MANIFEST:1")
    empty_node.fails("create-base", "-r", "14.3", "--mirror", "http://192.0.2.1/", says="plain http proves nothing")
    empty_node.fails("create-base", "-r", "14.x", says="no release of FreeBSD")
    empty_node.fails("create-base", "-r", "bookworm", "--pkgbase", status=2, says="releases of FreeBSD")
    empty_node.fails("create-base", "-r", "14.3", "--pkgbase", says="begin with 15.0")
    assert bases(empty_node) == {} and cached(empty_node) == []


def test_packages(empty_node, tmp_path):
    """--pkgbase: the host's pkg installs the packages of the release into a root, which becomes the base."""
    program = tmp_path / "pkg"
    program.write_text('#!/bin/sh\n[ "$1" = --rootdir ] || exit 9\nmkdir -p "$2/libexec" "$2/bin"\n: >"$2/libexec/ld-elf.so.1"\n'
                       'echo "$@" >"$2/bin/said"\n[ ! -e ' + str(tmp_path / "fail") + " ]\n")
    program.chmod(0o755)
    with open(os.path.join(empty_node.root, "pot.conf"), "a") as f:
        f.write(f'pkg = "{program}"\n')
    empty_node("create-base", "-r", "15.0", "--pkgbase", "--include", "FreeBSD-vi")
    assert bases(empty_node)["15.0"]["source"] == "packages of FreeBSD 15.0-RELEASE"
    empty_node("create", "-p", "bsd", "-b", "15.0", "-N", "none", "-c", "x")
    copied = os.path.join(empty_node.root, "copied")
    empty_node("copy-out", "-p", "bsd", "-s", "/bin/said", "-d", copied)
    said = open(copied).read()
    assert "ABI=FreeBSD:15:amd64" in said and said.rstrip().endswith("FreeBSD-base FreeBSD-set-minimal-jail FreeBSD-vi")
    os.remove(copied)
    empty_node("destroy", "-p", "bsd")
    (tmp_path / "fail").touch()
    empty_node.fails("create-base", "-r", "15.0", "-b", "other", "--pkgbase", says="installing the packages")
    assert set(bases(empty_node)) == {"15.0"}
    assert not os.path.exists(os.path.join(empty_node.root, "tmp", "pkgbase.other"))
    clean(empty_node, "15.0")
