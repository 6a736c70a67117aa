"""A kill at every step of a build: what was done stays done, what was not is not seen, and nothing half-made is left.

As test_crash.py does: a build is run once to note the fault points that it passes, in the process that walks and in
its workers, and then once for every pass, killed there.
"""

import collections
import os

import pytest

from test_build import build, clean, context, look, uncached

POTFILE = """\
FROM base:box
WORKDIR /w
COPY f f
RUN --mount=type=cache,id=crash-{0},target=/c echo {0} > /w/r && touch /c/x
"""


def points_of(node, directory, log):
    build(node, directory, "-t", "crash:log", env={"POT_FAULT_LOG": str(log)})
    passed = log.read_text().split()
    return collections.Counter(p for p in passed if not p.startswith(("net.", "netlink.")))


@pytest.mark.parametrize("part", range(4))
def test_killed_at_every_point(onode, place, tmp_path, part):
    """After the kill the next command sees no pot, the next build ends with the right image, and nothing is left."""
    directory = context(place, f"crash{part}", POTFILE.format("log"), {"f": "f\n"})
    build(onode, directory)  # what only the first build on a node does
    potfile = os.path.join(directory, "Potfile")
    with open(potfile, "w", encoding="utf-8") as f:
        f.write(POTFILE.format("noted"))
    points = points_of(onode, directory, tmp_path / "log")
    assert {"build.half.locked", "build.worker", "build.packed", "build.record", "image.take.renamed"} <= set(points)
    killed = 0
    for number, name in enumerate(sorted(points)):
        if number % 4 != part:
            continue
        # Once at the first and once at the last pass: each another step of the Potfile.
        for count in sorted({1, points[name]}):
            tag = f"{part}-{number}-{count}"
            with open(potfile, "w", encoding="utf-8") as f:
                f.write(POTFILE.format(tag))
            killed += onode.call("build", "--network", "none", "-q", "-t", f"crash:{part}", directory,
                                 env={"POT_FAULT": f"{name}:{count}"}).status != 0
            assert onode("ps", "-a", "-q").out == "", (name, count)
            run = build(onode, directory, "-t", f"crash:{part}")
            assert clean(onode) == [], (name, count)
            assert [n for n in os.listdir(os.path.join(onode.root, "pots")) if n.startswith("build-")] == []
            assert uncached(build(onode, directory, "-t", f"crash:{part}")) == [], (name, count, run)
    assert killed >= len(points) // 8
    assert look(onode, f"crash:{part}", "cat /w/f /w/r; ls /c 2>/dev/null; true") == f"f\n{tag}\n"
    onode("build", "prune", "-a")
