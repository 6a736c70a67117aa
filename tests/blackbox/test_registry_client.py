"""Images and registries: ours, a foreign one, one that lies; who may see a password, who must have signed."""

import base64
import contextlib
import crypt
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import threading
import time

import pytest

import lab
import peer as peers
from peer import Image, Peer, sha
from registry_lab import Registry
from test_images import images, left, no_images  # noqa: F401 (a fixture)

BIG = os.urandom(3 << 20)


def small(text=b"hello"):
    return Image([{"bin/one": text}, {"bin/two": b"two", "etc/x": b"x"}], settings={"Cmd": ["/bin/one"]})


def large():
    return Image([{"data": BIG}, {"more": BIG[: 1 << 20]}])


@pytest.fixture
def scratch():
    directory = tempfile.mkdtemp(prefix="pot-client-", dir="/var/tmp")
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def peer():
    p = Peer()
    yield p
    p.close()


@contextlib.contextmanager
def docker_registry(scratch):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    config = os.path.join(scratch, "docker.yml")
    with open(config, "w", encoding="ascii") as f:
        f.write(f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {scratch}/docker}}}}\n"
                f"http: {{addr: '127.0.0.1:{port}'}}\n")
    process = subprocess.Popen(["docker-registry", "serve", config], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)

    def answers():
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port)).close()
            return True
        return False

    lab.wait_until(answers, "docker-registry")
    yield f"127.0.0.1:{port}"
    process.kill()
    process.wait()


@contextlib.contextmanager
def pot_registry(program, scratch, *options):
    r = Registry(program, scratch, *options).start()
    yield f"127.0.0.1:{r.port}"
    r.stop()


@pytest.fixture(params=["docker-registry", "pot-registry"])
def registry(request, scratch, program):
    """HOST:PORT of a real registry that takes everything from everybody."""
    with docker_registry(scratch) if request.param == "docker-registry" else pot_registry(program, scratch) as host:
        yield host


def skopeo(*words):
    run = subprocess.run(["skopeo", *words], capture_output=True, text=True, timeout=lab.HANG, check=False)
    assert run.returncode == 0, run
    return run.stdout


def layout(directory, image):
    """An OCI layout of an Image, as another tool would have made it."""
    os.makedirs(os.path.join(directory, "blobs", "sha256"))
    for data in [*image.blobs.values(), image.manifest]:
        with open(os.path.join(directory, "blobs", "sha256", sha(data)[7:]), "wb") as f:
            f.write(data)
    with open(os.path.join(directory, "oci-layout"), "w", encoding="ascii") as f:
        f.write('{"imageLayoutVersion": "1.0.0"}')
    with open(os.path.join(directory, "index.json"), "w", encoding="ascii") as f:
        json.dump({"schemaVersion": 2, "manifests": [{
            "mediaType": peers.MANIFEST, "digest": image.digest, "size": len(image.manifest),
            "annotations": {"org.opencontainers.image.ref.name": "t"}}]}, f)
    return directory


def partial(node):
    directory = os.path.join(node.root, "images", "partial")
    return {f: os.path.getsize(os.path.join(directory, f)) for f in os.listdir(directory)}


def visible(node):
    """What of a failed pull could be mistaken for something good."""
    return images(node), [f for f in left(node) if "/ready/" in f or "/refs/" in f]


def pull(node, name, *more, **options):
    return node("-q", "pull", name, *more, **options)


# ---- with others' tools and registries ----------------------------------------------------------------------


def test_others_push_we_run(onode, registry, scratch):
    """What skopeo pushed to any registry is pulled and runs as a pot."""
    box = {"bin/busybox": open("/bin/busybox", "rb").read(), "etc/passwd": b"root:x:0:0::/:/bin/busybox\n"}
    image = Image([box, {"etc/motd": b"from another tool\n"}], settings={"Cmd": ["/bin/busybox", "cat", "/etc/motd"]})
    skopeo("copy", "--dest-tls-verify=false", "oci:" + layout(scratch + "/oci", image) + ":t",
           f"docker://{registry}/team/web:1")
    assert pull(onode, f"{registry}/team/web:1").out == image.digest + "\n"
    assert onode("run", "--rm", "-N", "inherit", f"{registry}/team/web:1").out == "from another tool\n"


def test_we_push_others_read(onode, registry, scratch):
    """What we push has the same digest for skopeo, which checks and copies all of it."""
    image = small()
    p = Peer()
    pull(onode, p.put("a", "1", image))
    p.close()
    name = f"{registry}/team/pushed:2.0"
    assert onode("-q", "push", f"{p.host}/a:1", name).out == image.digest + "\n"
    out = json.loads(skopeo("inspect", "--tls-verify=false", "docker://" + name))
    assert out["Digest"] == image.digest and out["Layers"] == [sha(b) for b in image.layers]
    skopeo("copy", "--src-tls-verify=false", "docker://" + name, f"dir:{scratch}/copy")
    assert open(f"{scratch}/copy/manifest.json", "rb").read() == image.manifest


