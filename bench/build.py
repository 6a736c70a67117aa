#!/usr/bin/python3
"""Building images beside `buildah bud --layers`: the same Dockerfile, in turn, in one run.

    sudo bench/build.py [ROUNDS [STEPS]]

A busybox base, COPY of a directory of files and so many RUN steps, then a late COPY. Three cases a round: cold (no step was done
before), again (nothing changed), and late (the file of the last COPY changed). Both have their storage on overlay. buildah's
commands are in a chroot of the host's network, its cheapest way; ours in a pot. Wall time of the whole command, medians, and the median of the ratios of one round.
Nothing here passes or fails.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BIN = os.environ.get("POT_BIN", os.path.join(os.path.dirname(HERE), "build", "bin"))
CASES = ("cold", "again", "late")


def run(argv, **options):
    return subprocess.run(argv, capture_output=True, check=True, stdin=subprocess.DEVNULL, **options)


def wall(argv, env):
    begin = time.monotonic()
    run(argv, env=env)
    return (time.monotonic() - begin) * 1000


def make_box(place):
    box = os.path.join(place, "box")
    for name in ("bin", "dev", "etc", "proc", "sys", "tmp", "root", "run"):
        os.makedirs(os.path.join(box, name))
    shutil.copy2(shutil.which("busybox"), os.path.join(box, "bin"))
    for applet in run([os.path.join(box, "bin/busybox"), "--list"]).stdout.decode().split():
        if applet != "busybox":
            os.symlink("busybox", os.path.join(box, "bin", applet))
    with open(os.path.join(box, "etc/passwd"), "w", encoding="ascii") as f:
        f.write("root:x:0:0:root:/root:/bin/sh\n")
    return box


class Builder:
    def __init__(self, place, context):
        self.place, self.context = place, context
        self.env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": place,
                    "TMPDIR": place, "LC_ALL": "C.UTF-8"}
        os.makedirs(place)


class Ours(Builder):
    name = "pot build"

    def __init__(self, place, context, box):
        super().__init__(place, context)
        self.pot = [os.path.join(BIN, "pot"), "--root", os.path.join(place, "root")]
        run([*self.pot, "init", "--storage", "overlay"])
        run([*self.pot, "create-base", "-b", "box", "--from", box])
        with open(os.path.join(place, "first"), "w", encoding="ascii") as f:
            f.write("FROM base:box\nENV A=1\n")
        run([*self.pot, "build", "-q", "-f", f.name, context])  # the base's own layer, once

    def build(self):
        return wall([*self.pot, "build", "--network", "none", "-q", "-t", "bench",
                     "-f", os.path.join(self.context, "Potfile"), self.context], self.env)

    def end(self):
        run([*self.pot, "de-init", "-f"])


class Theirs(Builder):
    name = "buildah bud --layers"

    def __init__(self, place, context, box):
        super().__init__(place, context)
        self.buildah = ["unshare", "-m", "sh", "-c",
                        'mkdir -p /var/lib/containers && mount --bind "$0" /var/lib/containers && exec "$@"', place,
                        "buildah", "--root", os.path.join(place, "root"), "--runroot", os.path.join(place, "run"),
                        "--storage-driver", "overlay"]
        name = run([*self.buildah, "from", "scratch"], env=self.env).stdout.decode().strip()
        run([*self.buildah, "add", "-q", name, box, "/"], env=self.env)
        run([*self.buildah, "commit", "-q", name, "localhost/box"], env=self.env)

    def build(self):
        return wall([*self.buildah, "bud", "-q", "--layers", "--isolation", "chroot", "--network", "host", "--pull-never",
                     "-t", "localhost/bench", "-f", os.path.join(self.context, "Dockerfile"), self.context], self.env)

    def end(self):
        run([*self.buildah, "rm", "-a"], env=self.env)
        run([*self.buildah, "rmi", "-a", "-f"], env=self.env)


def write_context(context, steps, seed):
    text = "ENV SEED=%s\nWORKDIR /srv\nCOPY tree tree\n%sCOPY late late\nCMD [\"sh\"]\n" % (
        seed, "".join(f"RUN echo {i} > step-{i}; cat tree/* | md5sum > sum-{i}\n" for i in range(steps)))
    for name, base in (("Potfile", "base:box"), ("Dockerfile", "localhost/box")):
        with open(os.path.join(context, name), "w", encoding="ascii") as f:
            f.write(f"FROM {base}\n{text}")


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 7
    place = tempfile.mkdtemp(prefix="pot-bench-", dir="/var/tmp")
    context = os.path.join(place, "context")
    os.makedirs(os.path.join(context, "tree"))
    for i in range(200):
        with open(os.path.join(context, "tree", str(i)), "wb") as f:
            f.write(os.urandom(4096))
    box = make_box(place)
    builders = [kind(os.path.join(place, kind.__name__), context, box) for kind in (Ours, Theirs)]
    times = {(b.name, case): [] for b in builders for case in CASES}
    try:
        for number in range(rounds):
            write_context(context, count, number)
            for case in CASES:
                with open(os.path.join(context, "late"), "w", encoding="ascii") as f:
                    f.write(f"{number} {case == 'late'}\n")
                for b in builders if number % 2 == 0 else builders[::-1]:
                    times[b.name, case].append(b.build())
    finally:
        for b in builders:
            b.end()
        shutil.rmtree(place, ignore_errors=True)
    print(f"{count + 4} steps, {rounds} rounds; milliseconds, medians")
    for case in CASES:
        ours, theirs = (times[b.name, case] for b in builders)
        ratio = statistics.median(a / b for a, b in zip(ours, theirs))
        print(f"{case:6}  pot {statistics.median(ours):8.1f}   buildah {statistics.median(theirs):8.1f}   ratio {ratio:.3f}")


if __name__ == "__main__":
    main()
