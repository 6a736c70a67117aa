#!/usr/bin/env python3
"""What of the host a run of pot could change, as text, and the difference of
two such texts: how `make test` and `make demo` prove that they left the host
as it was.

    host_state.py                 prints the state
    host_state.py save FILE
    host_state.py check FILE      "host: unchanged", or the difference and exit status 1
"""

import difflib
import glob
import os
import subprocess
import sys

# Where pot or its tests would leave files.
PLACES = ("/tmp/pot-*", "/var/tmp/pot-*", "/var/lib/pot", "/etc/pot", "/usr/local/bin/pot*",
          "/usr/local/libexec/pot", "/run/pot*", "/run/zfs*", "/var/run/zfs*", "/dev/shm/pot-*",
          "/etc/zfs/zpool.cache", "/var/lib/zfs/zpool.cache")
PROCESSES = ("pot", "zfs-fuse", "mmdebstrap")


def mounts(namespace_of="self"):
    """root, mount point, options, type and source of each mount; ids and peer groups differ from
    look to look without meaning anything."""
    with open(f"/proc/{namespace_of}/mountinfo", encoding="utf-8", errors="replace") as f:
        for line in f:
            left, _, right = line.rstrip("\n").partition(" - ")
            fields = left.split(" ")
            kind, source = right.split(" ")[:2]
            yield f"{fields[4]} {kind} {source} {fields[3]} {fields[5]}"


def links():
    return os.listdir("/sys/class/net")


def nft_tables():
    try:
        run = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, timeout=20, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return []
    return run.stdout.splitlines()


def cgroups():
    """Groups named as pot and its tests name theirs; those of services and sessions come and go."""
    seen = set()
    for line in mounts():
        where, kind = line.split(" ")[:2]
        if kind not in ("cgroup", "cgroup2") or where in seen:
            continue
        seen.add(where)
        for directory, names, _ in os.walk(where):
            for name in names:
                path = os.path.join(directory, name)
                if "/pot" in path[len(where):]:
                    yield path


def loops():
    """Loop devices with a file; a detached one may stay as a node."""
    for path in glob.glob("/sys/block/loop*/loop/backing_file"):
        try:
            with open(path, encoding="utf-8", errors="replace") as f:
                yield f"{path.split('/')[3]} {f.read().strip()}"
        except OSError:
            pass


def processes():
    """Names and arguments; without pids, for the same service restarted is no difference."""
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path, encoding="utf-8", errors="replace") as f:
                name = f.read().split("(", 1)[1].rpartition(")")[0]
            if not name.startswith(PROCESSES):
                continue
            with open(os.path.join(os.path.dirname(path), "cmdline"), "rb") as f:
                args = f.read().replace(b"\0", b" ").decode(errors="replace").strip()
        except (OSError, IndexError):
            continue
        if not args:  # dead, and its parent has not looked yet
            continue
        yield f"{name}: {args}"


def namespaces():
    """Named network namespaces."""
    return os.listdir("/run/netns") if os.path.isdir("/run/netns") else []


def files():
    for pattern in PLACES:
        yield from glob.glob(pattern)


def state():
    sections = (("mount", mounts), ("link", links), ("nft", nft_tables), ("cgroup", cgroups), ("loop", loops),
                ("process", processes), ("netns", namespaces), ("file", files))
    lines = []
    for name, read in sections:
        lines += sorted(f"{name} {line}" for line in read())
    return lines


def difference(before, after):
    """Lines that came (+) and went (-), without context."""
    for line in difflib.unified_diff(before, after, "before", "after", lineterm="", n=0):
        if not line.startswith(("---", "+++", "@@")):
            yield line


def main(args):
    if not args:
        print("\n".join(state()))
        return 0
    if len(args) != 2 or args[0] not in ("save", "check"):
        print(__doc__, file=sys.stderr)
        return 2
    if args[0] == "save":
        with open(args[1], "w", encoding="utf-8") as f:
            f.write("\n".join(state()) + "\n")
        return 0
    with open(args[1], encoding="utf-8") as f:
        before = f.read().splitlines()
    changed = list(difference(before, state()))
    if not changed:
        print("host: unchanged")
        return 0
    print("host: CHANGED")
    for line in changed:
        print("  " + line)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