def test_prepare(onode, registry, scratch):
    """What an orchestrator asks for at once: the image is pulled, a pot of its own is made and started."""
    box = {"bin/busybox": open("/bin/busybox", "rb").read(), "etc/motd": b"prepared\n"}
    p = Peer()
    pull(onode, p.put("a", "1.0", Image([box], settings={"Cmd": ["/bin/busybox", "cat", "/etc/motd"]})))
    p.close()
    onode("-q", "push", f"{p.host}/a:1.0", f"{registry}/team/web:1.0")
    words = ("prepare", "-p", "web", "-t", "1.0", "-U", f"oci://{registry}/team", "-N", "host")
    assert onode(*words, "-a", "one").out == "web_1_0_one\n"
    assert onode("start", "-a", "web_1_0_one").out == "prepared\n"
    attributes = onode.info("web_1_0_one")["attributes"]
    assert (attributes["persistent"], attributes["no-rc-script"]) == ("NO", "YES")
    onode.fails(*words, "-a", "one", says="exists already")
    onode.fails("prepare", "-p", "web", "-t", "7", "-U", f"oci://{registry}/team", "-a", "two", says="web:7")
    onode.fails("prepare", "-p", "nothing", "-t", "7", "-a", "two", says="is on this node")
    made = onode(*words, "-a", "two", "-n", "short", "-c", "/bin/busybox sleep 100000", "-s").out
    assert made == "short_two\n" and onode.states()["short_two"] == "running"
    assert onode.states().keys() == {"web_1_0_one", "short_two"}


def test_podman_reads_what_we_push(onode, registry, scratch):
    """podman pulls what we pushed and finds every file as it was."""
    source = Peer()
    pull(onode, source.put("a", "1", small(b"for podman")))
    source.close()
    name = f"{registry}/team/podman:1"
    onode("-q", "push", f"{source.host}/a:1", name)
    podman = ["podman", "--root", scratch + "/storage", "--runroot", scratch + "/run", "--storage-driver", "vfs"]

    def run(*words):
        r = subprocess.run([*podman, *words], capture_output=True, timeout=lab.HANG, check=False)
        assert r.returncode == 0, r
        return r.stdout

    run("pull", "-q", "--tls-verify=false", name)
    tree = run("image", "mount", name).decode().strip()
    found = {os.path.relpath(os.path.join(d, f), tree): open(os.path.join(d, f), "rb").read()
             for d, _, files in os.walk(tree) for f in files}
    run("image", "unmount", name)
    run("rmi", "-af")
    assert found == {"bin/one": b"for podman", "bin/two": b"two", "etc/x": b"x"}


def test_second_push_sends_nothing(onode, registry):
    """A second push sends no blob, and one to another repository mounts what the first one has."""
    p = Peer()
    pull(onode, p.put("a", "1", small()))
    p.close()
    onode("-q", "push", f"{p.host}/a:1", f"{registry}/one/web:1")
    onode("tag", f"{p.host}/a:1", f"{registry}/one/web:1")
    again = onode("-q", "--format", "json", "push", f"{registry}/one/web:1").json()
    assert (again["moved"], again["bytes"]) == (0, 0), again
    other = onode("-q", "--format", "json", "push", f"{registry}/one/web:1", f"{registry}/two/web:1").json()
    assert other["mounted"] == 2 and other["moved"] <= 1, other


def test_derived_image_moves_only_its_layer(onode, registry):
    """Of an image that shares a layer with one that is here only the other layer is fetched."""
    p = Peer()
    base = Image([{"data": BIG}])
    derived = Image([{"data": BIG}, {"etc/new": b"1"}])
    pull(onode, p.put("base", "1", base))
    p.forget()
    done = onode("-q", "--format", "json", "pull", p.put("derived", "1", derived)).json()
    assert (done["blobs"], done["moved"]) == (2, 1), done
    assert p.asked("GET", sha(derived.layers[0])) == []
    p.close()


def test_index_docker_types_and_zstd(onode, peer):
    """The manifest of our platform is picked from an index; Docker's media types and zstd layers are read."""
    import_zstd = lambda b: subprocess.run(["zstd", "-qc"], input=b, capture_output=True, check=True).stdout  # noqa: E731
    arm = Image([{"arm": b"arm"}], platform=("linux", "arm64"))
    ours = Image([{"ours": b"ours"}], compress=import_zstd, media="application/vnd.oci.image.layer.v1.tar+zstd")
    docker = json.loads(small().manifest)
    docker["mediaType"] = "application/vnd.docker.distribution.manifest.v2+json"
    docker["config"]["mediaType"] = "application/vnd.docker.container.image.v1+json"
    for layer in docker["layers"]:
        layer["mediaType"] = "application/vnd.docker.image.rootfs.diff.tar.gzip"
    for image in (arm, ours, small()):
        peer.put("multi", "x", image)
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    index = json.dumps({"schemaVersion": 2, "mediaType": peers.INDEX, "manifests": [
        {"mediaType": peers.MANIFEST, "digest": i.digest, "size": len(i.manifest),
         "platform": {"os": "linux", "architecture": a}} for i, a in ((arm, "s390x"), (ours, machine))]}).encode()
    done = onode("-q", "--format", "json", "pull", peer.put("multi", "1", index)).json()
    assert (done["digest"], done["id"]) == (sha(index), ours.digest)
    pull(onode, peer.put("docker", "1", json.dumps(docker).encode()))


# ---- lies -----------------------------------------------------------------------------------------------------


def test_wrong_bytes_are_never_seen(onode, peer):
    """A blob of the right length and the wrong digest fails the pull, is removed, and nothing of it is visible."""
    image = small()
    name = peer.put("bad", "1", image)
    victim = sha(image.layers[1])
    peer.blobs[victim] = bytes(len(peer.blobs[victim]))
    onode.fails("-q", "pull", name, says="layer " + victim[7:19])
    assert visible(onode) == ({}, []) and partial(onode) == {}
    peer.blobs.update(image.blobs)
    pull(onode, name)


