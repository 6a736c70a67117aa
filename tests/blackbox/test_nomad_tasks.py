"""Tasks of Nomad are pots: what an agent may do with them, over the plugin's socket, with real pots of busybox."""

import concurrent.futures
import os
import re
import shutil
import subprocess
import threading
import uuid

import pytest

import lab
import nomad_client
from nomad_client import failure, pack
from registry_lab import Registry

BOX = "box:1"
DRV_GROUP = 1
FREEZER = "/sys/fs/cgroup/freezer"


class Agent:
    """An agent of one node: a plugin, and the directories and pipes that tasks are given."""

    def __init__(self, node, place):
        self.node, self.place = node, place
        self.program = os.path.join(os.path.dirname(node.program), "nomad-pot-driver")
        self.plugin = self.client = None
        self.config = {}

    def start(self, **config):
        self.plugin = nomad_client.Plugin(self.program, prefix=self.node.prefix)
        self.client = self.plugin.connect()
        self.config = config or self.config
        self.client("SetConfig", msgpack_config=pack({"root": self.node.root, **self.config}),
                    nomad_config={"driver": {"client_min_port": 1, "client_max_port": 2}})
        self.client("Init")
        return self

    def leave(self):
        if self.plugin is not None and self.plugin.process.returncode is None:
            self.plugin.shutdown()

    def crash(self):
        self.plugin.kill()

    def task(self, *command, **more):
        return Task(self, command, **more)


class Task:
    def __init__(self, agent, command, image=BOX, name="web", alloc=None, config=None, env=None, **fields):
        self.agent, self.name = agent, name
        self.alloc = alloc or str(uuid.uuid4())
        self.id = f"{self.alloc}/{name}/{uuid.uuid4().hex[:8]}"
        self.directory = os.path.join(agent.place, self.alloc)
        for part in ("alloc/logs", "alloc/data", f"{name}/local", f"{name}/secrets"):
            os.makedirs(os.path.join(self.directory, part), exist_ok=True)
        for path in ("alloc", "alloc/data", f"{name}/local", f"{name}/secrets"):
            os.chmod(os.path.join(self.directory, path), 0o777)
        self.out, self.err = (os.path.join(self.directory, "alloc/logs", name + "." + s) for s in ("out", "err"))
        for path in (self.out, self.err):
            open(path, "wb").close()
        words = {} if not command else {"command": command[0], "args": list(command[1:])}
        self.config = {"image": image, "network_mode": "host", **words, **(config or {})}
        self.fields = {
            "id": self.id, "name": name, "alloc_id": self.alloc, "alloc_dir": self.directory, "stdout_path": self.out,
            "stderr_path": self.err, "job_name": "job", "job_id": "job", "node_id": "node-1", "task_group_name": "group",
            "env": {"NOMAD_ALLOC_DIR": "/alloc", "NOMAD_TASK_DIR": "/local", "NOMAD_SECRETS_DIR": "/secrets", **(env or {})},
            "resources": {"allocated_resources": {"cpu": {"cpu_shares": 100}, "memory": {"memory_mb": 64}}}, **fields}

    def request(self):
        return {**self.fields, "msgpack_driver_config": pack(self.config)}

    def start(self):
        self.started = self.agent.client("StartTask", task=self.request())
        return self

    def fails(self):
        return failure(self.agent.client, "StartTask", task=self.request())

    def wait(self):
        return self.agent.client("WaitTask", task_id=self.id).result

    def run(self):
        """Its exit code, after its destruction."""
        self.start()
        code = self.wait().exit_code
        self.destroy()
        return code

    def stop(self, seconds=60, signal=""):
        self.agent.client("StopTask", task_id=self.id, timeout={"seconds": seconds}, signal=signal)

    def destroy(self):
        self.agent.client("DestroyTask", task_id=self.id, force=True)

    def recover(self):
        """After the agent's restart: the driver's configuration is not kept."""
        handle = self.started.handle
        handle.config.msgpack_driver_config = b""
        self.agent.client("RecoverTask", task_id="", handle=handle)

    def exec(self, *command, **more):
        return self.agent.client.exec(self.id, *command, **more)

    def sh(self, script):
        x = self.exec("sh", "-c", script)
        x.close_input()
        status, out, err = x.finish()
        assert status == 0, (status, out, err)
        return out.decode()

    def inspect(self):
        return self.agent.client("InspectTask", task_id=self.id)

    def pot(self):
        return self.inspect().driver.attributes["pot"]

    def output(self):
        with open(self.out, encoding="utf-8") as f:
            return f.read()


