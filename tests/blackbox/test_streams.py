"""Layers as streams of zfs and btrfs: the same trees as of tars, and tars wherever a stream does not fit or is not good."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile

import pytest

import conftest
import peer as peers
from peer import Image, Peer
from registry_lab import Registry, sha
from test_images import blobs, change, images, left, rich, tree, with_rich
from test_images_crash import storage
from test_registry_client import docker_registry

STREAMS = "application/vnd.pot.streams.v1+json"


@pytest.fixture(scope="session")
def second_btrfs(request, btrfs_mount):
    with conftest.installation(request, "btrfs") as node:
        yield node


@pytest.fixture(scope="session")
def second_zfs(request, small_zfs_pool):
    with conftest.installation(request, "zfs", pool=small_zfs_pool) as node:
        yield node


@pytest.fixture
def rich_tree(box, tmp_path):
    directory = str(tmp_path / "rich")
    subprocess.run(["cp", "-a", box, directory], check=True)
    rich(directory)
    return directory


class Two:
    """Nodes a and b, and a registry between them."""

    def __init__(self, a, b, registry):
        self.a, self.b, self.registry = a, b, registry
        self.host = f"127.0.0.1:{registry.port}"

    def name(self, image):
        return f"{self.host}/t/{image}"

    def push(self, image, *options, node=None):
        return json_end((node or self.a)("--format", "json", "push", "--streams", *options, image, self.name(image)))

    def pull(self, image, when="always", warns=(), node=None, options=()):
        run = (node or self.b).call("--format", "json", "pull", "--streams", when, *options, self.name(image))
        assert run.status == 0, run
        assert [w for w in warns if w not in run.err] == [] and bool(warns) == bool(run.err), run
        return json_end(run)

    def artifacts(self, image):
        """The manifests of streams that refer to it, with their digests."""
        digest = images(self.a)[image]["id"]
        listed = self.registry("GET", f"/v2/t/{image.split(':')[0]}/referrers/{digest}").json()["manifests"]
        return {d["digest"]: self.manifest(image, d["digest"]) for d in listed if d["artifactType"] == STREAMS}

    def manifest(self, image, which):
        return self.registry("GET", f"/v2/t/{image.split(':')[0]}/manifests/{which}").json()

    def tree(self, node, image):
        node("create", "-p", "looked", "--image", image)
        try:
            return tree(node, "looked")
        finally:
            node("destroy", "looked")

    def forget(self, node):
        for pot in node.states():
            node("destroy", "-F", pot)
        for image in images(node):
            node("rmi", image)
        node("image", "prune", "-a")
        assert left(node) == [] and storage(node) == [], (left(node), storage(node))


def json_end(run):
    return json.loads(run.out.splitlines()[-1])


@contextlib.contextmanager
def two_of(kind, request):
    cgroups, program = request.getfixturevalue("cgroups"), request.getfixturevalue("program")
    directory = tempfile.mkdtemp(prefix="pot-streams-", dir="/var/tmp")
    registry = Registry(program, directory).start()
    with conftest.borrowed(request.getfixturevalue(kind + "_installation"), cgroups) as a, \
            conftest.borrowed(request.getfixturevalue("second_" + kind), cgroups) as b:
        t = Two(a, b, registry)
        yield t
        t.forget(a)
        t.forget(b)
    registry.stop()
    shutil.rmtree(directory)


@pytest.fixture(params=("btrfs", "zfs"))
def two(request):
    """Of each storage that has streams."""
    with two_of(request.param, request) as t:
        yield t


@pytest.fixture
def btwo(request):
    """Of btrfs, the quicker one, for what is the same on both."""
    with two_of("btrfs", request) as t:
        yield t


def one(node, base="box"):
    """one:1, of a base's layer and another."""
    node("create", "-p", "first", "-b", base, "-c", "sleep 100000", "-N", "inherit")
    node("start", "first")
    if base == "rich":
        change(node, "first")
    node.sh("first", "dd if=/dev/urandom of=/data bs=64k count=16 2>/dev/null")
    node("stop", "-t", "0", "first")
    node("commit", "-p", "first", "-t", "one:1")


def derived(node, image, below):
    """Another layer on it."""
    node("create", "-p", "next", "--image", below)
    node("copy-in", "-p", "next", "-s", "/etc/hostname", "-d", "/added-" + image.replace(":", "-"))
    node("commit", "-p", "next", "-t", image)
    node("destroy", "next")


