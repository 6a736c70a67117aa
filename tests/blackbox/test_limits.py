"""A pot gets what it was given and no more: memory, processes, CPUs, I/O, files; and limits can be changed while it runs."""

import os
import re
import resource
import signal

import pytest

import lab

MIB = 1 << 20
HOG = "dd if=/dev/zero of=/dev/null bs=300M count=1"  # one buffer of that size, written to


def mount_of(controller):
    """Where a controller is on this machine, and whether that is v2."""
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        lines = [line.rstrip("\n").split(" - ") for line in f]
    for left, right in lines:
        kind, _, options = right.split(" ", 2)
        if kind == "cgroup" and controller in options.split(","):
            return left.split(" ")[4], False
    for left, right in lines:
        where = left.split(" ")[4]
        if right.split(" ")[0] == "cgroup2":
            with open(os.path.join(where, "cgroup.controllers"), encoding="ascii") as f:
                if controller.replace("blkio", "io") in f.read().split():
                    return where, True
    pytest.skip(f"no controller {controller}")


def group(node, name, controller):
    """The directory of a running pot's group with a controller's files."""
    where, v2 = mount_of(controller)
    for word in node.info(name)["cgroup"].split():
        names, path = word.split(":", 1)
        if controller in names.split(",") or (v2 and names == "v2"):
            return where + path
    raise AssertionError(f"no group for {controller}")


def control(node, name, controller, v1, v2):
    """What the kernel says: one control file, whichever version it is of."""
    file = v2 if mount_of(controller)[1] else v1
    with open(os.path.join(group(node, name, controller), file), encoding="ascii") as f:
        return f.read().strip()


def memory_limit(node, name):
    text = control(node, name, "memory", "memory.limit_in_bytes", "memory.max")
    return 0 if text == "max" or int(text) > 1 << 60 else int(text)


def all_cpus():
    """As the kernel lists those that nobody took from us."""
    with open("/proc/self/status", encoding="ascii") as f:
        return re.search(r"Cpus_allowed_list:\s+(\S+)", f.read()).group(1)


def limits(node, name):
    return node.info(name)["limits"]


# ---- memory

def test_memory_hog_dies_alone(onode):
    """The kernel kills inside of the pot that has used up its memory; the rest of it, its peers and we live on."""
    onode.run("peer", "sleep 100000", "-N", "none")
    onode.run("hog", f"sh -c 'echo begin; {HOG}; echo hog ended $?; exec sleep 100000'", "-M", "64m")
    lab.wait_until(lambda: "hog ended" in onode.log("hog"), "the end of the hog")
    assert "hog ended 137" in onode.log("hog")
    info = onode.info("hog")
    assert info["state"] == "running" and info["oom_killed"] is True and info["oom_kills"] == 1
    assert info["limits"]["memory"] == 64 * MIB
    assert onode.sh("peer", "echo alive") == "alive\n"
    onode("stop", "-t", "0", "hog")
    info = onode.info("hog")
    assert info["oom_killed"] is True and info["last_exit"]["oom_kills"] == 1
    assert "out of memory" in info["last_exit"]["reason"]
    assert [p["oom_killed"] for p in onode("--format", "json", "ps", "-a").json()] == [True, False]
    # Another run begins without it.
    onode("set-cmd", "-p", "hog", "-c", "true")
    onode("start", "hog")
    ended = onode("--format", "json", "wait", "hog").json()[0]
    assert ended["status"] == 0 and ended["oom_killed"] is False and ended["reason"] is None


def test_memory_hog_as_command(onode):
    """A pot whose own command is killed for want of memory ends with status 137 and the reason."""
    onode.run("hog", HOG, "-M", "32m", "-N", "none")
    result = onode.call("--format", "json", "wait", "hog")
    ended = result.json()[0]
    assert result.status == 137 and ended["status"] == 137 and ended["signal"] == 9, result
    assert ended["oom_killed"] is True and ended["oom_kills"] >= 1
    assert "out of memory" in ended["reason"]
    assert "out of memory" in onode("info", "-p", "hog").out