@pytest.fixture(scope="module")
def image(overlay_installation):
    """box:1, and what is run where nothing else is said: a line, then sleep."""
    node = overlay_installation
    node("create", "-p", "seed", "-b", "box", "-N", "inherit")
    node("set-cmd", "-p", "seed", "-c", "sh -c 'echo from the image; exec sleep 100000'")
    node("commit", "-p", "seed", "-t", BOX)
    node("destroy", "seed")
    yield node
    node("rmi", BOX)


@pytest.fixture
def agent(image, onode, tmp_path_factory):
    # Not below the directory of other tests: a root of the host's that others may enter.
    place = os.path.join(os.path.dirname(onode.program), "nomad")
    os.makedirs(place, exist_ok=True)
    a = Agent(onode, place).start()
    yield a
    a.leave()


# ---- life -------------------------------------------------------------------------


def test_a_task_is_a_pot_from_start_to_end(agent):
    task = agent.task("sh", "-c", "echo $GREETING; ls -d /alloc /local /secrets; touch /local/made /alloc/data/made; exit 7",
                      env={"GREETING": "hello there"}).start()
    handle = task.started.handle
    assert handle.version >= 1 and handle.config.id == task.id and handle.driver_state
    result = task.wait()
    assert (result.exit_code, result.signal, result.oom_killed) == (7, 0, False)
    assert task.output() == "hello there\n/alloc\n/local\n/secrets\n"
    assert os.path.exists(os.path.join(task.directory, "web/local/made"))
    assert task.wait().exit_code == 7
    status = task.inspect().task
    assert status.state == 2 and status.completed_at.seconds >= status.started_at.seconds > 0
    task.destroy()
    assert agent.node.states() == {}
    assert failure(agent.client, "WaitTask", task_id=task.id)[0] != "OK"


def test_its_pipes_are_its_own(agent):
    task = agent.task("sh", "-c", "echo one; echo two > /dev/stdout; echo three > /dev/stderr")
    for path in (task.out, task.err):
        os.unlink(path)
        os.mkfifo(path, 0o600)
    read = {}

    def collect(path):
        with open(path, "rb") as f:
            read[path] = f.read()

    readers = [threading.Thread(target=collect, args=(path,)) for path in (task.out, task.err)]
    for r in readers:
        r.start()
    assert task.run() == 0
    for r in readers:
        r.join(lab.HANG)
    assert read == {task.out: b"one\ntwo\n", task.err: b"three\n"}


def test_image_says_what_runs(agent):
    task = agent.task().start()
    lab.wait_until(lambda: task.output() == "from the image\n", "the image's command")
    task.stop(0)
    assert task.wait().exit_code == 137
    task.destroy()
    task = agent.task("a b", "$x", "'y'", config={"entrypoint": ["printf", "[%s]"]})
    assert task.run() == 0 and task.output() == "[a b][$x]['y']"


def test_stop_signals_then_kills(agent):
    script = "trap 'echo asked; exit 3' INT; echo up; while :; do sleep 0.05; done"
    task = agent.task("sh", "-c", script).start()
    lab.wait_until(lambda: task.output() == "up\n", "the trap")
    task.stop(signal="SIGINT")
    assert task.wait().exit_code == 3 and task.output() == "up\nasked\n"
    task.destroy()
    deaf = agent.task("sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done").start()
    lab.wait_until(lambda: deaf.output() == "up\n", "the trap")
    deaf.stop(1)
    result = deaf.wait()
    assert (result.exit_code, result.signal) == (137, 9)
    # Once more, of what is dead, gone, and never was.
    deaf.stop()
    deaf.destroy()
    deaf.stop()
    deaf.destroy()
    agent.client("StopTask", task_id="nobody/knows/it")
    agent.client("DestroyTask", task_id="nobody/knows/it", force=True)


