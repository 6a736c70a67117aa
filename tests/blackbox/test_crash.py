"""A kill at every step of every verb: the next command finds that the verb happened or did not, and nothing else.

The programs under test carry fault points (src/base/fault.h). Each scenario runs once to note the points that the
verb passes, and then once for every pass, killed there by SIGKILL. What is compared are the pots as a user sees
them and everything on the host that a pot could leave.
"""

import collections
import contextlib
import os
import subprocess

import pytest

import lab
import test_limits


def seen(node):
    """The installation as a user sees it, without what differs between two runs (times, ids)."""
    pots = {}
    for name, state in node.states().items():
        info = node.info(name)
        pots[name] = {
            "running": state in ("running", "paused"),
            "paused": state == "paused",
            "base": info["base"], "parent": info["parent"], "command": info["command"], "env": info["env"],
            "hosts": info["hosts"], "hooks": info["hooks"], "hostname": info["hostname"],
            "network": info["network"], "bridges": info["bridges"], "addresses": len(info["addresses"]),
            "published": [(p["protocol"], p["pot_port"]) for p in info["published"]], "mounts": info["mounts"], "attributes": info["attributes"],
            "snapshots": len(info["snapshots"]), "limits": {**info["limits"], "cpu_list": None},
            "rates": (info["net_in"], info["net_out"]),
        }
        if pots[name]["running"] and not pots[name]["paused"]:
            pots[name]["files"] = node.sh(name, "cat /mark /mnt/in/mark 2>/dev/null; true")
    bases = sorted(b["name"] for b in node("--format", "json", "list", "-b").json())
    return {"pots": pots, "bases": bases}


def host(node, cgroups):
    return {"mounts": lab.mounts(), "loops": lab.loops(cgroups.place),
            "processes": cgroups.processes() if not any(s in ("running", "paused") for s in node.states().values())
            else None,
            "groups": len(cgroups.groups()) if not any(s in ("running", "paused") for s in node.states().values())
            else None,
            "files": sorted(os.path.join(d, n) for d in ("", "pots", "bases", "tmp", "userns")
                            if os.path.isdir(os.path.join(node.root, d))
                            for n in os.listdir(os.path.join(node.root, d)))}


def clear(node):
    for name in node.states():
        node("destroy", "-F", name)
    if "back" in [b["name"] for b in node("--format", "json", "network", "ls").json()]:
        node("destroy", "-B", "back")
    if "extra" in [b["name"] for b in node("--format", "json", "list", "-b").json()]:
        node("destroy", "-b", "extra")


def mark(node, name, text):
    with open(os.path.join(node.root, "mark"), "w", encoding="ascii") as f:
        f.write(text)
    node("copy-in", "-p", name, "-s", os.path.join(node.root, "mark"), "-d", "/mark")
    os.unlink(os.path.join(node.root, "mark"))


def made(node):
    node.make("a", "sleep 100000")


def stopped(node):
    made(node)
    node("start", "a")
    node("stop", "-t", "0", "a")


def running(node):
    made(node)
    node("start", "a")


def paused(node):
    running(node)
    node("pause", "a")


def with_snapshots(node):
    made(node)
    mark(node, "a", "one")
    node("snapshot", "-n", "t1", "a")
    mark(node, "a", "two")
    node("snapshot", "-n", "t2", "a")
    mark(node, "a", "three")


def with_hooks(node):
    made(node)
    hook = os.path.join(node.root, "hook")
    with open(hook, "w", encoding="ascii") as f:
        f.write("#!/bin/sh\nexit 0\n")
    os.chmod(hook, 0o755)
    node("set-hook", "-p", "a", "-s", hook, "-S", hook, "-t", hook, "-T", hook)
    os.unlink(hook)


RATES = ("--net-in", "8m", "--net-out", "16m")
NETWORK = ("-S", "dual", "-B", "public", "-B", "back", "--publish", "18080:80", "--publish", ":53/udp")


def bridge(node):
    if "back" not in [b["name"] for b in node("--format", "json", "network", "ls").json()]:
        node("create-private-bridge", "-B", "back", "-S", "10")


def made_on_bridges(node):
    bridge(node)
    node.make("a", "sleep 100000", *NETWORK)


def running_on_bridges(node):
    made_on_bridges(node)
    node("start", "a")


def limited_on_bridges(node):
    bridge(node)
    node.run("a", "sleep 100000", *NETWORK, *RATES, "-M", "64m")


def snapshot_on_bridges(node):
    running_on_bridges(node)
    node("stop", "-t", "0", "a")
    node("snapshot", "-n", "t", "a")