def test_memory_files(onode):
    """Memory, swap and reservation are what the kernel has; without a word about swap there is none."""
    onode.run("a", "sleep 100000", "-N", "none", "--memory", "64m", "--memory-reservation", "16m")
    assert memory_limit(onode, "a") == 64 * MIB
    assert int(control(onode, "a", "memory", "memory.soft_limit_in_bytes", "memory.low")) == 16 * MIB
    onode.run("b", "sleep 100000", "-N", "none", "--memory", "64m", "--memory-swap", "100m")
    for name, v1, v2 in (("a", 64 * MIB, 0), ("b", 100 * MIB, 36 * MIB)):
        if mount_of("memory")[1]:
            assert int(control(onode, name, "memory", "", "memory.swap.max")) == v2
        else:
            assert int(control(onode, name, "memory", "memory.memsw.limit_in_bytes", "")) == v1


# ---- processes

def test_fork_bomb_stops(onode):
    """A fork bomb ends at the number of processes it was given; the host and its peers go on."""
    onode.run("bomb", "sh -c 'b() { b | b & }; b & exec sleep 100000'", "-N", "none", "--pids", "40")
    lab.wait_until(lambda: re.search(r"^max [1-9]", read_events(onode, "bomb"), re.M) is not None,
                   "a refused fork")
    assert int(control(onode, "bomb", "pids", "pids.current", "pids.current")) <= 40
    onode.run("peer", "sleep 100000", "-N", "none")
    assert onode.sh("peer", "echo alive") == "alive\n"
    onode("stop", "-t", "0", "bomb")


def read_events(node, name):
    with open(os.path.join(group(node, name, "pids"), "pids.events"), encoding="ascii") as f:
        return f.read()


def test_pids_default(onode):
    """A pot without a limit of its own has the configuration's; 0 is none."""
    onode.run("a", "sleep 100000", "-N", "none")
    assert control(onode, "a", "pids", "pids.max", "pids.max") == "4096"
    assert limits(onode, "a")["pids"] == 4096 and limits(onode, "a")["pids_default"] is True
    onode.run("b", "sleep 100000", "-N", "none", "--pids", "0")
    assert control(onode, "b", "pids", "pids.max", "pids.max") == "max"
    assert limits(onode, "b")["pids"] is None and limits(onode, "b")["pids_default"] is False


# ---- CPUs

def allowed(node, name):
    return node.sh(name, "grep Cpus_allowed_list /proc/self/status").split()[1]


def test_pinning_spreads(onode):
    """Pots that are pinned get the CPUs that the others use least, and what ends gives its CPUs back."""
    cpus = sorted(os.sched_getaffinity(0))
    for n in range(len(cpus)):
        onode.run(f"p{n}", "sleep 100000", "-N", "none", "-C", "1")
    given = [allowed(onode, f"p{n}") for n in range(len(cpus))]
    assert sorted(given, key=int) == [str(c) for c in cpus]
    assert [limits(onode, f"p{n}")["cpu_list"] for n in range(len(cpus))] == given
    # One ends, however it does: the next gets its place.
    os.kill(onode.info("p0")["pid"], 9)
    onode.call("wait", "p0")
    onode.run("next", "sleep 100000", "-N", "none", "-C", "1")
    assert allowed(onode, "next") == given[0]
    # All of them is all; an unpinned pot is not held to any.
    onode.run("all", "sleep 100000", "-N", "none", "-C", str(len(cpus)))
    onode.run("free", "sleep 100000", "-N", "none")
    assert allowed(onode, "all") == allowed(onode, "free")
    onode.fails("create", "-p", "more", "-b", "box", "-C", str(len(cpus) + 1), says=(str(len(cpus)),))


def test_pinning_in_parallel(onode):
    """Starts at the same moment do not choose the same CPU twice."""
    cpus = sorted(os.sched_getaffinity(0))
    names = [onode.make(f"p{n}", "sleep 100000", "-N", "none", "-C", "1") for n in range(2 * len(cpus))]
    starts = [onode.start("start", name) for name in names]
    for s in starts:
        out, err = s.communicate(timeout=lab.HANG)
        assert s.returncode == 0, err
    given = [limits(onode, name)["cpu_list"] for name in names]
    assert sorted(given) == sorted([str(c) for c in cpus] * 2)


