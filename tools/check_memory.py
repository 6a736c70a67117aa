#!/usr/bin/env python3
"""Checks that an idle nomad-pot-driver takes 3 MiB of memory at most, as it
is when an agent has begun to use it; and again after a message of 20 MiB.
What it shares with others (libc) counts by its share.

  check_memory.py .../nomad-pot-driver
"""

import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "blackbox"))

import nomad_client  # noqa: E402 (the directory is known only now)

LIMIT_KIB = 3072


def proportional_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        return int(next(line for line in f if line.startswith("Pss:")).split()[1])


def main():
    bad = False
    with nomad_client.running(sys.argv[1]) as (plugin, client):
        streams = [client(name, deadline=None) for name in ("Fingerprint", "TaskEvents", "StreamStdio")]
        next(streams[0])

        def look(when):
            kib = proportional_kib(plugin.process.pid)
            print(f"{when}: {kib} KiB ({plugin.memory() // 1024} KiB resident), {LIMIT_KIB} KiB are allowed")
            return kib > LIMIT_KIB

        bad |= look("idle")
        # Refused at once, after all of it has been read and decoded.
        task = {"id": "x", "env": {"BIG": "x" * (20 << 20)}, "msgpack_driver_config": b"\x91\xc0"}
        assert nomad_client.failure(client, "StartTask", task=task)[0] == "INVALID_ARGUMENT"
        bad |= look("after a message of 20 MiB")
        for stream in streams:
            stream.cancel()
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