def flushed(node):
    """The rules are gone from under a running pot when the next one starts."""
    running_on_bridges(node)
    node.make("b", "sleep 100000", "-N", "public-bridge")
    subprocess.run(["nft", "flush", "ruleset"], check=True)


def started_with(node, name):
    """The ports of a run: {"PROTOCOL-HOSTPORT"}."""
    with contextlib.suppress(FileNotFoundError), \
            open(os.path.join(node.root, "pots", name, "etc", "published"), encoding="ascii") as f:
        return {line.split("/")[1].strip() + "-" + line.split(":")[0] for line in f}
    return set()


def check_network(node):
    """Addresses, ports, links, elements and names are those of the pots that there are, no more and no less."""
    pots = {name: node.info(name) for name in node.states()}
    up = {name: info for name, info in pots.items() if info["pid"] is not None and info["bridges"]}
    lab.wait_until(lambda: len(lab.network(node)["links"]) == sum(len(i["bridges"]) for i in up.values()),
                   "the end of links")
    for info in up.values():
        assert lab.rates(info["pid"]) == (info["net_in"], info["net_out"])
    found = lab.network(node)
    leases = sorted(f"net/leases/{a['bridge']}/{a['address']}" for i in pots.values() if i["bridges"]
                    for a in i["addresses"])
    running = {port for name in up for port in started_with(node, name)}
    ports = sorted(f"net/ports/{port}/any" for port in
                   running | {f"{p['protocol']}-{p['host_port']}" for i in pots.values() for p in i["published"]})
    indexes = sorted(f"net/pots/{i['id']}" for i in pots.values() if i["bridges"])
    assert found["records"] == sorted(leases + ports + indexes)

    def elements(*names):
        return sum(len(e) for name, e in found["elements"].items() if name.split()[1] in names)

    addresses = [a["address"] for i in up.values() for a in i["addresses"]]
    six = [a for a in addresses if ":" in a]
    assert elements("source4") == len(addresses) - len(six), found
    assert elements("source6") == 2 * len(six), found  # and its link-local address
    assert elements("port4", "port6") == 2 * len(running), found
    hosts = os.path.join(node.root, "net", "hosts")
    for name in os.listdir(hosts):
        if name[0] == ".":
            continue
        own = {i["id"] for i in up.values() if name in i["bridges"] and (len(i["bridges"]) > 1 or i["hosts"])}
        assert set(os.listdir(os.path.join(hosts, name))) - {"shared"} == own, name
        with open(os.path.join(hosts, name, "shared"), encoding="ascii") as f:
            tags = {line.split("#")[1].strip() for line in f if "#" in line and line[0] != "#"}
        assert tags == {i["id"] for i in up.values() if name in i["bridges"]}, name


def source(node):
    directory = os.path.join(os.path.dirname(node.root), os.path.basename(node.root) + "-in")
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, "mark"), "w", encoding="ascii") as f:
        f.write("in")
    return directory


def running_with_mount(node):
    running(node)
    node("mount-in", "-p", "a", "-d", source(node), "-m", "/mnt/in")


def box_of(node):
    return os.path.join(os.path.dirname(node.program), os.pardir, "box")