def test_same_tree(two, rich_tree):
    """What streams make is what tars make, and the node has the tars as well, byte by byte."""
    with_rich(two.a, rich_tree)
    one(two.a, "rich")
    want = two.tree(two.a, "one:1")
    assert two.push("one:1")["streams"] == 2
    done = two.pull("one:1")
    assert (done["streams"], done["moved"], done["blobs"]) == (2, 2, 2)
    assert two.tree(two.b, two.name("one:1")) == want
    layers = two.b("inspect", "--image", two.name("one:1")).json()["manifest"]["layers"]
    here = blobs(two.b)
    assert [here.get(d["digest"].split(":")[1]) for d in layers] == [d["size"] for d in layers]
    assert images(two.b)[two.name("one:1")]["id"] == images(two.a)["one:1"]["id"]
    two.forget(two.b)
    assert two.pull("one:1", "never")["streams"] == 0
    assert two.tree(two.b, two.name("one:1")) == want


def test_each_its_own(two):
    """A derived image moves its own layer only, in and out, whoever made it; nothing new moves nothing."""
    one(two.a)
    derived(two.a, "one:2", "one:1")
    first = two.push("one:1")
    assert two.push("one:1")["moved"] == 0 and len(two.artifacts("one:1")) == 1
    second = two.push("one:2")
    assert (second["streams"], second["moved"]) == (3, 3), second  # layer, config, stream
    two.pull("one:1")
    done = two.pull("one:2")
    assert (done["streams"], done["moved"]) == (1, 1) and done["bytes"] < first["bytes"] / 4, (done, first)
    assert two.pull("one:2")["moved"] == 0
    two.b("tag", two.name("one:2"), "mine:1")
    derived(two.b, "one:3", "mine:1")
    third = two.push("one:3", node=two.b)
    assert (third["streams"], third["moved"]) == (4, 3), third
    back = two.pull("one:3", node=two.a)
    assert (back["streams"], back["moved"]) == (1, 1), back
    assert two.tree(two.a, two.name("one:3")) == two.tree(two.b, "one:3")


def test_artifact(btwo):
    """What the registry has: one stream a layer, each the difference to the one before it."""
    one(btwo.a)
    btwo.push("one:1")
    (artifact,) = btwo.artifacts("one:1").values()
    ids = [d["annotations"] for d in artifact["layers"]]
    tars = btwo.a("inspect", "--image", "one:1").json()["manifest"]["layers"]
    assert [i["io.pot.stream.of"] for i in ids] == [t["digest"] for t in tars]
    assert "io.pot.stream.from" not in ids[0] and ids[1]["io.pot.stream.from"] == ids[0]["io.pot.stream.guid"]
    assert artifact["annotations"]["io.pot.stream.storage"] == btwo.a.storage


def test_policy(btwo, tmp_path):
    """Unless asked for, streams are taken only where a policy wants signatures, and only with these signatures."""
    one(btwo.a)
    secret, public = str(tmp_path / "k.sec"), str(tmp_path / "k.pub")
    btwo.a("keygen", "-n", "-p", public, "-s", secret)
    policy = os.path.join(btwo.b.root, "policy.conf")
    btwo.push("one:1")
    assert btwo.pull("one:1", "auto")["streams"] == 0
    btwo.forget(btwo.b)
    try:
        with open(policy, "w", encoding="utf-8") as f:
            f.write(f"{btwo.host}/t require 1 {public}\n")
        btwo.a("sign", "--key", secret, btwo.name("one:1"))
        assert btwo.pull("one:1", "always", ["0 of 1 signatures"])["streams"] == 0
        btwo.forget(btwo.b)
        btwo.push("one:1", "--sign", secret)
        done = btwo.pull("one:1", "auto")
        assert done["streams"] == 2 and done["signed_by"] == public
    finally:
        os.unlink(policy)
        shutil.rmtree(os.path.join(btwo.b.root, "registries"), ignore_errors=True)


def test_configured(btwo):
    """pot.conf says what is done where the command does not, and the command what is done."""
    one(btwo.a)
    btwo.push("one:1")
    conf = os.path.join(btwo.b.root, "pot.conf")
    assert not os.path.exists(conf)
    try:
        with open(conf, "w", encoding="utf-8") as f:
            f.write("pull_streams = always\n")
        done = json_end(btwo.b("--format", "json", "pull", btwo.name("one:1")))
        assert done["streams"] == 2
        btwo.forget(btwo.b)
        assert btwo.pull("one:1", "never")["streams"] == 0
    finally:
        os.unlink(conf)
    btwo.b.fails("pull", "--streams", "sometimes", btwo.name("one:1"), status=2, says=("auto, never or always",))


