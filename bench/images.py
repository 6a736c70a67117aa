#!/usr/bin/python3
"""Making and unpacking images beside the plain tools: the same tree, in turn, in one run.

    sudo bench/images.py TARBALL [ROUNDS]

Wall and processor time of each, medians, and the ratio to the plain tool of the same round. Nothing here passes or
fails; on a busy machine the ratio of the processor times is what can be quoted.
"""

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

POT = os.environ.get("POT") or os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "build", "bin", "pot")


def measure(script, **env):
    """Seconds of wall and of processor time of a shell script and all that it starts."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(["sh", "-ec", script], env={**os.environ, **env}, stdout=subprocess.DEVNULL, check=True)
    wall, after = time.monotonic() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def show(name, plain, ours):
    ratios = [[o[k] / p[k] for p, o in zip(plain, ours)] for k in (0, 1)]
    print(f"{name}: plain {statistics.median(p[0] for p in plain):.2f} s, pot {statistics.median(o[0] for o in ours):.2f} s;"
          f" wall x{statistics.median(ratios[0]):.2f}, processor x{statistics.median(ratios[1]):.2f}")


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    tarball, rounds = os.path.abspath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 5
    place = tempfile.mkdtemp(prefix="pot-bench-", dir="/var/tmp")
    env = {"POT_ROOT": os.path.join(place, "node"), "POT": POT, "TAR": tarball, "PLACE": place}
    try:
        measure('"$POT" init --storage overlay; "$POT" create-base -b tree --from "$TAR"; '
                '"$POT" create -p a -b tree -N inherit -c true; mkdir "$PLACE/tree"; tar -C "$PLACE/tree" -xf "$TAR"; '
                '"$POT" commit -p a -t x; "$POT" save -o "$PLACE/image.tar" x; "$POT" rmi x', **env)
        plain, ours, unpacked, loaded = [], [], [], []
        for _ in range(rounds):
            plain.append(measure('tar -C "$PLACE/tree" -cf - . | zstd -3 -T0 -q -f -o "$PLACE/x.zst"; sync "$PLACE/x.zst"', **env))
            ours.append(measure('"$POT" commit -p a -t x', **env))
            measure('"$POT" rmi x; rm -rf "$PLACE/out"; mkdir "$PLACE/out"', **env)
            unpacked.append(measure('zstd -dcq "$PLACE/x.zst" | tar -C "$PLACE/out" -xf -; sync -f "$PLACE/out"', **env))
            measure('"$POT" destroy a', **env)
            loaded.append(measure('"$POT" load -i "$PLACE/image.tar"', **env))
            measure('"$POT" rmi x; "$POT" create -p a -b tree -N inherit -c true', **env)
        show("tree to image (tar | zstd -3 -T0)", plain, ours)
        show("image to tree (zstd -d | tar)", unpacked, loaded)
    finally:
        measure('"$POT" de-init -f', **env)
        shutil.rmtree(place)


if __name__ == "__main__":
    main()