def test_signal_reaches_the_command(agent):
    task = agent.task("sh", "-c", "trap 'echo hup' HUP; echo up; while :; do sleep 0.05; done").start()
    lab.wait_until(lambda: task.output() == "up\n", "the trap")
    agent.client("SignalTask", task_id=task.id, signal="SIGHUP")
    lab.wait_until(lambda: task.output() == "up\nhup\n", "the signal")
    assert "NOSUCH" in failure(agent.client, "SignalTask", task_id=task.id, signal="SIGNOSUCH")[1]
    task.stop(0)
    task.destroy()


def test_names_of_tasks_are_no_names_of_pots(agent):
    for name in ("web.v2", "ein-sehr-langer-name-der-in-keinen-pot-passt", "käse", "-x"):
        task = agent.task("true", name=name)
        assert task.run() == 0, name


def test_a_task_started_again_takes_the_place(agent):
    task = agent.task("sleep", "100000").start()
    agent.crash()
    agent.start()
    task.config.update(command="sh", args=["-c", "exit 5"])
    assert task.run() == 5


# ---- recovery -----------------------------------------------------------------------


def test_plugin_killed_task_goes_on(agent):
    script = "echo up; while [ ! -e /local/go ]; do sleep 0.05; done; exit 9"
    task = agent.task("sh", "-c", script).start()
    ended = agent.task("sh", "-c", "while [ ! -e /local/go ]; do sleep 0.05; done; exit 11").start()
    pid = agent.node.info(task.pot())["pid"]
    agent.crash()
    open(os.path.join(ended.directory, "web/local/go"), "w", encoding="ascii").close()
    agent.node.call("wait", next(name for name in agent.node.states() if ended.alloc in name))
    agent.start()
    task.recover()
    ended.recover()
    assert ended.wait().exit_code == 11
    assert task.inspect().task.state == 1 and agent.node.info(task.pot())["pid"] == pid
    assert task.sh("echo in").strip() == "in"
    open(os.path.join(task.directory, "web/local/go"), "w", encoding="ascii").close()
    assert task.wait().exit_code == 9
    task.destroy()
    ended.destroy()


def test_what_cannot_be_recovered_is_destroyed_by_its_id(agent):
    task = agent.task("sleep", "100000").start()
    agent.crash()
    agent.start()
    handle = task.started.handle
    handle.driver_state = b"format=99\n"
    assert "another version" in failure(agent.client, "RecoverTask", handle=handle)[1]
    assert agent.node.states() != {}
    task.destroy()
    assert agent.node.states() == {}
    handle = task.started.handle
    handle.driver_state = task.started.handle.driver_state
    assert failure(agent.client, "RecoverTask", handle=handle)[0] != "OK"


def test_agent_comes_back_to_a_plugin_that_runs(agent):
    task = agent.task("sleep", "100000").start()
    second = agent.plugin.connect()
    second("Init")
    second("RecoverTask", handle=task.started.handle)
    assert second("InspectTask", task_id=task.id).task.state == 1
    task.stop(0)
    assert second("WaitTask", task_id=task.id).result.exit_code == 137
    task.destroy()


# ---- commands in a task ---------------------------------------------------------------


def test_exec(agent):
    task = agent.task("sleep", "100000", env={"OF_TASK": "yes"}, user="alice").start()
    x = task.exec("sh", "-c", "echo $OF_TASK; id -u; echo bad >&2; head -n1; exit 43")
    x.type(b"typed\nmore\n")
    assert x.finish() == (43, b"yes\n1000\ntyped\n", b"bad\n")
    x = task.exec("nosuch")
    x.close_input()
    status, out, err = x.finish()
    assert (status, out) == (127, b"") and b"nosuch" in err
    once = agent.client("ExecTask", task_id=task.id, command=["sh", "-c", "echo out; echo err >&2; exit 4"])
    assert once.result.exit_code == 4
    x = task.exec("sh", "-c", "stty size; read x; stty size; exit 6", tty=True)
    x.resize(30, 100)
    x.type(b"\n")
    status, out, _ = x.finish()
    assert status == 6 and out.endswith(b"30 100\r\n")
    x = task.exec("sh", "-c", "echo $$; exec sleep 200000")
    x.until(lambda: bytes(x.out).endswith(b"\n"))
    pid = bytes(x.out).decode().strip()
    assert pid in task.sh("ps -o pid").split()
    x.call.cancel()
    lab.wait_until(lambda: pid not in task.sh("ps -o pid").split(), "the end of what was given up")
    task.stop(0)
    task.destroy()