def test_missing_parent(btwo):
    """A node that has the lower layers from tars takes the upper one as a tar, says so, and is none the worse."""
    one(btwo.a)
    derived(btwo.a, "one:2", "one:1")
    btwo.push("one:1")
    btwo.push("one:2")
    btwo.pull("one:1", "never")
    done = btwo.pull("one:2", warns=["layer 3: the stream needs", "which this node does not have"])
    assert (done["streams"], done["moved"]) == (0, 1)
    assert btwo.tree(btwo.b, btwo.name("one:2")) == btwo.tree(btwo.a, "one:2")


def test_damaged(btwo):
    """A stream that is not what its digest says becomes nothing, and neither does what stands on it; those below count."""
    one(btwo.a)
    btwo.push("one:1")
    (artifact,) = btwo.artifacts("one:1").values()
    path = btwo.registry.blob_file(artifact["layers"][1]["digest"])
    with open(path, "rb") as f:
        data = f.read()
    os.unlink(path)
    with open(path, "wb") as f:
        f.write(data[:-100] + bytes(100))
    done = btwo.pull("one:1", warns=["fetched as tars"])
    assert (done["streams"], done["moved"]) == (1, 2)
    assert btwo.tree(btwo.b, btwo.name("one:1")) == btwo.tree(btwo.a, "one:1")


def offer(two, image, change_artifact):
    """Another artifact instead of the one that is there."""
    (digest, artifact), = two.artifacts(image).items()
    repo = image.split(":")[0]
    assert two.registry("DELETE", f"/v2/t/{repo}/manifests/{digest}").status == 202
    change_artifact(artifact)
    text = json.dumps(artifact).encode()
    answer = two.registry("PUT", f"/v2/t/{repo}/manifests/{sha(text)}", text, {"Content-Type": peers.MANIFEST})
    assert answer.status == 201, answer


def test_stream_of_something_else(two):
    """A stream of other files than the layer's, whole and honest but for that, never becomes the layer."""
    one(two.a)
    two.a("create", "-p", "evil", "-b", "box", "-N", "inherit")
    two.a("copy-in", "-p", "evil", "-s", "/etc/hostname", "-d", "/bin/backdoor")
    two.a("commit", "-p", "evil", "-t", "evil:1")
    two.push("one:1")
    two.push("evil:1")
    (evil,) = two.artifacts("evil:1").values()
    stream = evil["layers"][1]
    with open(two.registry.blob_file(stream["digest"]), "rb") as f:
        two.registry.push_blob("t/one", f.read())

    def put(artifact):
        stream["annotations"]["io.pot.stream.of"] = artifact["layers"][1]["annotations"]["io.pot.stream.of"]
        artifact["layers"][1] = stream

    offer(two, "one:1", put)
    done = two.pull("one:1", warns=["layer 2", "fetched as tars"])
    assert (done["streams"], done["moved"]) == (1, 2)
    assert two.tree(two.b, two.name("one:1")) == two.tree(two.a, "one:1")