def test_quota_and_shares(onode):
    """A CPU quota holds a busy pot up; shares are what the kernel weighs by."""
    onode.run("busy", "sh -c 'while :; do :; done'", "-N", "none", "--cpu-quota", "10%", "--cpu-shares", "512")
    stat = "cpu.stat"
    lab.wait_until(lambda: int(re.search(r"nr_throttled (\d+)",
                                         control(onode, "busy", "cpu", stat, stat)).group(1)) > 3, "throttling")
    if mount_of("cpu")[1]:
        assert control(onode, "busy", "cpu", "", "cpu.max") == "10000 100000"
    else:
        assert control(onode, "busy", "cpu", "cpu.cfs_quota_us", "") == "10000"
        assert control(onode, "busy", "cpu", "cpu.shares", "") == "512"
    assert limits(onode, "busy")["cpu_quota"] == 10.0
    onode("stop", "-t", "0", "busy")


# ---- rlimits

def test_ulimits(onode):
    """Limits of processes are those asked for, else the usual ones whatever the caller's; exec has them too."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]

    def lower():
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
        resource.setrlimit(resource.RLIMIT_STACK, (1 << 20, resource.getrlimit(resource.RLIMIT_STACK)[1]))

    onode.make("a", "sh -c 'ulimit -n; ulimit -Hn; ulimit -c; ulimit -s; exec sleep 100000'", "-N", "none",
               "--ulimit", "nofile=64:128", "--ulimit", "core=4096")
    onode("start", "a", preexec=lower)
    lab.wait_until(lambda: onode.log("a").count("\n") == 4, "the output")
    assert onode.log("a").split() == ["64", "128", "8", "8192"]
    assert onode.sh("a", "ulimit -n; ulimit -Hn", preexec=lower) == "64\n128\n"
    onode.make("b", "sleep 100000", "-N", "none")
    onode("start", "b", preexec=lower)
    limits_file = f"/proc/{onode.info('b')['pid']}/limits"
    with open(limits_file, encoding="ascii") as f:
        assert re.search(r"Max open files +1024 +(\d+)", f.read()).group(1) in ("1048576", str(hard))
    assert onode.sh("b", "ulimit -n", preexec=lower) == "1024\n"


# ---- I/O

def disk_under(path):
    """major:minor of the whole disk that a path is on."""
    device = os.stat(path).st_dev
    here = f"/sys/dev/block/{os.major(device)}:{os.minor(device)}"
    if os.path.exists(here + "/partition"):
        here += "/.."
    if not os.path.exists(here):
        pytest.skip(f"{path} is not on one disk")
    with open(here + "/dev", encoding="ascii") as f:
        return f.read().strip()


def test_io_rates(onode):
    """Rates of a disk are the kernel's, by default of the disk on which the pots are; update changes and clears them."""
    disk = disk_under(onode.root)
    onode.run("a", "sleep 100000", "-N", "none", "--io", "rbps=1m,wiops=100")
    read = "blkio.throttle.read_bps_device"
    assert control(onode, "a", "blkio", read, "io.max").startswith(disk)
    assert str(MIB) in control(onode, "a", "blkio", read, "io.max")
    assert "100" in control(onode, "a", "blkio", "blkio.throttle.write_iops_device", "io.max")
    onode("update", "a", "--io", "rbps=2m")
    assert str(2 * MIB) in control(onode, "a", "blkio", read, "io.max")
    assert "100" in control(onode, "a", "blkio", "blkio.throttle.write_iops_device", "io.max")
    onode("update", "a", "--io", "default")
    assert control(onode, "a", "blkio", read, "io.max") == ""
    assert limits(onode, "a")["io"] == []
    onode.fails("update", "a", "--io", "/nowhere:rbps=1m", says="/nowhere")
    onode.fails("update", "a", "--io", "speed=1m", says="speed=1m")


# ---- changing