@pytest.mark.skipif(not os.path.exists(FREEZER), reason="no freezer of cgroup v1 on this host")
def test_commands_are_in_the_agents_group(agent):
    task = agent.task("sh", "-c", "sleep 100000 & wait").start()
    group = f"{FREEZER}/nomad/{task.alloc}.{task.name}"
    with open(group + "/cgroup.procs", encoding="ascii") as f:
        assert len(f.read().split()) >= 2
    assert f"/nomad/{task.alloc}.{task.name}" in task.sh("grep :freezer: /proc/self/cgroup")
    task.destroy()
    assert not os.path.exists(group)


# ---- what a job may ask for --------------------------------------------------------------


def test_walls_limits_and_names(agent):
    task = agent.task("sleep", "100000", config={
        "hostname": "walled", "working_dir": "/var/tmp", "readonly_rootfs": True, "tmpfs": ["/run:size=1m"],
        "cap_drop": ["all"], "cap_add": ["CHOWN"], "ulimit": [{"nofile": "123:456"}], "pids_limit": 50,
        "labels": [{"team": "blue"}], "extra_hosts": ["db:192.0.2.7"], "sysctl": [{"kernel.msgmax": "4096"}],
        "attributes": ["no_new_privs:YES"], "dns": ["192.0.2.53"], "dns_search": ["example.org"]},
        dns={"options": ["ndots:2"]}).start()
    assert task.sh("hostname; pwd; ulimit -n; cat /proc/sys/kernel/msgmax") == "walled\n/var/tmp\n123\n4096\n"
    assert "192.0.2.7" in task.sh("grep db /etc/hosts")
    assert task.sh("cat /etc/resolv.conf") == "nameserver 192.0.2.53\nsearch example.org\noptions ndots:2\n"
    assert task.sh("touch /x 2>/dev/null || echo no; touch /run/x && echo yes") == "no\nyes\n"
    info = agent.node.info(task.pot())
    assert "team=blue" in info["labels"] and f"io.pot.nomad.task_id={task.id}" in info["labels"]
    assert info["capabilities"] == ["chown"] and info["limits"]["pids"] == 50
    assert info["limits"]["memory"] == 64 << 20 and info["limits"]["cpu_shares"] == 100
    task.stop(0)
    task.destroy()


def test_mounts(agent):
    host = os.path.join(agent.place, "host")
    os.makedirs(host, exist_ok=True)
    os.chmod(host, 0o777)
    with open(os.path.join(host, "data"), "w", encoding="ascii") as f:
        f.write("of the host\n")
    task = agent.task(
        "sh", "-c", "cat /ro/data /copied; touch /ro/x 2>/dev/null || echo ro; touch /vol/x /given/y && echo rw",
        config={"mount_read_only": [f"{host}:/ro"], "volumes": ["local:/vol"], "copy": [f"{host}/data:/copied"]},
        mounts=[{"host_path": host, "task_path": "/given"}])
    assert task.run() == 0
    assert task.output() == "of the host\nof the host\nro\nrw\n"
    assert os.path.exists(os.path.join(task.directory, "web/local/x")) and os.path.exists(os.path.join(host, "y"))
    agent.leave()
    agent.start(volumes={"enabled": False})
    status, text, again = agent.task("true", config={"mount": [f"{host}:/x"]}).fails()
    assert "volumes { enabled = false }" in text and not again
    os.symlink(host, os.path.join(task.directory, "web/local/way-out"))
    sly = agent.task("true", alloc=task.alloc, config={"volumes": ["local/way-out:/x"]})
    assert "outside of the allocation's directory" in sly.fails()[1]
    assert agent.node.states() == {}