@pytest.mark.parametrize("change", [-1, +1])
def test_wrong_length_is_refused(onode, peer, change):
    """A blob shorter or longer than announced fails the pull."""
    image = small()
    name = peer.put("bad", "1", image)
    victim = sha(image.layers[0])
    peer.blobs[victim] = peer.blobs[victim][:-1] if change < 0 else peer.blobs[victim] + b"x"
    onode.fails("-q", "pull", name, says="layer " + victim[7:19])
    assert visible(onode) == ({}, [])


def manifest_with(**changes):
    return json.dumps({**json.loads(small().manifest), **changes}).encode()


@pytest.mark.parametrize("text, says", [
    (manifest_with(manifests=[]), ""),
    (manifest_with(mediaType=peers.INDEX), ""),
    (manifest_with(mediaType="text/html"), ""),
    (manifest_with(schemaVersion=1), ""),
    (b"[" * 100000, ""),
    (b'{"schemaVersion": 2, "layers": [', ""),
    (b"\xff\xfe", ""),
    (manifest_with(layers=[{"mediaType": peers.LAYER, "digest": "sha256:../../../../etc/passwd", "size": 3}]), ""),
    (manifest_with(layers=[{"mediaType": peers.LAYER, "digest": "sha256:" + "A" * 64, "size": 3}]), ""),
    (manifest_with(layers=[{"mediaType": peers.LAYER, "digest": "md5:" + "a" * 32, "size": 3}]), ""),
    (manifest_with(layers=[{"mediaType": peers.LAYER, "digest": sha(b""), "size": -1}]), ""),
    (manifest_with(layers=[]), "number of layers"),
    (manifest_with(config={"mediaType": "application/vnd.example+json", "digest": sha(b"{}"), "size": 2}), "artifact"),
], ids=range(13))
def test_hostile_manifests(onode, peer, text, says):
    """Ambiguous, malformed and foreign manifests are refused before any layer is asked for."""
    for blob in small().blobs.values():
        peer.blobs[sha(blob)] = blob
    onode.fails("-q", "pull", peer.put("hostile", "1", text), says=says)
    assert not [p for _, p, _ in peer.asked("GET", "/blobs/") if sha(small().config) not in p]
    assert visible(onode) == ({}, [])


def test_endless_manifest(onode, peer):
    """A manifest of 100 MB is not read to its end, announced or not."""
    sent = []

    def bend(h, method, path):
        if "/manifests/" not in path:
            return False
        h.send_response(200)
        if "announced" in path:
            h.send_header("Content-Length", str(100 << 20))
        else:
            h.send_header("Connection", "close")
        h.end_headers()
        with contextlib.suppress(OSError):
            for _ in range(100):
                h.wfile.write(b" " * (1 << 20))
                sent.append(1)
        h.close_connection = True
        return True

    peer.bend = bend
    onode.fails("-q", "pull", f"{peer.host}/x:announced", says="larger than 4 MiB")
    onode.fails("-q", "pull", f"{peer.host}/x:streamed", says="4194304")
    assert len(sent) < 60


def test_endless_headers(onode, peer):
    """An answer with megabytes of header lines is refused."""
    def bend(h, method, path):
        if "/manifests/" not in path:
            return False
        with contextlib.suppress(OSError):
            h.wfile.write(b"HTTP/1.1 200 OK\r\n")
            for i in range(40000):
                h.wfile.write(b"X-%d: %s\r\n" % (i, b"y" * 80))
        h.close_connection = True
        return True

    peer.bend = bend
    onode.fails("-q", "pull", f"{peer.host}/x:1", says="header is larger")


def test_redirects(onode, peer):
    """Redirects end after a few; to another host they carry no credentials; the layer from there is taken."""
    other = Peer()
    image = small()
    name = peer.put("moved", "1", image)
    other.blobs.update(image.blobs)

    def elsewhere(h, method, path):
        if h.headers.get("Authorization") != "Basic " + base64.b64encode(b"alice:s3cret").decode():
            h.give(401, WWW_Authenticate='Basic realm="x"')
        elif "/blobs/" in path:
            h.give(307, Location=f"http://{other.host}{path}")
        else:
            return False
        return True

    peer.bend = elsewhere
    onode("-q", "login", "-u", "alice", "--password-stdin", peer.host, stdin=b"s3cret\n")
    pull(onode, name)
    assert len(other.asked("GET", "/blobs/")) == 3
    assert not [h for _, _, h in other.log if "Authorization" in h]
    other.close()

    def circle(h, method, path):
        if "/manifests/" not in path:
            return False
        h.give(302, Location=path + "x")
        return True

    peer.bend = circle
    peer.forget()
    onode.fails("-q", "pull", name, says="redirects")
    assert len(peer.asked("GET", "/manifests/")) == 6
    onode("logout", peer.host)


def test_stall(onode, peer):
    """A registry that stops in the middle is given up after the time asked for; what came is kept."""
    image = large()
    name = peer.put("slow", "1", image)
    release = []

    def bend(h, method, path):
        if sha(image.layers[0]) not in path:
            return False
        h.send_response(200)
        h.send_header("Content-Length", str(len(image.layers[0])))
        h.end_headers()
        with contextlib.suppress(OSError):
            h.wfile.write(image.layers[0][: 1 << 20])
            h.wfile.flush()
            while h.connection.recv(1):
                pass
        release.append(1)
        h.close_connection = True
        return True

    peer.bend = bend
    process = onode.start("-q", "pull", "--stall", "1", name)
    lab.wait_until(lambda: release, "the end of the first try")
    peer.bend = None
    out, err = process.communicate(timeout=lab.HANG)
    assert process.returncode == 0, (out, err)
    ranges = [h.get("Range") for _, _, h in peer.asked("GET", sha(image.layers[0]))]
    assert ranges[0] is None and ranges[-1] == f"bytes={1 << 20}-", ranges