def test_update_live(onode):
    """update changes a running pot at once, and the next run has it too."""
    onode.run("a", "sleep 100000", "-N", "none")
    assert memory_limit(onode, "a") == 0
    onode("update", "a", "-M", "128m", "-C", "1", "--cpu-quota", "50", "--pids", "100", "--restart", "on-failure:3")
    assert memory_limit(onode, "a") == 128 * MIB
    assert control(onode, "a", "pids", "pids.max", "pids.max") == "100"
    assert "," not in allowed(onode, "a") and "-" not in allowed(onode, "a")
    pid = onode.info("a")["pid"]
    for controller in ("cpu", "cpuset", "memory", "pids"):
        with open(os.path.join(group(onode, "a", controller), "cgroup.procs"), encoding="ascii") as f:
            assert str(pid) in f.read().split(), controller
    onode("restart", "-t", "0", "a")
    l = limits(onode, "a")
    assert l["memory"] == 128 * MIB and l["cpus"] == 1 and l["cpu_quota"] == 50.0 and l["pids"] == 100
    assert l["restart"] == "on-failure:3"
    assert memory_limit(onode, "a") == 128 * MIB
    # Up and down again, past each other's bounds.
    for size in (256, 64, 512):
        onode("update", "a", "--memory", f"{size}m", "--memory-swap", f"{size * 2}m")
        assert memory_limit(onode, "a") == size * MIB
    onode("update", "a", "-M", "0", "--memory-swap", "0", "-C", "0", "--cpu-quota", "0", "--pids", "default")
    assert memory_limit(onode, "a") == 0
    assert limits(onode, "a")["memory"] is None and limits(onode, "a")["pids_default"] is True
    onode.run("free", "sleep 100000", "-N", "none")
    assert allowed(onode, "a") == allowed(onode, "free")


def members(node, name, controller):
    with open(os.path.join(group(node, name, controller), "cgroup.procs"), encoding="ascii") as f:
        return {int(pid) for pid in f.read().split()}


def test_update_beside_exec(onode):
    """A command whose exec had looked before the update is in the groups that the update made."""
    onode.run("a", "sleep 100000", "-N", "none")
    process = onode.start("exec", "a", "sh", "-c", "sleep 100000 & echo $!; wait", env={"POT_FAULT_STOP": "exec.read"})
    lab.wait_until(lambda: lab.is_stopped(process.pid), "the stop after the look")
    onode("update", "a", "--cpu-quota", "50", "-C", "1", "--io", "rbps=1m")
    before = members(onode, "a", "pids")
    process.send_signal(signal.SIGCONT)
    assert process.stdout.readline().strip().isdigit()
    assert len(members(onode, "a", "pids") - before) == 2
    for controller in ("cpu", "cpuset", "blkio", "memory"):
        lab.wait_until(lambda c=controller: members(onode, "a", c) == members(onode, "a", "pids"), controller, 20)
    # A later one is there from the start.
    assert onode.sh("a", "grep Cpus_allowed_list /proc/self/status").split()[1] == limits(onode, "a")["cpu_list"]
    onode("stop", "-t", "0", "a")
    process.communicate(timeout=lab.HANG)


def test_update_beside_forks(onode):
    """Of a pot whose processes come and go all the time none is left outside of further groups."""
    onode.run("a", "sh -c 'f() { while :; do sleep 0.01; done; }; f & f & f & f & f'", "-N", "none")
    onode("update", "a", "--cpu-quota", "90", "-C", "1")
    for controller in ("cpu", "cpuset"):
        outside = members(onode, "a", "pids") - members(onode, "a", controller)
        assert len(members(onode, "a", controller)) >= 5
        # Those that had ended between the two looks; the five last for ever.
        lab.wait_until(lambda o=outside: not o & members(onode, "a", "pids"), "the end of what was born and died", 20)


# ---- disk

def fill(node, name, mib):
    """Writes that many MiB into a pot; what dd said."""
    return node.call("exec", name, "sh", "-c", f"dd if=/dev/urandom of=/big bs=1M count={mib} conv=fsync")