@pytest.mark.parametrize("config, text", [
    ({"image": "http://127.0.0.1:1/x"}, "pot is not given"),
    ({"image": "a b"}, "image"),
    ({"mount": ["nonsense"]}, "'nonsense' is not SOURCE:/TARGET"),
    ({"attributes": ["x"]}, "not NAME:VALUE"),
    ({"attributes": ["nosuch:1"]}, "there is no such attribute"),
    ({"network_mode": "token-ring"}, "host, none, public-bridge"),
    ({"network_mode": "alias"}, "needs an address"),
    ({"privileged": True}, "allow_privileged = true"),
    ({"cap_add": ["nosuch"]}, "cap_add"),
    ({"ports": ["http"], "network_mode": "public-bridge"}, "no port with the label http"),
    ({"port_map": [{"http": "eighty"}]}, "port_map"),
    ({"command": "nosuch"}, "nosuch"),
    ({"mount": ["/nosuch:/x"]}, "/nosuch"),
])
def test_mistakes_of_a_job_are_told_and_final(agent, config, text):
    status, message, again = agent.task("true", config=config).fails()
    assert text in message and not again, (status, message)
    assert agent.node.states() == {}


def test_mistakes_of_the_agent_are_told(agent):
    other = nomad_client.Plugin(agent.program)
    client = other.connect()
    for config, text in (({"root": "relative"}, "root"), ({"log_level": "loud"}, "log_level"),
                         ({"allow_caps": ["nosuch"]}, "allow_caps"), ({"image_pull_timeout": "soon"}, "image_pull_timeout"),
                         ({"gc": {"dangling_pots": {"period": "0s"}}}, "period")):
        assert text in failure(client, "SetConfig", msgpack_config=pack(config))[1]
    other.shutdown()


def test_a_failed_start_leaves_nothing_and_a_kept_pot_is_kept(agent):
    assert "nosuch" in agent.task("nosuch", config={"network_mode": "private-bridge"}).fails()[1]
    assert agent.node.states() == {} and len(agent.node("--quiet", "list", "-B").out.split()) == 1
    task = agent.task("sh", "-c", "exit 3", config={"keep_failed": True}).start()
    task.wait()
    task.destroy()
    assert list(agent.node.states().values()) == ["stopped"]
    assert agent.task("sh", "-c", "exit 0", config={"keep_failed": True}).run() == 0
    assert len(agent.node.states()) == 1
    agent.node("prune")
    assert agent.node.states() == {}


def test_out_of_memory_is_told(agent):
    result = agent.task("sh", "-c", "tail /dev/zero", resources={
        "allocated_resources": {"cpu": {"cpu_shares": 100}, "memory": {"memory_mb": 16}}}).start()
    end = result.wait()
    assert end.oom_killed and end.exit_code == 137
    result.destroy()


def test_stats_until_the_end(agent):
    task = agent.task("sleep", "100000").start()
    stream = agent.client("TaskStats", task_id=task.id, collection_interval={"nanos": 100000000})
    for _ in range(3):
        stats = next(stream).stats
        assert stats.agg_resource_usage.memory.usage > 0 and stats.timestamp.seconds > 0
        assert stats.agg_resource_usage.cpu.percent >= 0
    task.stop(0)
    for _ in stream:
        pass
    task.destroy()


# ---- networks ---------------------------------------------------------------------------


def ports(*rows):
    return {"allocated_resources": {"cpu": {"cpu_shares": 100}, "memory": {"memory_mb": 64}},
            "ports": [dict(zip(("label", "value", "to", "host_ip"), row)) for row in rows]}


def test_ports_are_published_and_named(agent):
    port = 23456
    task = agent.task("httpd", "-f", "-p", "80", "-h", "/etc", config={"network_mode": None, "ports": ["http"]},
                      resources=ports(("http", port, 80, "127.0.0.1"))).start()
    address = task.started.network_override
    assert re.fullmatch(r"10\.\d+\.\d+\.\d+", address.addr) and dict(address.port_map) == {"http": 80}
    assert not address.auto_advertise
    assert "root:" in subprocess.run(["curl", "-s", "--retry", "9", "--retry-connrefused", f"http://127.0.0.1:{port}/passwd"],
                                     capture_output=True, text=True, check=True).stdout
    task.stop(0)
    task.destroy()
    old = agent.task("sh", "-c", "echo $NOMAD_PORT_http", config={"network_mode": None, "port_map": [{"http": "81"}]},
                     env={"NOMAD_HOST_PORT_http": str(port)})
    assert old.run() == 0 and old.output() == "81\n"


