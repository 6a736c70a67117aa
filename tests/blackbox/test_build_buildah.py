"""The same Dockerfiles built by pot and by buildah: the same trees and the same configurations come out.

The files in dockerfiles/ are written for this. buildah reads what pot saved, so that both are looked at in one way;
it has its storage below the test's directory, no registry, and no network but the loopback of the session.
"""

import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import shutil
import stat
import subprocess
import tarfile

import pytest

import lab

FILES = os.path.join(lab.HERE, "dockerfiles")

# What the programs themselves leave: mount points of RUN, and names that are theirs.
RUN_LEFTOVERS = {"etc/hosts", "etc/resolv.conf", "etc/hostname", "run", "run/.containerenv", "run/secrets"}
CONFIG = ("Env", "Cmd", "Entrypoint", "WorkingDir", "User", "ExposedPorts", "Volumes", "StopSignal")


# ---- contexts -----------------------------------------------------------------------------------


def write(top, path, text="", mode=0o644):
    path = os.path.join(top, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(text if isinstance(text, bytes) else (text or os.path.basename(path)).encode())
    os.chmod(path, mode)


def fill_globs(top):
    for name in ("file1.txt", "file2.txt", "with blank.txt", "a.log", "secret.txt", "docs/README.md",
                 "docs/notes.txt", "docs/draft.md", "docs/draft-final.md", "docs/secret-plan.md", "docs/deep/x.md",
                 "dir1/one", "dir1/sub/x", "dir2/two", "dir2/sub/y", "nested/only-here", "nested/else/only-here",
                 "nested/secret/x", "build/out", "build/keep/it", "deep/a/1.c", "deep/b/2.c", "deep/b/2.h"):
        write(top, name)
    os.chmod(os.path.join(top, "dir1/sub"), 0o750)
    os.chmod(os.path.join(top, "dir1/one"), 0o711)
    os.chmod(os.path.join(top, "dir2"), 0o700)
    os.symlink("file1.txt", os.path.join(top, "link"))
    os.symlink("nowhere", os.path.join(top, "docs/dangling.md"))
    os.link(os.path.join(top, "dir2/two"), os.path.join(top, "dir2/second-name"))
    os.setxattr(os.path.join(top, "file1.txt"), "user.note", b"kept")
    os.chown(os.path.join(top, "file2.txt"), 1234, 4321)


def archive(entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, text, mode in entries:
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.uid, info.gid, info.mtime = kind, mode, 1000, 50, 1_000_000_000
            data = b""
            if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
                info.linkname = text
            else:
                data = text.encode()
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def fill_archives(top):
    some = archive([("d", tarfile.DIRTYPE, "", 0o750), ("d/f", tarfile.REGTYPE, "content", 0o640),
                    ("d/s", tarfile.SYMTYPE, "f", 0o777), ("d/h", tarfile.LNKTYPE, "d/f", 0o640),
                    ("implied/dir/f", tarfile.REGTYPE, "x", 0o600)])
    write(top, "plain.tar", some)
    write(top, "a.tar.gz", gzip.compress(some))
    write(top, "a.tar.bz2", bz2.compress(some))
    write(top, "a.tar.xz", lzma.compress(archive([("from-xz", tarfile.REGTYPE, "xz", 0o644)])))
    write(top, "misnamed.txt", gzip.compress(some))
    write(top, "text.gz", gzip.compress(b"no tar in here"))
    write(top, "plain.txt", "text")
    write(top, "dir/inner.tar", some)
    write(top, "merge.tar", archive([("dir/file", tarfile.REGTYPE, "new", 0o600), ("new", tarfile.REGTYPE, "new", 0o644),
                                     ("gone", tarfile.DIRTYPE, "", 0o700)]))
    # A directory in the place of a link and of a file, a file in that of a directory and of a link, and one below a link.
    write(top, "conflict.tar", archive([
        ("link", tarfile.DIRTYPE, "", 0o755), ("link/f", tarfile.REGTYPE, "f", 0o644),
        ("through/g", tarfile.REGTYPE, "g", 0o644), ("dir", tarfile.REGTYPE, "file", 0o644),
        ("file", tarfile.DIRTYPE, "", 0o711), ("file/h", tarfile.REGTYPE, "h", 0o644),
        ("name", tarfile.REGTYPE, "name", 0o644)]))


FILL = {"globs": fill_globs, "archives": fill_archives}


def make_context(directory, case):
    context = os.path.join(directory, "context")
    shutil.copytree(os.path.join(FILES, case), context)
    # Modes are not what a checkout of the project happens to give.
    for top, dirs, names in os.walk(context):
        for name in dirs + names:
            path = os.path.join(top, name)
            os.chmod(path, 0o755 if os.path.isdir(path) or name.endswith(".sh") else 0o644)
    FILL.get(case, lambda top: None)(context)
    return context


# ---- looking ------------------------------------------------------------------------------------


def look(root):
    """Every path with all that decides what it is but its times."""
    seen, names = {}, {}  # names: of each inode that has several
    for top, dirs, files in os.walk(root):
        for name in dirs + files:
            path = os.path.join(top, name)
            st = os.lstat(path)
            rel = os.path.relpath(path, root)
            one = {"mode": oct(st.st_mode), "owner": (st.st_uid, st.st_gid)}
            if stat.S_ISLNK(st.st_mode):
                one["target"] = os.readlink(path)
            elif stat.S_ISREG(st.st_mode):
                with open(path, "rb") as f:
                    one["content"] = hashlib.sha256(f.read()).hexdigest()
                if st.st_nlink > 1:
                    one["names"] = names.setdefault(st.st_ino, set())
                    one["names"].add(rel)
            if not stat.S_ISLNK(st.st_mode):
                one["attributes"] = {n: os.getxattr(path, n) for n in os.listxattr(path) if n.startswith("user.")}
            seen[rel] = one
    return {path: one for path, one in seen.items() if path not in RUN_LEFTOVERS}


class Buildah:
    """buildah with everything of its own below one directory."""

    def __init__(self, directory, oci):
        self.directory = directory
        os.makedirs(os.path.join(directory, "tmp"))
        # Its cache of blobs has a fixed place: another directory stands there, for it alone.
        self.prefix = ["unshare", "-m", "--propagation", "private", "sh", "-c",
                       'mkdir -p /var/lib/containers && mount --bind "$0" /var/lib/containers && exec "$@"',
                       os.path.join(directory, "tmp")]
        self.name(self("pull", "-q", f"oci:{oci}:box"), "box")

    def __call__(self, *args):
        argv = [*self.prefix, "buildah", "--root", os.path.join(self.directory, "root"), "--runroot",
                os.path.join(self.directory, "run"), "--storage-driver", "vfs", *args]
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": self.directory, "TMPDIR": self.directory}
        run = subprocess.run(argv, capture_output=True, text=True, env=env, timeout=lab.HANG, check=False,
                             stdin=subprocess.DEVNULL)
        assert run.returncode == 0, f"{args}: {run.stdout}{run.stderr}"
        return run.stdout.strip()

    def name(self, image, name):
        self("tag", image, f"localhost/{name}:latest")

    def build(self, context, dockerfile, tag):
        """The id: the name becomes another's when an image that is called so is pulled."""
        # Its other form drops ONBUILD.
        return self("bud", "-q", "--format", "docker", "--isolation", "chroot", "--network", "host", "--pull-never", "-f",
                    os.path.join(context, dockerfile), "-t", f"localhost/{tag}:latest", context).splitlines()[-1]

    def config(self, image):
        return json.loads(self("inspect", "--type", "image", image))["OCIv1"]["config"]

    def tree(self, image):
        container = self("from", "--pull-never", image)
        try:
            return look(self("mount", container))
        finally:
            self("rm", container)


def write_oci(directory, layer):
    """An OCI layout of one image, "box", of one layer."""

    def put(data):
        digest = hashlib.sha256(data).hexdigest()
        with open(os.path.join(directory, "blobs/sha256", digest), "wb") as f:
            f.write(data)
        return {"digest": f"sha256:{digest}", "size": len(data)}

    kind = "application/vnd.oci.image."
    os.makedirs(os.path.join(directory, "blobs/sha256"))
    layer = put(layer)
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    config = put(json.dumps({"architecture": machine, "os": "linux", "config": {"Env": ["PATH=/bin"], "Cmd": ["sh"]},
                             "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
                             "history": [{"created_by": "box"}]}).encode())
    manifest = put(json.dumps({
        "schemaVersion": 2, "mediaType": kind + "manifest.v1+json",
        "config": {"mediaType": kind + "config.v1+json", **config},
        "layers": [{"mediaType": kind + "layer.v1.tar", **layer}]}).encode())
    with open(os.path.join(directory, "index.json"), "w", encoding="ascii") as f:
        json.dump({"schemaVersion": 2, "manifests": [{
            "mediaType": kind + "manifest.v1+json", **manifest,
            "annotations": {"org.opencontainers.image.ref.name": "box"}}]}, f)
    with open(os.path.join(directory, "oci-layout"), "w", encoding="ascii") as f:
        f.write('{"imageLayoutVersion": "1.0.0"}')


@pytest.fixture(scope="module")
def oci(place, box):
    """The busybox root as an image: a layout, and the same as a tar."""
    directory = os.path.join(place, "box-oci")
    with open(os.path.join(place, "box.tar"), "rb") as f:
        write_oci(directory, f.read())
    subprocess.run(["tar", "-C", directory, "-cf", directory + ".tar", "."], check=True)
    return directory


@pytest.fixture(scope="module")
def buildah(place, oci):
    directory = os.path.join(place, "buildah")
    os.mkdir(directory)
    return Buildah(directory, oci)


@pytest.fixture
def builder(onode, oci):
    """A node that has the same base."""
    onode("load", "-i", oci + ".tar", "-t", "box:latest")
    yield onode
    onode.call("image", "prune", "--all")


# ---- comparing ----------------------------------------------------------------------------------


def settings(config):
    """What people set; empty is as not there, and buildah's and pot's own labels are left out."""
    out = {key: config[key] for key in CONFIG if config.get(key)}
    out["Labels"] = {k: v for k, v in config.get("Labels", {}).items()
                     if not k.startswith(("io.buildah.", "io.pot.", "org.freebsd.jail."))}
    return out


def plain(context, dockerfile):
    """The file that buildah builds: without what it cannot read."""
    other = dockerfile + ".plain"
    return other if os.path.exists(os.path.join(context, other)) else dockerfile


def build(builder, context, dockerfile, tag):
    # Warnings are no failure: some of what is used here is old.
    run = builder.call("build", "-q", "-t", f"{tag}:latest", "-f", os.path.join(context, dockerfile), context)
    assert run.status == 0, run


def compare(builder, buildah, directory, tag, theirs):
    saved = os.path.join(directory, f"{tag}.tar")
    builder("save", "-o", saved, f"{tag}:latest")
    ours = buildah("pull", "-q", f"oci-archive:{saved}")
    assert ours != theirs
    our_tree, their_tree = buildah.tree(ours), buildah.tree(theirs)
    assert {p: our_tree.get(p) for p in our_tree.keys() ^ their_tree.keys()} == {}, "one has more than the other"
    other = {path: (our_tree[path], one) for path, one in their_tree.items() if our_tree[path] != one}
    assert other == {}, "what is different: ours, theirs"
    assert settings(buildah.config(ours)) == settings(buildah.config(theirs))


@pytest.mark.parametrize("case", ["web", "globs", "stages", "archives", "shell"])
def test_same_as_buildah(builder, buildah, tmp_path, case):
    """Type, mode, owner, target, content, attributes of every file, and what the configuration says."""
    context = make_context(str(tmp_path), case)
    build(builder, context, "Dockerfile", case)
    theirs = buildah.build(context, plain(context, "Dockerfile"), case)
    compare(builder, buildah, str(tmp_path), case, theirs)


def test_triggers_same_as_buildah(builder, buildah, tmp_path):
    """ONBUILD: kept in the parent, done in the child."""
    context = make_context(str(tmp_path), "onbuild")
    for dockerfile, tag in (("Dockerfile.parent", "parent"), ("Dockerfile", "child")):
        build(builder, context, dockerfile, tag)
        theirs = buildah.build(context, dockerfile, tag)
    compare(builder, buildah, str(tmp_path), "child", theirs)
