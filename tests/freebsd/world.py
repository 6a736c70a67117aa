#!/usr/bin/env python3
"""world.py ROOT OUT: what the scripts here need of a FreeBSD's files, made once, on any machine, of the root ROOT.

OUT/mirror      a mirror with one release: ROOT's programs and libraries as base.txz, and its MANIFEST
OUT/world       the same as a directory
OUT/images.tar  an OCI archive: one image for Linux and for several releases of FreeBSD; /which says which
"""

import hashlib
import io
import json
import lzma
import os
import shutil
import sys
import tarfile

PARTS = ["bin", "etc", "lib", "libexec", "sbin", "usr/bin", "usr/lib", "usr/libexec", "usr/sbin", "usr/share"]
RELEASE = "releases/amd64/amd64/14.3-RELEASE"
MEDIA = "application/vnd.oci.image."
EPOCH = 1_700_000_000


def own(info):
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info


def packed(root):
    """The world as a tar: a link of each kind and a name that is not ASCII besides what is in it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as t:
        for part in PARTS:
            if os.path.lexists(f"{root}/{part}"):
                t.add(f"{root}/{part}", part, filter=own)
        for name in ("dev", "proc", "mnt", "tmp", "var", "var/run", "var/tmp", "root"):
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.mtime = tarfile.DIRTYPE, 0o1777 if name.endswith("tmp") else 0o755, EPOCH
            t.addfile(info)
        for name, kind in (("usr/hard", tarfile.LNKTYPE), ("usr/soft", tarfile.SYMTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.mtime = kind, 0o755, EPOCH
            info.linkname = "bin/sh" if kind == tarfile.LNKTYPE else "/bin/sh"
            t.addfile(info)
        info = tarfile.TarInfo("usr/größe")
        info.mtime = EPOCH
        t.addfile(info)
    return out.getvalue()


class Archive:
    def __init__(self, path):
        self.tar, self.have = tarfile.open(path, "w"), set()

    def add(self, name, data):
        info = tarfile.TarInfo(name)
        info.size = len(data)
        self.tar.addfile(info, io.BytesIO(data))

    def blob(self, media, data, **more):
        digest = hashlib.sha256(data).hexdigest()
        if digest not in self.have:
            self.have.add(digest)
            self.add(f"blobs/sha256/{digest}", data)
        return {"mediaType": media, "digest": f"sha256:{digest}", "size": len(data), **more}

    def json(self, media, value, **more):
        return self.blob(media, json.dumps(value).encode(), **more)


def one_file(name, text):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as t:
        info = tarfile.TarInfo(name)
        info.size, info.mtime = len(text), EPOCH
        t.addfile(info, io.BytesIO(text))
    return out.getvalue()


def image(archive, world, system, version):
    layers = [world, one_file("which", f"{system} {version}\n".encode())]
    platform = {"os": system, "architecture": "amd64"}
    if version:
        platform["os.version"] = version
    config = {**platform, "config": {"Cmd": ["/bin/cat", "/which"], "Env": ["PATH=/bin:/sbin:/usr/bin"]},
              "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(x).hexdigest() for x in layers]}}
    manifest = {"schemaVersion": 2, "mediaType": MEDIA + "manifest.v1+json",
                "config": archive.json(MEDIA + "config.v1+json", config),
                "layers": [archive.blob(MEDIA + "layer.v1.tar", x) for x in layers]}
    return archive.json(MEDIA + "manifest.v1+json", manifest, platform=platform)


def main():
    root, out = sys.argv[1:]
    world = packed(root)
    place = f"{out}/mirror/{RELEASE}"
    shutil.rmtree(out, ignore_errors=True)
    os.makedirs(place)
    base = lzma.compress(world, preset=1)
    with open(f"{place}/base.txz", "wb") as f:
        f.write(base)
    with open(f"{place}/MANIFEST", "w", encoding="ascii") as f:
        f.write(f'base.txz\t{hashlib.sha256(base).hexdigest()}\t{len(base)}\tbase\t"Base system (MANDATORY)"\ton\n')
    with tarfile.open(fileobj=io.BytesIO(world)) as t:
        t.extractall(f"{out}/world")
    archive = Archive(f"{out}/images.tar")
    images = [image(archive, world, *which) for which in (
        ("linux", ""), ("freebsd", "14.0"), ("freebsd", "15.0"), ("freebsd", "13.5"), ("freebsd", "99.0"))]
    index = archive.json(MEDIA + "index.v1+json", {"schemaVersion": 2, "mediaType": MEDIA + "index.v1+json",
                                                  "manifests": images},
                         annotations={"org.opencontainers.image.ref.name": "which:all"})
    archive.add("index.json", json.dumps({"schemaVersion": 2, "manifests": [index]}).encode())
    archive.add("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
    archive.tar.close()


main()