def test_dies_in_the_middle(onode, peer):
    """A connection that dies in the middle of a blob is gone on with by Range, also after a range was ignored."""
    image = large()
    name = peer.put("dies", "1", image)
    cuts = []

    def bend(h, method, path):
        if sha(image.layers[0]) not in path or len(cuts) == 3:
            return False
        start = int((h.headers.get("Range") or "bytes=0-")[6:-1])
        data = image.layers[0]
        cuts.append(start)
        if len(cuts) == 3:  # knows no ranges
            h.give(200, data)
            return True
        h.send_response(206 if start else 200)
        if start:
            h.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        h.send_header("Content-Length", str(len(data) - start))
        h.end_headers()
        h.wfile.write(data[start: start + 700000])
        h.wfile.flush()
        h.hang_up()
        return True

    peer.bend = bend
    pull(onode, name)
    assert cuts[0] == 0 and 0 < cuts[1] < cuts[2], cuts
    assert images(onode)[name]["ready"]


def test_busy_registry(onode, peer):
    """429 and 503 are tried again, not before the time that the registry asks for."""
    name = peer.put("busy", "1", small())
    times = {}

    def bend(h, method, path):
        times.setdefault(path, []).append(time.monotonic())
        if len(times[path]) > 1 or path == "/v2/":
            return False
        if "/manifests/" in path:
            h.give(429, Retry_After="1")
        else:
            h.give(503)
        return True

    peer.bend = bend
    pull(onode, name)
    manifest = next(t for p, t in times.items() if "/manifests/" in p)
    assert len(manifest) == 2 and manifest[1] - manifest[0] >= 1


def test_errors_say_what_the_registry_said(onode, peer):
    """A refusal is told with the registry's own words, cleaned of control characters."""
    peer.bend = lambda h, method, path: "/manifests/" in path and (h.give(
        403, b'{"errors": [{"code": "DENIED", "message": "not \\u001b[31mfor you"}]}'), True)[1]
    r = onode.fails("-q", "pull", f"{peer.host}/x:1", says=("DENIED", "for you", "pot login"))
    assert "\x1b" not in r.err
    peer.bend = None
    onode.fails("-q", "pull", f"{peer.host}/x:1", says=(f"registry {peer.host}", "not found"))
    onode.fails("-q", "pull", "web:1", says=("names no registry", "docker.io/library/web"))


# ---- killed, interrupted, many ------------------------------------------------------------------------------------

POINTS = ["image.pull.data", "image.pull.data:3", "image.pull.synced", "image.unpack.stacked", "image.unpack.stacked:2", "image.pull.commit", "image.pull.committed", "image.pull.commit:2",
          "image.pull.unpack", "image.pull.unpack:2", "image.pull.unpacked", "image.pull.unpacked:2",
          "image.pull.publish"]


@pytest.mark.parametrize("point", POINTS)
def test_killed_pull(onode, peer, point):
    """A pull killed at any point shows nothing, and the next one goes on and fetches no whole blob twice."""
    image = large()
    name = peer.put("killed", "1", image)
    assert onode.call("-q", "pull", name, env={"POT_FAULT": point}).status == -signal.SIGKILL
    assert visible(onode)[0] == {}
    whole = [sha(b) for b in image.layers if os.path.exists(
        os.path.join(onode.root, "images", "blobs", "sha256", sha(b)[7:]))]
    begun = {"sha256:" + f[7:]: size for f, size in partial(onode).items() if 0 < size}
    peer.forget()
    pull(onode, name)
    assert images(onode)[name]["ready"] and partial(onode) == {}
    for digest in whole:
        assert peer.asked("GET", digest) == []
    for digest, size in begun.items():
        ranges = [h.get("Range") for _, _, h in peer.asked("GET", digest)]
        assert ranges == ([] if size == len(peer.blobs[digest]) else [f"bytes={size}-"])


def test_interrupt(onode, peer):
    """Ctrl-C ends a pull at once, shows nothing, keeps what came; the next pull asks only for the rest."""
    image = large()
    name = peer.put("interrupted", "1", image)
    reached = []

    def bend(h, method, path):
        if sha(image.layers[0]) not in path:
            return False
        h.send_response(200)
        h.send_header("Content-Length", str(len(image.layers[0])))
        h.end_headers()
        with contextlib.suppress(OSError):
            h.wfile.write(image.layers[0][:1000000])
            h.wfile.flush()
            reached.append(1)
            while h.connection.recv(1):
                pass
        h.close_connection = True
        return True

    peer.bend = bend
    process = onode.start("-q", "pull", name)
    lab.wait_until(lambda: reached and any(s == 1000000 for s in partial(onode).values()), "half of the layer")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=lab.HANG)
    assert process.returncode == 1 and b"interrupted" in err and out == b"", (out, err)
    assert visible(onode) == ({}, [])
    peer.bend = None
    peer.forget()
    pull(onode, name)
    assert [h["Range"] for _, _, h in peer.asked("GET", sha(image.layers[0]))] == ["bytes=1000000-"]