def test_disk_quota(quota_node):
    """A disk quota ends what one pot writes, and nothing else; it can be raised while the pot runs, and taken away."""
    node = quota_node
    node.run("a", "sleep 100000", "-N", "none", "--disk", "24m")
    assert limits(node, "a")["disk"] == 24 * MIB
    full = fill(node, "a", 64)
    assert full.status != 0 and re.search("Disk quota exceeded|No space left", full.err), full
    # Everybody else has room: the host beside it, and another pot.
    with open(os.path.join(node.root, "canary"), "wb") as f:
        f.write(bytes(32 * MIB))
        f.flush()
        os.fsync(f.fileno())
    os.unlink(os.path.join(node.root, "canary"))
    node.run("b", "sleep 100000", "-N", "none")
    assert fill(node, "b", 32).status == 0
    # Less than is there is refused, with the number; more does at once.
    result = node.fails("update", "a", "--disk", "8m", "--pids", "77", says="uses")
    assert re.search(r"\d{7}", result.err)
    assert limits(node, "a")["disk"] == 24 * MIB and limits(node, "a")["pids"] == 4096
    node("update", "a", "--disk", "96m")
    assert fill(node, "a", 64).status == 0
    node("exec", "a", "rm", "/big")
    node("restart", "-t", "0", "a")
    assert limits(node, "a")["disk"] == 96 * MIB
    assert fill(node, "a", 128).status != 0
    node("update", "a", "--disk", "0")
    assert limits(node, "a")["disk"] is None
    assert fill(node, "a", 128).status == 0


def test_clone_has_the_quota(quota_node):
    """A clone's files have the quota of its source's, each on its own."""
    node = quota_node
    node.make("a", None, "-N", "none", "--disk", "24m")
    node("clone", "-p", "b", "-P", "a", "-F")
    node("set-cmd", "-p", "b", "-c", "sleep 100000")
    node("start", "b")
    assert limits(node, "b")["disk"] == 24 * MIB
    assert fill(node, "b", 64).status != 0


def test_io_weight(onode):
    """An I/O weight is the kernel's at once, and the usual one again without it."""
    onode.run("a", "sleep 100000", "-N", "none", "--io", "rbps=100m")
    there = os.listdir(group(onode, "a", "blkio"))
    file = next((f for f in ("io.weight", "io.bfq.weight", "blkio.bfq.weight") if f in there), None)
    if file is None:
        onode.fails("update", "a", "--io-weight", "500", says="weight")
        pytest.skip("this kernel has no scheduler with weights (bfq, or the cost model of cgroup v2)")

    def weight():
        return re.search(r"(\d+)$", control(onode, "a", "blkio", file, file).splitlines()[0]).group(1)

    assert weight() == "100"
    onode("update", "a", "--io-weight", "500")
    assert weight() == "500" and limits(onode, "a")["io_weight"] == 500
    onode("restart", "-t", "0", "a")
    assert weight() == "500"
    onode("update", "a", "--io-weight", "0")
    assert weight() == "100" and limits(onode, "a")["io_weight"] is None


# ---- without running

def test_update_stopped(onode):
    """A stopped pot gets its limits with its next start."""
    onode.make("a", "sleep 100000", "-N", "none")
    onode("update", "a", "-M", "99m", "--ulimit", "nofile=77")
    onode("start", "a")
    assert memory_limit(onode, "a") // 4096 == 99 * MIB // 4096
    assert onode.sh("a", "ulimit -n") == "77\n"
    onode("update", "a", "--ulimit", "nofile=default")
    assert onode.sh("a", "ulimit -n") == "1024\n"


def test_set_rss(onode):
    """The classic set-rss sets CPUs and memory, and --clear takes them away."""
    onode.make("a", "sleep 100000", "-N", "none")
    onode("set-rss", "-p", "a", "-C", "1", "-M", "64M")
    assert limits(onode, "a")["cpus"] == 1 and limits(onode, "a")["memory"] == 64 * MIB
    onode("start", "a")
    assert memory_limit(onode, "a") == 64 * MIB
    onode("set-rss", "-p", "a", "--clear")
    assert memory_limit(onode, "a") == 0
    assert limits(onode, "a")["cpus"] is None and limits(onode, "a")["memory"] is None
    onode.fails("set-rss", "-p", "a", status=2)
    onode.fails("set-rss", "-p", "a", "-M", "12x", says="12x")