SCENARIOS = {
    "create": (lambda node: None, lambda node: ["create", "-p", "a", "-b", "box", "-N", "inherit"]),
    "clone": (with_snapshots, lambda node: ["clone", "-p", "b", "-P", "a"]),
    "clone-now": (made, lambda node: ["clone", "-F", "-p", "b", "-P", "a"]),
    "start": (with_hooks, lambda node: ["start", "a"]),
    "start-snapshot": (made, lambda node: ["start", "-s", "a"]),
    "start-attached": (made, lambda node: ["start", "-a", "a"]),
    "stop": (running, lambda node: ["stop", "-t", "1", "a"]),
    "restart": (running, lambda node: ["restart", "-t", "1", "a"]),
    "pause": (running, lambda node: ["pause", "a"]),
    "unpause": (paused, lambda node: ["unpause", "a"]),
    "snapshot": (made, lambda node: ["snapshot", "-n", "t", "a"]),
    "rollback": (with_snapshots, lambda node: ["rollback", "-n", "t1", "a"]),
    "purge-snapshots": (with_snapshots, lambda node: ["purge-snapshots", "-a", "a"]),
    "rename": (with_snapshots, lambda node: ["rename", "-p", "a", "-n", "b"]),
    "destroy": (with_snapshots, lambda node: ["destroy", "a"]),
    "destroy-running": (running, lambda node: ["destroy", "-F", "a"]),
    "set-env": (made, lambda node: ["set-env", "-p", "a", "-E", "K=V"]),
    "set-cmd": (made, lambda node: ["set-cmd", "-p", "a", "-c", "sleep 1"]),
    "set-hosts": (made, lambda node: ["set-hosts", "-p", "a", "-H", "h:192.0.2.1"]),
    "set-attribute": (made, lambda node: ["set-attribute", "-p", "a", "-A", "prunable", "-V", "YES"]),
    "mount-in": (running, lambda node: ["mount-in", "-p", "a", "-d", source(node), "-m", "/mnt/in"]),
    "mount-out": (running_with_mount, lambda node: ["mount-out", "-p", "a", "-m", "/mnt/in"]),
    "create-base": (lambda node: None, lambda node: ["create-base", "-b", "extra", "--from", box_of(node)]),
}
# The same with limits, in which every controller takes part.
LIMITS = ("-M", "64m", "-C", "1", "--cpu-quota", "50", "--pids", "50", "--io", "rbps=1m")
LIMITED = {
    "create": (lambda node: None, lambda node: ["create", "-p", "a", "-b", "box", "-N", "inherit", *LIMITS]),
    "start": (lambda node: node.make("a", "sleep 100000", "-N", "inherit", *LIMITS), lambda node: ["start", "a"]),
    "stop": (lambda node: node.run("a", "sleep 100000", "-N", "inherit", *LIMITS),
             lambda node: ["stop", "-t", "1", "a"]),
    "update": (running, lambda node: ["update", "a", *LIMITS]),
    "update-back": (lambda node: node.run("a", "sleep 100000", "-N", "inherit", *LIMITS),
                    lambda node: ["update", "a", "-M", "0", "-C", "0", "--cpu-quota", "0", "--pids", "default",
                                  "--io", "default"]),
    "update-stopped": (stopped, lambda node: ["update", "a", *LIMITS]),
}
# The same with a network of the pot's own.
BRIDGED = {
    "create": (bridge, lambda node: ["create", "-p", "a", "-b", "box", *NETWORK]),
    "clone": (snapshot_on_bridges, lambda node: ["clone", "-p", "b", "-P", "a"]),
    "start": (made_on_bridges, lambda node: ["start", "a"]),
    "start-flushed": (flushed, lambda node: ["start", "b"]),
    "stop": (running_on_bridges, lambda node: ["stop", "-t", "1", "a"]),
    "destroy": (snapshot_on_bridges, lambda node: ["destroy", "a"]),
    "destroy-running": (running_on_bridges, lambda node: ["destroy", "-F", "a"]),
    "export-ports": (made_on_bridges, lambda node: ["export-ports", "-p", "a", "-e", "81:18081", "-e", "82"]),
    "update": (running_on_bridges, lambda node: ["update", "a", "-M", "64m", *RATES]),
    "update-back": (limited_on_bridges, lambda node: ["update", "a", "-M", "0", "--net-in", "0", "--net-out", "4m"]),
    "export-ports-running": (running_on_bridges, lambda node: ["export-ports", "-p", "a", "-e", "81:18081"]),
}
# A verb of several: each of its parts may have happened.
PARTS = {"restart": ["stop"], "clone-now": ["snapshot"], "start-snapshot": ["snapshot"],
         "purge-snapshots": ["one"], "destroy-running": ["stop"]}


def settle(node, cgroups):
    """The next command, whatever it is; a run that ended cleans itself up beside it."""
    node.call("ps", "-a")
    node.call("prune")
    def quiet():
        states = node.states()
        if any(s in ("starting", "stopping") for s in states.values()):
            return False
        return any(s in ("running", "paused") for s in states.values()) or not cgroups.processes()
    lab.wait_until(quiet, "the end of what the killed command had begun", seconds=60)


def without(state, keys):
    """The same look with some properties of the pots left out."""
    return {"bases": state["bases"],
            "pots": {n: {k: v for k, v in p.items() if k not in keys} for n, p in state["pots"].items()}}


def is_allowed(verb, now, before, after):
    if now in (before, after):
        return True
    if verb not in PARTS:
        return False
    # A part more than before, nothing that neither has.
    loose = ("snapshots", "running", "files")
    return without(now, loose) in (without(before, loose), without(after, loose))


# Verbs in which the storage takes part run on each of them, the others on one.
STORED = ("create", "clone", "clone-now", "start", "start-snapshot", "snapshot", "rollback", "purge-snapshots",
          "rename", "destroy", "destroy-running", "create-base")