def test_one_flight_per_blob(onode, peer):
    """Many pulls of one image at the same time fetch each blob once, and all of them end well."""
    image = large()
    name = peer.put("crowd", "1", image)
    pulls = [onode.start("-q", "pull", name) for _ in range(64)]
    for process in pulls:
        out, err = process.communicate(timeout=4 * lab.HANG)
        assert (process.returncode, out.decode()) == (0, image.digest + "\n"), err
    for blob in image.layers:
        assert len(peer.asked("GET", sha(blob))) == 1


def test_bars(onode, peer):
    """On a terminal each layer has a bar; a pull that fails leaves the message alone on its line."""
    image = large()
    name = peer.put("bars", "1", image)
    started = []

    def bend(h, method, path):
        if sha(image.layers[0]) not in path:
            return False
        h.send_response(200)
        h.send_header("Content-Length", str(len(image.layers[0])))
        h.end_headers()
        with contextlib.suppress(OSError):
            for i in range(0, len(image.layers[0]), 100000):
                time.sleep(0.03)
                h.wfile.write(image.layers[0][i:i + 100000])
        started.append(1)
        return True

    peer.bend = bend
    t = onode.terminal("pull", name)
    for blob in image.layers:
        t.expect("layer " + sha(blob)[7:19])
    t.expect("2 of 2 layers fetched")
    assert t.end() == 0


# ---- credentials -------------------------------------------------------------------------------------------------


def tokens(peer, seen, realm=None, scope_needed="pull"):
    """Makes the peer ask for bearer tokens, which alice gets for her password."""
    def bend(h, method, path):
        if path.startswith("/token"):
            seen.append((path, h.headers.get("Authorization")))
            ok = h.headers.get("Authorization") == "Basic " + base64.b64encode(b"alice:s3cret").decode()
            h.give(200 if ok else 401, json.dumps({"token": "t0ken"} if ok else {}).encode())
        elif h.headers.get("Authorization") != "Bearer t0ken":
            h.give(401, WWW_Authenticate=f'Bearer realm="{realm or "http://" + peer.host + "/token"}",'
                                         f'service="peer",scope="repository:x:{scope_needed}"')
        else:
            return False
        return True
    peer.bend = bend


def test_login(onode, peer):
    """Credentials are proved, kept where only root reads them, used for tokens, and never shown or passed on."""
    seen = []
    tokens(peer, seen)
    name = peer.put("private", "1", small())
    onode.fails("-q", "pull", name, says="pot login")
    onode.fails("login", "-u", "alice", "--password-stdin", peer.host, stdin=b"wrong", says="alice")
    file = os.path.join(onode.root, "registries", "auth.json")
    assert not os.path.exists(file) or peer.host not in open(file, encoding="ascii").read()
    r = onode.call("-v", "login", "-u", "alice", "--password-stdin", peer.host, stdin=b"s3cret\n")
    assert r.status == 0 and "s3cret" not in r.out + r.err
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o600 and "s3cret" not in open(file, encoding="ascii").read()
    seen.clear()
    r = onode.call("-v", "pull", name)
    assert r.status == 0 and "s3cret" not in r.out + r.err and "t0ken" not in r.out + r.err
    assert "scope=repository%3Aprivate%3Apull" in seen[0][0] and "service=peer" in seen[0][0]
    onode("-q", "push", name, f"{peer.host}/private:2")
    assert any("pull%2Cpush" in path for path, _ in seen)
    os.chmod(file, 0o644)
    onode.fails("-q", "pull", name, says="others may read it")
    os.chmod(file, 0o600)
    onode("logout", peer.host)
    onode.fails("-q", "pull", name, says="pot login")
    onode.fails("logout", peer.host, says="no credentials")
    peer.bend = None
    assert "asks for no log-in" in onode.call("login", "-u", "x", "--password-stdin", peer.host, stdin=b"y").err
    onode("logout", peer.host)


def test_password_is_asked_for(onode, peer):
    """Without --password-stdin the password is typed on the terminal, which does not show it."""
    tokens(peer, [])
    t = onode.terminal("login", peer.host)
    t.expect("Username: ")
    t.type("alice\n")
    t.expect("Password: ")
    t.type("s3cret\n")
    before = t.expect("logged in")
    assert "s3cret" not in before
    assert t.end() == 0
    onode("logout", peer.host)


def test_auth_file(onode, peer, scratch):
    """$REGISTRY_AUTH_FILE in Docker's form is read."""
    tokens(peer, [])
    file = os.path.join(scratch, "config.json")
    with open(file, "w", encoding="ascii") as f:
        json.dump({"auths": {peer.host: {"auth": base64.b64encode(b"alice:s3cret").decode()}}, "credsStore": "x"}, f)
    pull(onode, peer.put("private", "1", small()), env={"REGISTRY_AUTH_FILE": file})


@pytest.mark.parametrize("realm", ["http://192.0.2.1/token", "file:///etc/passwd", "http://evil@127.0.0.1/",
                                   "ftp://127.0.0.1/x", "not a url"])
def test_realms_that_are_not_followed(onode, peer, realm):
    """A realm is followed over https only, or on a plain registry's own host; nothing is sent anywhere else."""
    seen = []
    tokens(peer, seen, realm=realm)
    onode.fails("-q", "pull", peer.put("x", "1", small()))
    assert seen == []


@pytest.mark.parametrize("answer", [b"", b"[]", b'{"token": 3}', b'{"token": ""}', b'{"token": "a\\r\\nX: y"}',
                                    b'{"token": "a b"}', b'{"token": "' + b"x" * 200000 + b'"}',
                                    b'{"token": "a", "token": "b"}'], ids=range(8))