def test_tasks_of_an_allocation_meet_on_a_bridge_of_their_own(agent):
    def bridges():
        return [line for line in agent.node("--quiet", "list", "-B").out.split() if line != "public"]

    first = agent.task("httpd", "-f", "-p", "80", "-h", "/etc", name="first", config={"network_mode": "private-bridge"}).start()
    second = agent.task("sleep", "100000", name="second", alloc=first.alloc, config={"network_mode": "private-bridge"}).start()
    stranger = agent.task("sleep", "100000", config={"network_mode": "private-bridge"}).start()
    assert len(bridges()) == 2
    assert "root:" in second.sh("wget -q -O - http://first/passwd")
    assert stranger.sh("wget -q -T 3 -O - http://first/passwd 2>/dev/null || echo no") == "no\n"
    agent.crash()
    agent.start()
    for task in (stranger, first):
        task.destroy()
    assert len(bridges()) == 1
    second.destroy()
    assert bridges() == []


def test_network_of_the_agents(agent):
    alloc = str(uuid.uuid4())
    made = agent.client("CreateNetwork", alloc_id=alloc, hostname="h")
    assert made.created and made.isolation_spec.labels["pot_bridge"].startswith("nmd-")
    assert not agent.client("CreateNetwork", alloc_id=alloc).created
    task = agent.task("sleep", "100000", alloc=alloc, config={"network_mode": None},
                      network_isolation_spec={"mode": DRV_GROUP, "labels": made.isolation_spec.labels}).start()
    assert agent.node.info(task.pot())["bridges"] == [made.isolation_spec.labels["pot_bridge"]]
    task.destroy()
    agent.client("DestroyNetwork", alloc_id=alloc, isolation_spec=made.isolation_spec)
    agent.client("DestroyNetwork", alloc_id=alloc)


def test_joins_a_namespace_that_is_there(agent):
    with subprocess.Popen(["unshare", "-n", "sh", "-c", "ip link set lo up && ip link add given0 type veth peer name given1 && "
                           "echo up && exec sleep 100000"], stdout=subprocess.PIPE) as owner:
        assert owner.stdout.readline() == b"up\n"
        spec = {"mode": DRV_GROUP, "path": f"/proc/{owner.pid}/ns/net", "hosts_config": {"hostname": "given", "address": "192.0.2.1"}}
        task = agent.task("httpd", "-f", "-p", "80", "-h", "/etc", config={"network_mode": None},
                          network_isolation_spec=spec).start()
        assert task.sh("ls /sys/class/net | sort") == "given0\ngiven1\nlo\n" and "given" in task.sh("cat /etc/hosts")
        # The other tasks of the allocation share it, also low ports.
        other = agent.task("wget", "-q", "-O", "-", "http://127.0.0.1:80/passwd", config={"network_mode": None},
                           network_isolation_spec=spec)
        assert other.run() == 0 and "root:" in other.output()
        task.stop(0)
        task.destroy()
        owner.kill()


# ---- images -----------------------------------------------------------------------------


@pytest.fixture
def registry(agent, tmp_path):
    """A pot-registry with the box as web:1.0, which the node itself does not have."""
    directory = tmp_path / "registry"
    directory.mkdir()
    r = Registry(agent.node.program, str(directory)).start()
    name = f"127.0.0.1:{r.port}/web:1.0"
    agent.node("tag", BOX, name)
    assert agent.node.call("push", name).status == 0
    agent.node("rmi", name)
    yield r
    agent.node.call("rmi", name)
    r.stop()


