"""Deaths of every kind but the crash at each step: the shim, PID 1, the command that started it, the machine."""

import glob
import os
import signal
import struct
import zlib

import pytest

import lab

# src/model/shimproto.h, src/engine/state.h
EXIT, RING, SLOT, SLOTS = 1024, 2048, 2048, 6


def shim_of(node, name):
    """Host pid of the shim: the parent of the pot's PID 1."""
    with open(f"/proc/{node.info(name)['pid']}/stat", encoding="ascii") as f:
        return int(f.read().rpartition(")")[2].split()[1])


def gone(pid):
    return not lab.command_line(pid)


def test_shim_killed(node, cgroups):
    """SIGKILL to the shim: the pot's processes end with it, the next command repairs and tells the reason."""
    node.run("a", "sh -c 'sleep 5555 & exec sleep 100000'")
    os.kill(shim_of(node, "a"), signal.SIGKILL)
    lab.wait_until(lambda: "a" not in node("ps", "-q").out.split(), "the repair")
    info = node.info("a")
    assert info["state"] in ("failed", "stopped") and info["pid"] is None
    assert cgroups.processes() == {} and cgroups.groups() == []
    node("start", "a")
    assert node("exec", "a", "echo", "again").out == "again\n"


def test_init_killed(node, cgroups):
    """SIGKILL to the pot's PID 1: everything in the pot ends, the shim cleans up, the status says 137."""
    node.run("a", "sh -c 'sleep 5555 & exec sleep 100000'")
    os.kill(node.info("a")["pid"], signal.SIGKILL)
    assert node.call("wait", "a").out == "137\n"
    assert node.states()["a"] in ("stopped", "failed")
    lab.wait_until(lambda: cgroups.processes() == {}, "the end of the shim")
    node("start", "a")


def test_both_killed(node, cgroups):
    """SIGKILL to shim and PID 1 at once, and a waiter sees the end."""
    node.run("a")
    waiter = node.start("wait", "a")
    shim, init = shim_of(node, "a"), node.info("a")["pid"]
    os.kill(shim, signal.SIGKILL)
    os.kill(init, signal.SIGKILL)
    waiter.communicate(timeout=lab.HANG)
    assert waiter.returncode not in (None, 0)
    node("ps")
    assert cgroups.processes() == {} and cgroups.groups() == []


def test_starter_killed_after(node):
    """The death of the shell that called start does not touch the pot."""
    node.make("a", "sleep 100000")
    process = node.start("start", "a")
    process.communicate(timeout=lab.HANG)
    try:
        os.killpg(process.pid, signal.SIGHUP)
    except ProcessLookupError:
        pass
    assert node.states() == {"a": "running"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGUSR1])
def test_shim_ignores_signals(onode, number):
    """No signal but SIGKILL and SIGSTOP ends the shim by accident."""
    onode.run("a", "sh -c 'trap \"\" TERM INT HUP USR1; while :; do sleep 0.05; done'")
    shim = shim_of(onode, "a")
    os.kill(shim, number)
    onode("exec", "a", "true")
    assert not gone(shim)
    assert onode.states() == {"a": "running"}


def newest_slot(data):
    """(offset, sequence number) of the newest valid slot in a state file."""
    best = None
    for i in range(SLOTS):
        offset = RING + i * SLOT
        magic, version, seq = struct.unpack_from("<IIQ", data, offset)
        if magic and (best is None or seq > best[1]):
            best = (offset, seq)
    return best


def record_size(data, offset):
    """The size at which the slot's checksum (its last field, CRC-32 of all before) holds."""
    for size in range(64, SLOT + 1, 4):
        crc = struct.unpack_from("<I", data, offset + size - 4)[0]
        if crc and zlib.crc32(data[offset:offset + size - 4]) == crc:
            return size
    raise AssertionError("no checksum found: did the layout of the state file change?")