def test_bad_tokens(onode, peer, answer):
    """What is no token is refused, and never becomes a header."""
    peer.bend = lambda h, method, path: (
        h.give(200, answer) if path.startswith("/token") else
        h.give(401, WWW_Authenticate=f'Bearer realm="http://{peer.host}/token"'), True)[1]
    onode.fails("-q", "pull", peer.put("x", "1", small()), says="token")
    assert not [h for _, _, h in peer.log if "Authorization" in h or "X" in h]


def test_pot_registry_with_users(onode, program, scratch):
    """Against our own registry: who may push may, who may only pull is told so, nobody else sees anything."""
    auth = os.path.join(scratch, "auth")
    with open(auth, "w", encoding="ascii") as f:
        for user in ("alice", "bob"):
            f.write(f"{user}:{crypt.crypt('s3cret-' + user, crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16))}\n")
        f.write("allow alice team/* pull,push\nallow bob team/* pull\n")
    source = Peer()
    image = small()
    pull(onode, source.put("s", "1", image))
    source.close()
    with pot_registry(program, scratch, "--auth", auth) as host:
        name = f"{host}/team/web:1"
        onode.fails("-q", "push", f"{source.host}/s:1", name, says="pot login")
        onode("-q", "login", "-u", "bob", "--password-stdin", host, stdin=b"s3cret-bob")
        onode.fails("-q", "push", f"{source.host}/s:1", name, says="denied")
        onode("-q", "login", "-u", "alice", "--password-stdin", host, stdin=b"s3cret-alice")
        onode("-q", "push", f"{source.host}/s:1", name)
        onode("-q", "login", "-u", "bob", "--password-stdin", host, stdin=b"s3cret-bob")
        pull(onode, name)
        onode("logout", host)
        onode.fails("-q", "pull", name, says="pot login")


# ---- TLS -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def authority(scratch):
    return peers.Authority(scratch)


def test_tls(onode, authority):
    """A certificate of an authority that is trusted is taken; expired, for another name and self-signed are not."""
    good = Peer(authority.make())
    pull(onode, good.put("x", "1", small()), "--ca-file", authority.file)
    pull(onode, good.put("x", "2", small()), env={"SSL_CERT_FILE": authority.file})
    onode.fails("-q", "pull", good.put("x", "1", small()), says="not trusted")
    good.close()
    for made in (authority.make(days="-1"), authority.make("192.0.2.7"), authority.make(own=True)):
        bad = Peer(made)
        name = bad.put("x", "3", small())
        onode.fails("-q", "pull", "--ca-file", authority.file, name, says="not trusted")
        assert bad.asked() == [] or all("manifests" not in p for _, p, _ in bad.asked())
        pull(onode, name, "--insecure", bad.host)
        onode.fails("-q", "pull", "--ca-file", authority.file, "--insecure", "127.0.0.1:1", name, says="not trusted")
        bad.close()


def test_insecure_is_of_one_host_only(onode, authority, scratch):
    """A registry named as insecure that sends us to another host: that one's certificate is still checked."""
    registry, elsewhere = Peer(authority.make(own=True)), Peer(authority.make(own=True))
    image = small()
    name = registry.put("x", "1", image)
    elsewhere.blobs.update(image.blobs)
    registry.bend = lambda h, method, path: "/blobs/" in path and (h.give(
        307, Location=f"https://localhost:{elsewhere.port}{path}"), True)[1]
    onode.fails("-q", "pull", "--insecure", registry.host, name, says="not trusted")
    assert elsewhere.asked() == []
    registry.close()
    elsewhere.close()