def test_images_are_pulled_once_for_all(agent, registry):
    events = agent.client("TaskEvents")
    name = f"127.0.0.1:{registry.port}/web:1.0"
    tasks = [agent.task("true", image=name) for _ in range(4)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert list(pool.map(Task.run, tasks)) == [0, 0, 0, 0]
    said = []
    while said.count("Starting pot") < 4:
        said.append(next(events).message)
    assert sum(text == f"Pulling image {name}" for text in said) == 1
    assert any(re.fullmatch(r"Pulling image \d+ %", text) for text in said)


def test_classic_form_falls_back_to_the_image(agent, registry):
    task = agent.task(image=f"http://127.0.0.1:{registry.port}/classic/", config={
        "pot": "web", "tag": "1.0", "command": "sh -c", "args": ["'echo", "\"$0 $1\"'", "'a  b'", "c\\ d"]})
    assert task.run() == 0 and task.output() == "a  b c d\n"


def test_images_go_some_time_after_their_last_task(agent, registry):
    agent.leave()
    agent.start(gc={"image_delay": "1s"})
    assert agent.task("true", image=f"127.0.0.1:{registry.port}/web:1.0").run() == 0
    lab.wait_until(lambda: f":{registry.port}/web" not in agent.node("images").out, "the removal of the image")


def test_pots_without_a_task_are_removed(agent):
    agent.leave()
    agent.start(gc={"dangling_pots": {"period": "1s", "creation_grace": "1s"}})
    left = agent.task("sleep", "100000").start()
    agent.crash()
    agent.start()
    kept = agent.task("sleep", "100000").start()
    lab.wait_until(lambda: list(agent.node.states()) == [kept.pot()], "the removal of " + left.id)
    group = f"{FREEZER}/nomad/{left.alloc}.{left.name}"
    lab.wait_until(lambda: not os.path.exists(group), "the removal of " + group)
    kept.destroy()


def test_images_must_be_signed_where_a_job_wants_it(agent, registry):
    _, text, again = agent.task("true", image=f"127.0.0.1:{registry.port}/web:1.0", config={"verify": True}).fails()
    assert "policy.conf" in text and not again, text


def test_signed_images_run_also_where_the_unsigned_one_is_there(agent, registry, tmp_path):
    """What is on the node already, unasked for a signature, does not pass for signed; once it is, it runs."""
    node, name = agent.node, f"127.0.0.1:{registry.port}/web:1.0"
    public, secret, policy = str(tmp_path / "a.pub"), str(tmp_path / "a.sec"), os.path.join(node.root, "policy.conf")
    node("keygen", "-n", "-p", public, "-s", secret)
    assert agent.task("true", image=name).run() == 0
    try:
        with open(policy, "w", encoding="ascii") as f:
            f.write(f"127.0.0.1:{registry.port} require 1 {public}\n")
        _, text, again = agent.task("true", image=name, config={"verify": True}).fails()
        assert "0 of 1" in text and not again, text
        node("sign", "-k", secret, name)
        for force in (False, True):
            assert agent.task("true", image=name, config={"verify": True, "force_pull": force}).run() == 0
    finally:
        os.unlink(policy)
        shutil.rmtree(os.path.join(node.root, "registries", "trust"), ignore_errors=True)


def test_registry_that_asks_who_it_is(agent, registry, tmp_path):
    hashed = subprocess.run([registry.program, "hash-password"], input="s3cret\n", capture_output=True, text=True, check=True)
    (tmp_path / "users").write_text("alice:" + hashed.stdout + "allow alice * pull\n")
    registry.stop()
    registry.options = ["--auth", str(tmp_path / "users")]
    registry.start()
    name = f"127.0.0.1:{registry.port}/web:1.0"
    for auth in (None, {"username": "alice", "password": "wrong"}):
        _, text, again = agent.task("true", image=name, config={"auth": auth}).fails()
        assert not again, text
    assert agent.task("true", image=name, config={"auth": {"username": "alice", "password": "s3cret"}}).run() == 0
    agent.node("rmi", name)


def test_missing_images_are_told(agent, registry):
    status, text, again = agent.task(image=f"127.0.0.1:{registry.port}/nosuch:1").fails()
    assert "nosuch:1" in text and not again, text
    registry.kill()
    status, text, again = agent.task(image=f"127.0.0.1:{registry.port}/web:1.0", config={"image_pull_timeout": "2s"}).fails()
    assert again, text
    registry.start()


# ---- many -------------------------------------------------------------------------------


def test_fifty_at_once(agent):
    def live(number):
        task = agent.task("sh", "-c", f"exit {number % 100}", alloc=str(uuid.uuid4()))
        return task.run()

    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        assert list(pool.map(live, range(100))) == [n % 100 for n in range(100)]
    assert agent.node.states() == {}