def test_truncated(btwo):
    """Half a stream, under its own digest, becomes nothing."""
    one(btwo.a)
    btwo.push("one:1")

    def put(artifact):
        layer = artifact["layers"][1]
        with open(btwo.registry.blob_file(layer["digest"]), "rb") as f:
            half = f.read()[:layer["size"] // 2]
        layer.update(digest=btwo.registry.push_blob("t/one", half), size=len(half))

    offer(btwo, "one:1", put)
    assert btwo.pull("one:1", warns=["layer 2", "fetched as tars"])["streams"] == 1
    assert btwo.tree(btwo.b, btwo.name("one:1")) == btwo.tree(btwo.a, "one:1")


def test_other_packer_and_storage(btwo):
    """What is for another storage, or packed by another version, is left alone and told."""
    one(btwo.a)
    btwo.push("one:1")
    offer(btwo, "one:1", lambda a: a["annotations"].update({"io.pot.stream.packer": "pot1+zstd1"}))
    assert btwo.pull("one:1", warns=["packer pot1+zstd1"])["streams"] == 0
    btwo.forget(btwo.b)
    other = {"zfs": "btrfs", "btrfs": "zfs"}[btwo.a.storage]

    def put(artifact):
        artifact["annotations"]["io.pot.stream.storage"] = other
        for layer in artifact["layers"]:
            layer["mediaType"] = layer["mediaType"].replace(btwo.a.storage, other)

    offer(btwo, "one:1", put)
    assert btwo.pull("one:1", warns=[f'storage "{other}"'])["streams"] == 0


def test_killed(btwo, tmp_path):
    """A pull that is killed while a layer is made of a stream shows nothing; the next, of streams or not, is whole."""
    one(btwo.a)
    btwo.push("one:1")
    log = tmp_path / "log"
    btwo.b("-q", "pull", "--streams", "always", btwo.name("one:1"), env={"POT_FAULT_LOG": str(log)})
    btwo.forget(btwo.b)
    passed = {line.split()[0].split(":")[0] for line in log.read_text().splitlines()}
    # The steps of a storage by themselves are the conformance tests', on each.
    steps = ("image.stream.", "image.pull.stream", "btrfs.receive.applied")
    found = sorted(p for p in passed if p.startswith(steps))
    assert len(found) == 5, passed
    for number, point in enumerate(found):
        run = btwo.b.call("pull", "--streams", "always", btwo.name("one:1"), env={"POT_FAULT": point})
        assert run.status == -signal.SIGKILL, (point, run)
        assert images(btwo.b) == {}
        if number % 2 == 0:
            btwo.pull("one:1")
        else:
            btwo.pull("one:1", "never")
        assert btwo.b("--format", "json", "images").json()[0]["layers"] == 2, point
        btwo.forget(btwo.b)
    assert btwo.b.call("pull", "--streams", "always", btwo.name("one:1"), env={"POT_FAULT": found[0]}).status < 0


def test_layers_of_others(btwo):
    """An image that another tool has packed is not offered, and told; its tars are."""
    peer = Peer()
    try:
        name = peer.put("a", "1", Image([{"bin/one": b"1"}]))
        btwo.a("-q", "pull", name)
    finally:
        peer.close()
    run = btwo.a.call("--format", "json", "push", "--streams", name, btwo.name("a:1"))
    assert run.status == 0 and "layer 1 and those above it are not offered as streams" in run.err, run
    assert json_end(run)["streams"] == 0
    assert btwo.pull("a:1")["streams"] == 0


def test_registry_without_referrers(btwo):
    """Where a registry does not track what refers to what, the tag of the distribution-spec does it."""
    one(btwo.a)
    directory = tempfile.mkdtemp(prefix="pot-streams-", dir="/var/tmp")
    with docker_registry(directory) as host:
        btwo.a("-q", "push", "--streams", "one:1", f"{host}/t/one:1")
        btwo.a("-q", "push", "--streams", "one:1", f"{host}/t/one:1")
        done = json_end(btwo.b("--format", "json", "pull", "--streams", "always", f"{host}/t/one:1"))
        assert done["streams"] == 2
    shutil.rmtree(directory)


def test_storage_without_streams(onode):
    """overlay has none: offering them is refused with what helps, taking them is nothing to speak of."""
    onode.make("a")
    onode("commit", "-p", "a", "-t", "one:1")
    onode.fails("push", "--streams", "one:1", "127.0.0.1:9/one:1", says=("overlay", "no streams", "--streams"))
    onode("destroy", "a")
    onode("rmi", "one:1")
    onode("image", "prune", "-a")


def test_built(btwo, tmp_path):
    """Of a large file that a step of a build changed a little, the stream has the change, and the tar all of it."""
    (tmp_path / "Potfile").write_text("FROM base:box\nRUN dd if=/dev/urandom of=/big bs=64k count=128\n"
                                      "RUN dd if=/dev/urandom of=/big bs=64k count=1 seek=5 conv=notrunc\n")
    btwo.a.call("build", "-t", "one:1", str(tmp_path))
    assert btwo.push("one:1")["streams"] == 3
    (artifact,) = btwo.artifacts("one:1").values()
    tars = btwo.a("inspect", "--image", "one:1").json()["manifest"]["layers"]
    assert artifact["layers"][1]["size"] > 8 << 20 < tars[2]["size"]
    assert artifact["layers"][2]["size"] < 1 << 20
    assert btwo.pull("one:1")["streams"] == 3
    assert btwo.tree(btwo.b, btwo.name("one:1")) == btwo.tree(btwo.a, "one:1")
    btwo.a("build", "prune", "-a")
