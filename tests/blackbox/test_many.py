"""Many pots at once, from many processes."""

import concurrent.futures
import os
import signal

import lab

N = 50


def one_life(node, i):
    name = f"p{i}"
    for args in (["create", "-p", name, "-b", "box", "-N", "inherit", "-c", f"sh -c 'echo {i}; exec sleep 100000'"], ["start", name]):
        result = node.call(*args)
        assert result.status == 0, result
    result = node.call("exec", name, "hostname")
    assert result.status == 0, result
    return name


def one_end(node, name):
    for args in (["stop", "-t", "0", name], ["destroy", name]):
        result = node.call(*args)
        assert result.status == 0, result


def test_fifty_in_parallel(node, cgroups):
    """50 pots made, started, used, stopped and destroyed from 50 parallel processes: all succeed, nothing is left."""
    with concurrent.futures.ThreadPoolExecutor(N) as pool:
        names = list(pool.map(lambda i: one_life(node, i), range(N)))
        states = node.states()
        assert states == {name: "running" for name in names}
        list(pool.map(lambda name: one_end(node, name), names))
    assert node.states() == {}
    lab.wait_until(lambda: cgroups.processes() == {}, "the end of the shims")


def test_look_beside_a_create(onode):
    """Who looks at all pots may take away the directory of one that has just been begun: it is made all the same."""
    create = onode.start("create", "-p", "a", "-b", "box", "-N", "none", env={"POT_FAULT_STOP": "create.reserved"})
    lab.wait_until(lambda: lab.is_stopped(create.pid), "the directory")
    assert onode.states() == {} and not os.path.exists(os.path.join(onode.root, "pots", "a"))
    create.send_signal(signal.SIGCONT)
    lab.wait_until(lambda: lab.is_stopped(create.pid) and os.path.exists(os.path.join(onode.root, "pots", "a")), "the next one")
    create.send_signal(signal.SIGCONT)
    assert create.communicate(timeout=lab.HANG) == (b"", b"") and create.returncode == 0
    assert onode.states() == {"a": "created"}


def test_shims_are_small(onode):
    """A shim's own memory is at most 16 KiB each (PSS of the programs that are not the sanitizers'), at 50 pots."""
    for i in range(N):
        onode.run(f"p{i}")
    shims = []
    for i in range(N):
        with open(f"/proc/{onode.info(f'p{i}')['pid']}/stat", encoding="ascii") as f:
            shims.append(int(f.read().rpartition(")")[2].split()[1]))
    total = 0
    for pid in shims:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
            total += next(int(line.split()[1]) for line in f if line.startswith("Pss:"))
    assert total / N <= 16, f"{total / N:.1f} KiB each"
    assert os.path.exists(f"/proc/{shims[0]}")