def test_reboot(node, cgroups):
    """State that says running from before a boot is reconciled, never believed: nothing of this boot that has the
    same pids is touched, and the pot starts again."""
    node.run("a")
    path = glob.glob(os.path.join(node.root, "pots", "a", "state"))[0]
    with open(path, "rb") as f:
        data = bytearray(f.read())
    node("stop", "-t", "0", "a")
    # A reboot, as the file would show it: another boot's id, and pids that are somebody else's now.
    bystander = node.run("bystander") and node.info("bystander")
    offset, _ = newest_slot(data)
    size = record_size(data, offset)
    boot = bytes(range(16))
    data[offset + 16:offset + 32] = boot
    struct.pack_into("<I", data, offset + size - 4, zlib.crc32(bytes(data[offset:offset + size - 4])))
    data[EXIT:RING] = bytes(RING - EXIT)  # no exit was written
    with open(path, "r+b") as f:
        f.write(data)
    assert "a" not in node("ps", "-q").out.split()
    info = node.info("a")
    assert info["state"] in ("stopped", "failed") and info["pid"] is None
    assert info["last_exit"]["reason"]
    assert node.info("bystander")["pid"] == bystander["pid"]
    node("start", "a")
    node("stop", "a")


def test_damaged_state(onode):
    """A state file of garbage is told and made anew: the pot starts, can be removed, and no other is concerned."""
    onode.make("a", "true")
    onode.run("b")
    path = os.path.join(onode.root, "pots", "a", "state")
    with open(path, "r+b") as f:
        f.write(os.urandom(os.path.getsize(path)))
    result = onode.call("start", "a")
    assert result.status == 0 and "damaged" in result.err and result.err.count("\n") == 1, result
    assert onode.call("wait", "a").out == "0\n"
    assert "b" in onode("ps", "-q").out.split()
    onode("destroy", "-F", "a")
    assert onode.states() == {"b": "running"}


def test_damaged_configuration(onode):
    """A pot.conf of garbage is told with its place; destroy -F removes the pot."""
    onode.make("a", "true")
    path = os.path.join(onode.root, "pots", "a", "pot.conf")
    with open(path, "wb") as f:
        f.write(b"\x00\xff not a configuration\n\n= =\n")
    onode.fails("start", "a", says="a")
    onode("destroy", "-F", "a")
    assert onode.states() == {}


def test_stopped_while_starting_and_destroyed(onode, cgroups):
    """start, stop and destroy of one pot from many processes at once: each either works or says why, and in the
    end nothing is left."""
    onode.make("a", "sleep 100000")
    for _ in range(4):
        processes = [onode.start(*args) for args in
                     (["start", "a"], ["stop", "-t", "0", "a"], ["start", "a"], ["kill", "a"], ["ps"],
                      ["restart", "a"], ["exec", "a", "true"])]
        for process in processes:
            out, err = process.communicate(timeout=lab.HANG)
            assert process.returncode in (0, 1, 125, 137), (process.args, out, err)
            assert err.count(b"\n") <= 1, err
            assert b"anitizer" not in err
    onode("destroy", "-F", "a")
    assert cgroups.processes() == {} and cgroups.groups() == []


def test_stop_beside_the_last_stop(onode, tmp_path):
    """Who stops a pot while the stopper of the run before is not gone yet stops it, and waits for nobody."""
    onode.run("a", "sleep 100000")
    last = onode.start("stop", "-t", "0", "a", env={"POT_FAULT_STOP": "stop.over"})
    lab.wait_until(lambda: lab.is_stopped(last.pid), "the end of the first run")
    onode("start", "a")
    log = tmp_path / "passed"
    stop = onode.start("stop", "a", env={"POT_FAULT_LOG": str(log)})
    lab.wait_until(lambda: log.exists() and "stop.held" in log.read_text().split(), "the look at the lock")
    last.send_signal(signal.SIGCONT)
    for process in (last, stop):
        assert process.communicate(timeout=lab.HANG) == (b"", b"") and process.returncode == 0
    assert onode.states() == {"a": "stopped"}


def test_haste_beside_a_patient_stop(onode, tmp_path):
    """stop -t 0 ends a pot at once that somebody else is stopping with patience."""
    onode.run("a", "sh -c 'trap \"\" TERM; while :; do sleep 100000; done'")
    log = tmp_path / "passed"
    patient = onode.start("stop", "-t", "100000", "a", env={"POT_FAULT_LOG": str(log)})
    lab.wait_until(lambda: log.exists() and "stop.signalled" in log.read_text().split(), "the patient's signal")
    onode("stop", "-t", "0", "a")
    assert patient.communicate(timeout=lab.HANG) == (b"", b"") and patient.returncode == 0
    assert onode.states() == {"a": "stopped"}