def test_no_plain_http_elsewhere(onode):
    """A host that is not loopback is not spoken to in plain HTTP unless it is named, and that is said."""
    subprocess.run(["ip", "address", "add", "192.0.2.10/32", "dev", "lo"], check=True)
    p = Peer()
    p.server.server_close()
    server = socket.create_server(("192.0.2.10", 0))
    p.server.socket = server
    host = f"192.0.2.10:{server.getsockname()[1]}"
    try:
        threading.Thread(target=p.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        p.put("x", "1", small())
        onode.fails("-q", "pull", f"{host}/x:1")
        assert p.asked() == []
        r = onode.call("pull", "--insecure", host, f"{host}/x:1")
        assert r.status == 0 and "not verified" in r.err, r
        # Nor to where it sends us: that host was not named.
        p.bend = lambda h, method, path: "/manifests/" in path and (h.give(
            307, Location=f"http://127.0.0.1:{server.getsockname()[1]}{path}"), True)[1]
        r = onode.call("-q", "pull", "--insecure", host, f"{host}/x:2")
        assert r.status == 1 and "redirect to plain http" in r.err, r
    finally:
        p.server.shutdown()
        server.close()
        subprocess.run(["ip", "address", "del", "192.0.2.10/32", "dev", "lo"], check=True)


# ---- push ----------------------------------------------------------------------------------------------------------


def test_broken_upload_goes_on(onode, peer):
    """A part that breaks off is asked after and gone on with; the registry gets the blob whole."""
    data = os.urandom(40 << 20)
    image = Image([{"data": data}], compress=lambda b: b, media="application/vnd.oci.image.layer.v1.tar")
    pull(onode, peer.put("a", "1", image))
    peer.blobs.clear()
    broken = []

    def bend(h, method, path):
        if method != "PATCH" or len(broken) == 2:
            return False
        name = path.rsplit("/", 1)[1]
        size = int(h.headers["Content-Length"])
        broken.append(h.headers["Content-Range"])
        peer.uploads[name] += h.rfile.read(size // 3)
        h.hang_up()
        return True

    peer.bend = bend
    onode("-q", "push", f"{peer.host}/a:1", f"{peer.host}/b:1")
    assert peer.blobs[sha(image.layers[0])] == image.layers[0] and len(broken) == 2
    assert not broken[1].startswith("0-")


@pytest.mark.parametrize("point", ["image.push.started", "image.push.part", "image.push.part-sent", "image.push.part:2",
                                   "image.push.end", "image.push.manifest"])
@pytest.mark.parametrize("forgotten", [False, True])
def test_killed_push(onode, peer, point, forgotten):
    """A push killed at any point names nothing; the next one goes on where it was, or begins anew where that is forgotten."""
    data = os.urandom(34 << 20)
    image = Image([{"data": data}], compress=lambda b: b, media="application/vnd.oci.image.layer.v1.tar")
    name = f"{peer.host}/b:1"
    pull(onode, peer.put("a", "1", image))
    peer.blobs.clear()
    assert onode.call("-q", "push", f"{peer.host}/a:1", name, env={"POT_FAULT": point}).status == -signal.SIGKILL
    assert ("b", "1") not in peer.manifests
    # What the registry has of the large one, from the first byte on.
    had = max([len(bytes(b)) for b in peer.uploads.values()], default=0)
    if forgotten:
        peer.uploads.clear()
    peer.forget()
    onode("-q", "push", f"{peer.host}/a:1", name)
    assert peer.blobs[sha(image.layers[0])] == image.layers[0] and ("b", "1") in peer.manifests
    sent = sum(int(h["Content-Length"]) for _, _, h in peer.asked("PATCH"))
    if had and not forgotten:
        assert sent <= len(image.layers[0]) - had, (had, sent)
    assert os.listdir(os.path.join(onode.root, "images", "uploads")) == []


def test_interrupted_push(onode, peer):
    """Ctrl-C ends a push at once; the tag means nothing yet, and the next push sends only what is missing."""
    image = large()
    pull(onode, peer.put("a", "1", image))
    peer.blobs.clear()
    held = []

    def bend(h, method, path):
        if method != "PUT" or sha(image.layers[0]).replace(":", "%3A") not in path:
            return False
        if held:
            return False
        held.append(1)
        with contextlib.suppress(OSError):
            while h.connection.recv(65536):
                pass
        h.close_connection = True
        return True

    peer.bend = bend
    process = onode.start("-q", "push", f"{peer.host}/a:1", f"{peer.host}/b:1")
    lab.wait_until(lambda: held and sha(image.layers[1]) in peer.blobs, "one layer there, the other on its way")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=lab.HANG)
    assert process.returncode == 1 and b"interrupted" in err and out == b"", (out, err)
    assert ("b", "1") not in peer.manifests
    done = onode("-q", "--format", "json", "push", f"{peer.host}/a:1", f"{peer.host}/b:1").json()
    assert done["moved"] <= 2 and peer.blobs[sha(image.layers[0])] == image.layers[0], done


def test_push_of_a_lying_registry(onode, peer):
    """A registry that says to have stored something else fails the push."""
    pull(onode, peer.put("a", "1", small()))
    peer.bend = lambda h, method, path: method == "PUT" and "/manifests/" in path and (h.body(), h.give(
        201, Docker_Content_Digest=sha(b"something else")), True)[2]
    onode.fails("-q", "push", f"{peer.host}/a:1", f"{peer.host}/b:1", says="something else")


# ---- signatures ----------------------------------------------------------------------------------------------------


@pytest.fixture
def policy(onode):
    """Writes policy.conf of the node; removed afterwards."""
    file = os.path.join(onode.root, "policy.conf")

    def write(text):
        with open(file, "w", encoding="ascii") as f:
            f.write(text)
    yield write
    with contextlib.suppress(FileNotFoundError):
        os.unlink(file)
    shutil.rmtree(os.path.join(onode.root, "registries", "trust"), ignore_errors=True)


def keys(pot, scratch, name):
    public, secret = os.path.join(scratch, name + ".pub"), os.path.join(scratch, name + ".sec")
    pot("keygen", "-n", "-p", public, "-s", secret)
    assert stat.S_IMODE(os.stat(secret).st_mode) == 0o600
    return public, secret


def test_signatures(onode, registry, scratch, policy):
    """Only what the keys of the rule signed under this very name and tag is pulled; the rule is named."""
    source = Peer()
    one, two = small(b"1"), small(b"2")
    pull(onode, source.put("s", "1", one))
    pull(onode, source.put("s", "2", two))
    source.close()
    public, secret = keys(onode, scratch, "alice")
    other, other_secret = keys(onode, scratch, "bob")
    name = f"{registry}/prod/web:1"
    policy(f"# who must have signed\n{registry}/prod require 1 {public}\n")
    onode("-q", "push", f"{source.host}/s:1", name)
    onode.fails("-q", "pull", name, says=("policy.conf:2", "0 of 1"))
    assert name not in images(onode)
    onode("sign", "-k", other_secret, name)
    onode.fails("-q", "pull", name, says=("0 of 1", "does not name"))
    assert onode("sign", "-k", secret, name).out == one.digest + "\n"
    assert f"signed by {public}" in onode.call("pull", name).out
    assert onode("-q", "verify", "-k", public, "-k", other, name).out == one.digest + "\n"
    # The same image under another tag or name: the signature is not for that.
    for stolen in (f"{registry}/prod/web:2", f"{registry}/prod/shop:1"):
        onode("-q", "push", f"{source.host}/s:1", stolen)
        onode.fails("-q", "pull", stolen, says=("0 of 1",))
        assert stolen not in images(onode)
    # Another image under this name.
    onode("-q", "push", f"{source.host}/s:2", name)
    onode.fails("-q", "pull", name, says="0 of 1")
    assert images(onode)[name]["digest"] == one.digest
    # Signed while pushed; going back to the older one, whose signature is still good, is refused.
    onode("-q", "push", "--sign", secret, f"{source.host}/s:2", name)
    pull(onode, name)
    onode("-q", "push", f"{source.host}/s:1", name)
    onode.fails("-q", "pull", name, says="signed before")
    assert images(onode)[name]["digest"] == two.digest
    pull(onode, name, "--allow-older")
    # Two keys.
    policy(f"{registry}/prod/web require 2 {public} {other}\n* reject\n")
    onode.fails("-q", "pull", f"{registry}/prod/shop:1", says="rule '*'")
    pull(onode, name, "--allow-older")
    policy("nonsense\n")
    onode.fails("-q", "pull", name, says="policy.conf:1")


def test_signify(onode, registry, scratch):
    """signify(1) verifies our signatures and we its, and each takes the other's keys."""
    source = Peer()
    image = small()
    pull(onode, source.put("s", "1", image))
    source.close()
    name = f"{registry}/team/web:1"
    public, secret = os.path.join(scratch, "their.pub"), os.path.join(scratch, "their.sec")
    subprocess.run(["signify-openbsd", "-G", "-n", "-p", public, "-s", secret], check=True)
    os.chmod(secret, 0o600)
    onode("-q", "push", "--sign", secret, f"{source.host}/s:1", name)
    assert onode("-q", "verify", "-k", public, name).out == image.digest + "\n"
    blobs = [os.path.join(d, f) for d, _, fs in os.walk(os.path.join(onode.root, "images", "blobs")) for f in fs]
    signature = next(b for b in blobs if open(b, "rb").read(9) == b"untrusted")
    out = subprocess.run(["signify-openbsd", "-V", "-e", "-p", public, "-x", signature, "-m", "-"],
                         capture_output=True, check=True).stdout
    said = json.loads(out.decode().split("Signature Verified")[-1].strip() or out.split(b"\n")[-1])
    assert (said["digest"], said["name"], said["tag"]) == (image.digest, "team/web", "1")
    ours, our_secret = keys(onode, scratch, "ours")
    message, sig = os.path.join(scratch, "m"), os.path.join(scratch, "m.sig")
    open(message, "w", encoding="ascii").write("hello\n")
    subprocess.run(["signify-openbsd", "-S", "-s", our_secret, "-m", message, "-x", sig], check=True)
    subprocess.run(["signify-openbsd", "-V", "-p", ours, "-m", message, "-x", sig], check=True)


def test_locked_key(onode, peer, scratch):
    """A key locked with a passphrase signs with it alone, and signify opens it too."""
    name = peer.put("s", "1", small())
    public, secret = os.path.join(scratch, "k.pub"), os.path.join(scratch, "k.sec")
    onode("keygen", "--passphrase-stdin", "-p", public, "-s", secret, stdin=b"sesame\n")
    onode.fails("keygen", "-n", "-p", public, "-s", secret, says="k.sec")
    onode.fails("sign", "-k", secret, "--passphrase-stdin", name, stdin=b"wrong\n", says="wrong passphrase")
    onode("sign", "-k", secret, "--passphrase-stdin", name, stdin=b"sesame\n")
    assert "1 of 1" in onode("verify", "-k", public, name).out
    os.chmod(secret, 0o640)
    onode.fails("sign", "-k", secret, "--passphrase-stdin", name, stdin=b"sesame\n", says="others may read")


def test_forged_signatures(onode, peer, scratch):
    """Signatures that are cut, changed, or of another image count for nothing and do no harm."""
    image = small()
    name = peer.put("s", "1", image)
    public, secret = keys(onode, scratch, "alice")
    onode("sign", "-k", secret, name)
    good = next(d for d, b in peer.blobs.items() if b.startswith(b"untrusted"))
    text = peer.blobs[good]
    index = next(json.loads(t) for (_, tag), t in peer.manifests.items() if tag.startswith("sha256-"))
    artifact = json.loads(peer.manifests["s", index["manifests"][0]["digest"]])
    tag = "sha256-" + image.digest[7:]
    for bad in (text[:-1], text.replace(b'"tag":"1"', b'"tag":"2"'), b"", b"untrusted comment: x\n", b"\0" * 100,
                text.split(b"\n")[0] + b"\n" + b"A" * 100 + b"\n" + text.split(b"\n")[2]):
        peer.blobs[sha(bad)] = bad
        forged = {**artifact, "layers": [{**artifact["layers"][0], "digest": sha(bad), "size": len(bad)}]}
        raw = json.dumps(forged).encode()
        peer.put("s", "forged", raw)
        peer.put("s", tag, json.dumps({**index, "manifests": [
            {**index["manifests"][0], "digest": sha(raw), "size": len(raw)}]}).encode())
        onode.fails("verify", "-k", public, name, says="0 of 1")
    moved = {**artifact, "subject": {**artifact["subject"], "digest": sha(b"other")}}
    raw = json.dumps(moved).encode()
    peer.put("s", "moved", raw)
    peer.put("s", tag, json.dumps({**index, "manifests": [
        {**index["manifests"][0], "digest": sha(raw), "size": len(raw)}]}).encode())
    onode.fails("verify", "-k", public, name, says="0 of 1")