@pytest.mark.parametrize("options, says", [
    (("-M", "1k"), "at least 4194304"),
    (("-M", "900t"), "at most"),
    (("-C", "70000"), "65536"),
    (("-C", "5000"), "at most"),
    (("--cpu-quota", "0.5"), "at least 1%"),
    (("--cpu-quota", "900000"), "at most"),
    (("--cpu-shares", "1"), "from 2 to 262144"),
    (("--pids", "1"), "from 2"),
    (("--memory-swap", "64m"), "memory must be limited too"),
    (("-M", "64m", "--memory-swap", "32m"), "at least 67108864"),
    (("-M", "64m", "--memory-reservation", "65m"), "at most the memory, 67108864"),
    (("--io-weight", "1001"), "from 1 to 1000"),
    (("--io", "rbps=1"), "at least 4096"),
    (("--ulimit", "nofile=10:5"), "5"),
    (("--ulimit", "nofile=99999999999"), "at most"),
    (("--ulimit", "speed=5"), "speed=5"),
    (("--restart", "sometimes"), "on-failure"),
    (("--restart", "on-failure:0"), "from 1"),
])
def test_refused(onode, options, says):
    """What cannot be is refused with the number that would do, by create and update alike, and changes nothing."""
    onode.fails("create", "-p", "no", "-b", "box", "-N", "none", *options, says=says)
    assert onode.states() == {}
    onode.make("a", "sleep 100000", "-N", "none")
    before = limits(onode, "a")
    onode.fails("update", "a", "--cpu-shares" if "--cpu-shares" not in options else "--pids", "2", *options, says=says)
    assert limits(onode, "a") == before


def test_disk_quota_needs_storage(onode):
    """A storage without quotas says so, with its name."""
    onode.fails("create", "-p", "a", "-b", "box", "--disk", "1g", says="overlay")
    onode.make("a", None, "-N", "none")
    onode.fails("update", "a", "--disk", "1g", says="overlay")
    assert limits(onode, "a")["disk"] is None


def test_less_than_in_use(onode):
    """Less memory or processes than a running pot uses now is refused; the number told does."""
    onode.run("a", "sh -c 'sleep 100000 & sleep 100000 & x=$(head -c 30000000 /dev/zero | tr \"\\0\" x); echo ready; wait'", "-N", "none")
    lab.wait_until(lambda: "ready" in onode.log("a"), "the memory in use")
    result = onode.fails("update", "a", "--pids", "100", "-M", "8m", says="less than pot a uses now")
    assert limits(onode, "a")["pids"] == 4096
    assert memory_limit(onode, "a") == 0
    would_do = re.search(r"at least (\d+)", result.err).group(1)
    onode("update", "a", "-M", would_do)
    assert memory_limit(onode, "a") == int(would_do)
    result = onode.fails("update", "a", "--pids", "2", says="less than pot a uses now")
    onode("update", "a", "--pids", re.search(r"at least (\d+)", result.err).group(1))
    assert onode.info("a")["oom_kills"] == 0


def test_clone_keeps_limits(onode):
    """A clone has the limits of its source, but for those given."""
    onode.make("a", "sleep 100000", "-N", "none", "-M", "64m", "--cpu-shares", "100")
    onode("clone", "-p", "b", "-P", "a", "-F", "--cpu-shares", "200")
    assert limits(onode, "b")["memory"] == 64 * MIB and limits(onode, "b")["cpu_shares"] == 200


def test_nothing_left(onode, cgroups):
    """After a run with every kind of limit no group is left."""
    onode.run("a", "sleep 100000", "-N", "none", "-M", "64m", "-C", "1", "--cpu-quota", "50", "--pids", "50",
              "--io", "rbps=1m")
    paths = [group(onode, "a", c) for c in ("memory", "pids", "cpu", "cpuset", "blkio")]
    assert all(os.path.isdir(p) for p in paths)
    onode("stop", "-t", "0", "a")
    assert not any(os.path.isdir(p) or os.path.isdir(os.path.dirname(p)) for p in paths)
