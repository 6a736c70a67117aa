#!/usr/bin/python3
"""A cold pull beside podman's and beside plain unpacking: the same image, from the same registry, in turn, in one run.

    sudo bench/pull.py TARBALL [ROUNDS [LAYERS]]

The tree of the tarball becomes an image of so many layers of about the same size. Each round fetches and unpacks it
three times onto nothing: podman pull, pot pull, and `zstd -d | tar -x` of the layers from files one after another with
one sync at the end. Wall and processor time, medians, and the ratios of the same round. Nothing here passes or fails.
"""

import hashlib
import io
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile

from images import POT, measure


def split(tarball, count, place):
    """The entries of the tarball, dealt out so that each part stands by itself on those before it."""
    with tarfile.open(tarball) as tar:
        members = tar.getmembers()
        share, size, parts = sum(m.size for m in members) / count, 0, [[]]
        for m in members:
            if size > share * len(parts) and len(parts) < count and not m.islnk():
                parts.append([])
            parts[-1].append(m)
            size += m.size
        for number, part in enumerate(parts):
            with tarfile.open(os.path.join(place, f"{number}.tar"), "w", format=tarfile.PAX_FORMAT) as out:
                for m in part:
                    out.addfile(m, tar.extractfile(m) if m.isreg() else None)
    return [os.path.join(place, f"{number}.tar") for number in range(len(parts))]


def archive(parts, place):
    """An OCI archive of these layers."""
    path = os.path.join(place, "image.tar")
    with tarfile.open(path, "w") as out:
        def put(name, data):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))

        def blob(data, kind):
            digest = hashlib.sha256(data).hexdigest()
            put("blobs/sha256/" + digest, data)
            return {"mediaType": kind, "digest": "sha256:" + digest, "size": len(data)}

        put("oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
        layers, diffs = [], []
        for part in parts:
            subprocess.run(["zstd", "-3", "-q", "-f", part, "-o", part + ".zst"], check=True)
            with open(part, "rb") as f:
                diffs.append("sha256:" + hashlib.file_digest(f, "sha256").hexdigest())
            with open(part + ".zst", "rb") as f:
                layers.append(blob(f.read(), "application/vnd.oci.image.layer.v1.tar+zstd"))
        config = {"os": "linux", "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine],
                  "config": {"Cmd": ["true"]}, "rootfs": {"type": "layers", "diff_ids": diffs}}
        manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "config": blob(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"), "layers": layers}
        top = blob(json.dumps(manifest).encode(), manifest["mediaType"])
        put("index.json", json.dumps({"schemaVersion": 2, "manifests": [
            dict(top, annotations={"org.opencontainers.image.ref.name": "x:1"})]}).encode())
    return path


def serve(place):
    program = os.path.join(os.path.dirname(POT), "pot-registry")
    process = subprocess.Popen([program, "serve", "--listen", "127.0.0.1:0", "--data", place + "/registry"],
                               stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        found = re.search(r"127\.0\.0\.1:(\d+)", line)
        if found:
            return process, "127.0.0.1:" + found.group(1)
    raise SystemExit("pot-registry did not start")


ROUNDS = {
    "podman": 'podman --root "$PLACE/$N/podman" --runroot "$PLACE/$N/run" --storage-driver overlay pull -q --tls-verify=false "$REF"',
    "plain": 'i=0; while [ -e "$PLACE/$i.tar.zst" ]; do zstd -dcq "$PLACE/$i.tar.zst" | tar -C "$PLACE/$N/out" -xf -; i=$((i + 1)); done; '
             'sync -f "$PLACE/$N/out"',
    "pot": '"$POT" --root "$PLACE/$N/node" -q pull "$REF"',
}


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    tarball, rounds = os.path.abspath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 5
    place = tempfile.mkdtemp(prefix="pot-bench-", dir="/var/tmp")
    env = {"POT_ROOT": os.path.join(place, "node"), "POT": POT, "PLACE": place}
    process = None
    try:
        image = archive(split(tarball, int(sys.argv[3]) if len(sys.argv) > 3 else 4, place), place)
        process, host = serve(place)
        env["REF"] = host + "/x:1"
        measure(f'"$POT" init --storage overlay; "$POT" -q load -i {image}; "$POT" -q push x:1 "$REF"', **env)
        took = {name: [] for name in ROUNDS}
        # Nothing is removed meanwhile: ext4 is slow to make files where many went a moment ago.
        for number in range(rounds):
            env["N"] = "round" + str(number)
            measure('mkdir -p "$PLACE/$N/out"; "$POT" --root "$PLACE/$N/node" init --storage overlay', **env)
            for name, script in ROUNDS.items():
                measure("sync", **env)
                took[name].append(measure(script, **env))
        for name in took:
            wall, cpu = (statistics.median(t[k] for t in took[name]) for k in (0, 1))
            ratio = statistics.median(p[0] / t[0] for p, t in zip(took["pot"], took[name]))
            print(f"{name}: wall {wall:.2f} s, processor {cpu:.2f} s; pot's wall x{ratio:.2f} of it")
    finally:
        if process is not None:
            process.terminate()
            process.wait()
        measure('"$POT" de-init -f; for n in "$PLACE"/round*/node; do "$POT" --root "$n" de-init -f; done', **env)
        shutil.rmtree(place)


if __name__ == "__main__":
    main()