@pytest.mark.parametrize("verb", STORED)
def test_killed_at_every_step(node, cgroups, verb, tmp_path):
    """Each verb, killed at each of its steps, has happened or has not, and nothing of it is left."""
    kill_at_every_step(node, cgroups, verb, tmp_path)


@pytest.mark.parametrize("verb", sorted(set(SCENARIOS) - set(STORED)))
def test_killed_at_every_step_of_settings(onode, cgroups, verb, tmp_path):
    """The same for the verbs that leave the storage alone."""
    kill_at_every_step(onode, cgroups, verb, tmp_path)


@pytest.mark.parametrize("verb", sorted(BRIDGED))
def test_killed_at_every_step_on_bridges(onode, cgroups, verb, tmp_path):
    """The same with bridges and published ports: no address, port, link, rule or name is left, lost or given twice."""
    kill_at_every_step(onode, cgroups, verb, tmp_path, BRIDGED, check_network)


@pytest.mark.parametrize("verb", sorted(LIMITED))
def test_killed_at_every_step_of_limits(onode, cgroups, verb, tmp_path):
    """The same for limits: the kernel has those that pot tells, all old or all new, and no group is left."""
    kill_at_every_step(onode, cgroups, verb, tmp_path, LIMITED, check_limits)


def check_limits(node):
    """What the kernel limits a running pot to is what pot says."""
    for name, state in node.states().items():
        if state != "running":
            continue
        said = node.info(name)["limits"]
        assert test_limits.memory_limit(node, name) == (said["memory"] or 0)
        assert test_limits.control(node, name, "pids", "pids.max", "pids.max") == str(said["pids"])
        mask = node.sh(name, "grep Cpus_allowed_list /proc/self/status").split()[1]
        assert mask == (said["cpu_list"] or test_limits.all_cpus())
        for controller, v1, v2, none in (("cpu", "cpu.cfs_quota_us", "cpu.max", ("-1", "max 100000")),
                                         ("blkio", "blkio.throttle.read_bps_device", "io.max", ("", ""))):
            try:
                text = test_limits.control(node, name, controller, v1, v2)
            except AssertionError:  # never limited: no group
                text = none[0]
            limited = said["cpu_quota"] if controller == "cpu" else said["io"]
            assert (text not in none) == bool(limited), text


def kill_at_every_step(node, cgroups, verb, tmp_path, scenarios=None, check=lambda node: None):
    setup, command = (scenarios or SCENARIOS)[verb]
    log = tmp_path / "points"
    setup(node)
    before, host_before = seen(node), host(node, cgroups)
    process = node.start(*command(node), env={"POT_FAULT_LOG": str(log)})
    if verb == "start-attached":
        lab.wait_until(lambda: node.states().get("a") == "running", "the start")
        node("kill", "-s", "KILL", "a")
    process.communicate(timeout=lab.HANG)
    settle(node, cgroups)
    after = seen(node)
    passes = collections.Counter()
    points = []
    for name in log.read_text().split():
        passes[name] += 1
        points.append((name, passes[name]))
    assert points, "the verb passes no fault point"
    clear(node)
    for name, count in points:
        setup(node)
        host_before = host(node, cgroups)
        process = node.start(*command(node), env={"POT_FAULT": f"{name}:{count}"})
        if verb == "start-attached" and name.startswith(("walk-back", "start.running")):
            lab.wait_until(lambda: node.states().get("a") == "running" or process.poll() is not None, "the start")
            node.call("kill", "-s", "KILL", "a")
        process.communicate(timeout=lab.HANG)
        settle(node, cgroups)
        now = seen(node)
        if verb != "start-flushed":  # killed early, it has brought nothing back yet: the next start does
            check(node)
        assert is_allowed(verb, now, before, after), f"killed at {name}:{count}\n{now}\nbefore {before}\nafter {after}"
        host_now = host(node, cgroups)
        if now == before:
            assert host_now == host_before, f"killed at {name}:{count}"
        assert host_now["mounts"] == host_before["mounts"] or node.storage == "zfs", f"killed at {name}:{count}"
        assert host_now["loops"] == host_before["loops"]
        if not any(p["running"] for p in now["pots"].values()):
            assert cgroups.processes() == {} and cgroups.groups() == [], f"killed at {name}:{count}"
        # Alive afterwards: the same verb again, or the whole life.
        for pot, p in now["pots"].items():
            if not p["running"] and verb == "start-flushed":
                assert node.call("start", pot).status == 0  # with a warning that rules were taken away
            elif not p["running"]:
                node("start", pot)
            elif p["paused"]:
                node("unpause", pot)
            assert node.sh(pot, "echo alive") == "alive\n"
        check(node)
        clear(node)
        check(node)
