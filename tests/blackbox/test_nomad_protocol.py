"""What nomad-pot-driver says to an agent: handshake, every method, streams, statuses; with a driver of plain processes."""

import concurrent.futures
import os
import queue
import signal
import subprocess

import grpc
import pytest

import lab
import nomad_client
from nomad_client import failure, pack, plugin, running, varint

FAKE = os.path.join(os.environ.get("POT_BUILD", os.path.join(lab.TREE, "build", "debug")), "tests", "unit", "nomad",
                    "nomad-fake-driver")
ZERO_TIME = -62135596800


@pytest.fixture(scope="module")
def shared():
    with running(FAKE) as (p, client):
        yield p, client


@pytest.fixture
def client(shared):
    return shared[1]


class Task:
    numbers = iter(range(1, 1 << 30))

    def __init__(self, client, *args, mode=None, **fields):
        self.client = client
        self.id = f"alloc-{next(self.numbers)}/web/0123"
        self.config = {"id": self.id, "name": "web", "alloc_id": "alloc",
                       "msgpack_driver_config": pack({"args": list(args), "mode": mode}), **fields}

    def start(self):
        self.started = self.client("StartTask", task=self.config)
        return self

    def wait(self):
        return self.client("WaitTask", task_id=self.id)

    def pid(self):
        return int(self.client("InspectTask", task_id=self.id).driver.attributes["pid"])

    def destroy(self):
        self.client("DestroyTask", task_id=self.id, force=True)


@pytest.fixture
def sleeper(client):
    task = Task(client, "sleep", "1000").start()
    yield task
    task.destroy()


# ---- handshake and life -----------------------------------------------------------


def test_without_an_agent_it_says_what_it_is():
    env = {k: v for k, v in os.environ.items() if k != "NOMAD_PLUGIN_MAGIC_COOKIE"}
    run = subprocess.run([FAKE], capture_output=True, text=True, env=env, check=False)
    assert (run.returncode, run.stdout) == (1, "")
    assert "plugin of the Nomad agent" in run.stderr and "plugin_dir" in run.stderr
    run = subprocess.run([FAKE], capture_output=True, text=True, check=False,
                         env={**env, "NOMAD_PLUGIN_MAGIC_COOKIE": nomad_client.COOKIE, "PLUGIN_PROTOCOL_VERSIONS": "1,3"})
    assert (run.returncode, run.stdout) == (1, "") and "versions 1,3" in run.stderr


def test_three_launches_of_an_agent():
    looked = nomad_client.Plugin(FAKE)
    client = looked.connect()
    info = client("PluginInfo")
    assert (info.type, info.plugin_api_versions, info.plugin_version, info.name) == (2, ["v0.1.0"], "0.1.0", "fake")
    assert client("ConfigSchema").spec.WhichOneof("block") == "object"
    looked.shutdown()

    checked = nomad_client.Plugin(FAKE)
    client = checked.connect()
    for _ in range(2):
        client("SetConfig", msgpack_config=pack({"enabled": True}), plugin_api_version="v0.1.0")
    checked.shutdown()

    with running(FAKE) as (p, client):
        assert next(client("Fingerprint")).health == 2
        assert client("Check", service="plugin").status == plugin.HealthCheckResponse.SERVING
        client("Shutdown")
        assert p.process.poll() is None


def test_socket_is_only_its_owners():
    with running(FAKE) as (p, _):
        directory = os.path.dirname(p.path)
        assert os.stat(directory).st_mode & 0o7777 == 0o700 and os.stat(p.path).st_mode & 0o777 == 0o600
    assert not os.path.exists(directory)


def test_socket_where_the_host_wants_it(tmp_path):
    with running(FAKE, env={"PLUGIN_UNIX_SOCKET_DIR": str(tmp_path), "PLUGIN_UNIX_SOCKET_GROUP": "7"}) as (p, _):
        assert p.path.startswith(str(tmp_path))
        assert (os.stat(p.path).st_gid, os.stat(p.path).st_mode & 0o777) == (7, 0o660)
    long = tmp_path / ("x" * 100)
    long.mkdir()
    p = nomad_client.Plugin(FAKE, env={"PLUGIN_UNIX_SOCKET_DIR": str(long)}, handshake=False)
    assert p.process.wait(lab.HANG) == 1
    p.reader.join()
    assert "too long a path for a socket" in p.lines[0]


def test_what_a_killed_one_left_is_removed(tmp_path):
    env = {"PLUGIN_UNIX_SOCKET_DIR": str(tmp_path)}
    (tmp_path / "pot-nomad-foreign").mkdir()
    killed = nomad_client.Plugin(FAKE, env=env)
    with running(FAKE, env=env) as (alive, client):
        killed.process.kill()
        killed.process.wait(lab.HANG)
        assert os.path.exists(killed.path)
        with running(FAKE, env=env) as (third, _):
            left = {os.path.dirname(p.path) for p in (alive, third)} | {str(tmp_path / "pot-nomad-foreign")}
            assert {str(path) for path in tmp_path.iterdir()} == left
        assert client("PluginInfo").name
    killed.kill()


def test_signals():
    with running(FAKE) as (p, client):
        task = Task(client, "sleep", "1000").start()
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
            p.process.send_signal(number)
        pid = task.pid()
        p.process.send_signal(signal.SIGTERM)
        assert p.wait() == 0
    os.kill(pid, signal.SIGKILL)  # it went on


def test_an_orphan_that_was_only_looked_at_ends(tmp_path):
    script = 'import subprocess, sys\np = subprocess.Popen([sys.argv[1]], stdout=open(sys.argv[2], "wb"))\n' \
             'print(p.pid, flush=True)\nsys.stdin.read()\n'
    env = {**os.environ, "NOMAD_PLUGIN_MAGIC_COOKIE": nomad_client.COOKIE}
    for used in (False, True):
        out = tmp_path / f"handshake-{used}"
        out.touch()
        agent = subprocess.Popen(["python3", "-c", script, FAKE, str(out)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 env=env)
        pid = int(agent.stdout.readline())
        end = os.pidfd_open(pid)
        lab.wait_until(lambda out=out: out.read_text().endswith("\n"), "the handshake")
        client = nomad_client.Client(out.read_text().split("|")[3])
        client("Init" if used else "PluginInfo")
        agent.kill()
        agent.wait()
        if used:  # the agent comes back
            client.close()
            client = nomad_client.Client(out.read_text().split("|")[3])
            client("PluginInfo")
            client("Init")
            client("ControllerShutdown")
        client.close()
        assert lab.select.select([end], [], [], lab.HANG)[0]
        os.close(end)
        agent.stdout.close()
        agent.stdin.close()


def test_attached_again_to_a_broken_log():
    with running(FAKE) as (p, client):
        task = Task(client, "sleep", "1000").start()
        handle = task.started.handle
        p.forget()
        # What an agent's kill -9 does to the plugin: nobody reads the log any more.
        os.dup2(os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC), p.process.stderr.fileno())
        client = p.connect()
        client("PluginInfo")
        client("Init")
        client("Init")
        client("RecoverTask", handle=handle)
        client("StopTask", task_id=task.id, timeout={"seconds": 10})
        assert client("WaitTask", task_id=task.id).result.signal == signal.SIGTERM


def test_a_new_process_takes_over():
    first = nomad_client.Plugin(FAKE)
    client = first.connect()
    client("Init")
    task = Task(client, "sleep", "1000").start()
    first.kill()
    with running(FAKE) as (_, client):
        handle = task.started.handle
        handle.config.msgpack_driver_config = b""  # as after a restart of the agent
        client("RecoverTask", handle=handle)
        waiting = client.future("WaitTask", task_id=task.id)
        client("StopTask", task_id=task.id)
        assert waiting.result(lab.HANG).err != ""
        assert failure(client, "RecoverTask", task_id="x")[0] == "INVALID_ARGUMENT"
        handle.driver_state = b"x"
        assert failure(client, "RecoverTask", handle=handle)[0] == "INVALID_ARGUMENT"


# ---- messages ---------------------------------------------------------------------


def test_schema(client):
    rows = client("TaskConfigSchema").spec.object.attributes
    assert set(rows) == {"mode", "args", "state_size", "auth", "mount", "sysctl"}
    assert (rows["args"].attr.name, rows["args"].attr.type, rows["args"].attr.required) == ("args", "list(string)", False)
    auth = rows["auth"].block_value
    assert auth.name == "auth" and auth.nested.object.attributes["user"].attr.required
    tls = auth.nested.object.attributes["tls"].default_value
    assert (tls.primary.attr.name, tls.primary.attr.type, tls.preset.literal.value) == ("tls", "bool", "true")
    assert (rows["mount"].block_list.name, rows["mount"].block_list.max_items) == ("mount", 3)
    assert (rows["sysctl"].block_attrs.name, rows["sysctl"].block_attrs.type) == ("sysctl", "string")


def test_plugin_configuration():
    p = nomad_client.Plugin(FAKE)
    client = p.connect()
    client("SetConfig")
    client("SetConfig", msgpack_config=b"\xc0")
    assert failure(client, "SetConfig", msgpack_config=pack({"fail": "no \u00e4"})) == \
        ("INVALID_ARGUMENT", "plugin config: fail: no \u00e4", None)
    assert failure(client, "SetConfig", msgpack_config=pack({"fail": 5}))[1] == \
        "plugin config: fail: a string is wanted, not a number"
    for bad in (b"\x81", b"\x80\x80", b"\xc1", b"\xdd\xff\xff\xff\xff", b"\x91\xc0", b"\xdf\x7f\xff\xff\xff\x00\x00"):
        assert failure(client, "SetConfig", msgpack_config=bad)[0] == "INVALID_ARGUMENT"
    assert failure(client, "SetConfig", msgpack_config=b"\x81\xa1k" + b"\x91" * 100 + b"\xc0")[0] == "RESOURCE_EXHAUSTED"
    cores = [{"core_id": 0, "base_speed": 1000}, {"core_id": 1, "guess_speed": 500, "core_grade": 1},
             {"core_id": 2, "max_speed": 2000, "base_speed": 1}]
    client("SetConfig", nomad_config={"driver": {"topology": {"cores": cores}}})
    assert next(client("Fingerprint")).attributes["driver.fake.mhz"].int_val == 3500
    client("SetConfig", nomad_config={"driver": {"topology": {"cores": cores, "override_total_compute": 7}}})
    assert 7 in (m.attributes["driver.fake.mhz"].int_val for m in client("Fingerprint"))
    p.shutdown()


def test_capabilities(client):
    c = client("Capabilities").capabilities
    assert (c.send_signals, c.exec, c.fs_isolation, c.network_isolation_modes, c.must_create_network, c.mount_configs) == \
        (True, True, 2, [0, 1], True, 0)


def test_fingerprint_is_pushed(client):
    streams = [client("Fingerprint") for _ in range(3)]
    for stream in streams:
        first = next(stream)
        assert (first.health, first.health_description, first.err) == (2, "healthy", "")
        a = first.attributes
        assert a["driver.fake"].bool_val is True and a["driver.fake.share"].float_val == 0.5
        assert a["driver.fake.mhz"].WhichOneof("value") == "int_val" and a["driver.fake.mhz"].unit == "MHz"
        assert a["driver.fake.well"].string_val == "yes"
    client("CreateNetwork", alloc_id="a", hostname="ill")
    for stream in streams:
        change = next(m for m in stream if m.health == 1)
        # What it does not name any more is to be forgotten.
        assert change.health_description == "ill" and change.attributes["driver.fake.well"].string_val == ""
    client("CreateNetwork", alloc_id="a", hostname="well")
    for stream in streams:
        assert next(m for m in stream if m.health == 2).attributes["driver.fake.well"].string_val == "yes"
        stream.cancel()


def test_events_of_tasks(client):
    with running(FAKE) as (_, client):
        Task(client, "true").start()  # before anybody listens
        events = client("TaskEvents")
        event = next(events)
        assert (event.alloc_id, event.task_name, event.message, dict(event.annotations)) == \
            ("alloc", "web", "Started", {"name": "web"})
        assert event.timestamp.seconds > 1700000000
        other = client("TaskEvents")
        second = Task(client, "true").start()
        assert next(events).task_id == next(other).task_id == second.id
        other.cancel()
        third = Task(client, "true").start()
        assert next(events).task_id == third.id


def test_life_of_a_task(client):
    task = Task(client, "sh", "-c", "exit 7").start()
    assert task.started.handle.version == 1 and task.started.handle.state == 1
    net = task.started.network_override
    assert (net.addr, net.auto_advertise, dict(net.port_map)) == ("192.0.2.1", True, {"http": 8080})
    for _ in range(2):
        end = task.wait()
        assert (end.result.exit_code, end.result.signal, end.result.oom_killed, end.err) == (7, 0, False, "")
    client("StopTask", task_id=task.id, timeout={"seconds": 1})
    task.destroy()
    task.destroy()
    assert failure(task.wait)[0] == "NOT_FOUND"
    client("StopTask", task_id=task.id)


def test_what_the_agent_dereferences_is_there(client, sleeper):
    m = client("InspectTask", task_id=sleeper.id)
    assert m.task.id == sleeper.id and m.task.state == 1 and m.HasField("driver") and m.task.HasField("result")
    assert (m.task.started_at.seconds, m.task.completed_at.seconds) == (1700000000, ZERO_TIME)
    assert m.driver.attributes["odd"] == "not UTF-8: \\xff"
    stats = next(client("TaskStats", task_id=sleeper.id, collection_interval={"nanos": 1000000})).stats
    assert stats.id == sleeper.id and stats.timestamp.seconds > 1700000000
    cpu, memory = stats.agg_resource_usage.cpu, stats.agg_resource_usage.memory
    assert (cpu.percent, cpu.total_ticks, cpu.system_mode, cpu.throttled_periods) == (50.5, 1000, 1.5, 7)
    assert list(cpu.measured_fields) == [0, 2, 5, 3]
    assert (memory.rss, memory.usage, memory.max_usage, memory.swap) == (4096, 8192, 9, 10)
    assert list(memory.measured_fields) == [0, 2, 5, 6]
    result = client("ExecTask", task_id=sleeper.id, command=["true"])
    assert result.HasField("result") and result.result.exit_code == 0
    net = client("CreateNetwork", alloc_id="a1", hostname="h")
    assert (net.created, net.isolation_spec.mode, net.isolation_spec.path, dict(net.isolation_spec.labels)) == \
        (True, 1, "/run/netns/fake", {"alloc": "a1"})
    assert net.isolation_spec.hosts_config.hostname == "h"
    client("DestroyNetwork", alloc_id="a1", isolation_spec=net.isolation_spec)
    client("DestroyNetwork", alloc_id="a1")
    assert failure(client, "DestroyNetwork", alloc_id="a2", isolation_spec=net.isolation_spec)[0] == "INVALID_ARGUMENT"


def test_the_agent_gets_its_task_back(client):
    task = Task(client, "true", env={"A": "1", "B": "\u00e4"}, device_env={"C": ""}, user="u",
                resources={"allocated_resources": {"cpu": {"cpu_shares": 5}, "memory": {"memory_mb": 7},
                                                   "networks": [{"device": "eth0", "dynamic_ports": [{"label": "x", "value": 9}]}]},
                           "linux_resources": {"percent_ticks": 0.25, "cpuset_cpus": "0-1"},
                           "ports": [{"label": "http", "value": 1, "to": 2, "host_ip": "::"}]},
                mounts=[{"task_path": "/a", "host_path": "/b", "readonly": True}], devices=[{"task_path": "/dev/x"}],
                network_isolation_spec={"mode": 1, "labels": {"k": "v"}, "hosts_config": {"hostname": "h"}},
                dns={"servers": ["192.0.2.53"], "options": ["ndots:1"]}, parent_job_id="p")
    config = nomad_client.driver.TaskConfig(**task.config)
    # A field that a later agent may send.
    config.MergeFromString(b"\xa2\x3f\x05later")
    request = b"\x0a" + varint(len(config.SerializeToString())) + config.SerializeToString()
    answer = client.raw("StartTask", request)
    assert answer.handle.config == config
    assert answer.handle.config.SerializeToString(deterministic=True) == config.SerializeToString(deterministic=True)
    assert b"later" in answer.handle.config.SerializeToString()
    task.destroy()


def test_errors_say_what_and_whether_to_try_again(client):
    code, text, again = failure(Task(client, mode="fatal").start)
    assert (code, text, again) == ("FAILED_PRECONDITION", "start 'web': 100% of it is wrong: \u00e4\\xff\\x0a (do it right)",
                                   None)
    code, text, again = failure(Task(client, mode="again").start)
    assert (code, again) == ("FAILED_PRECONDITION", True) and text.endswith("(do it right)")
    assert failure(client, "StartTask")[0] == "INVALID_ARGUMENT"
    assert failure(client, "StartTask", task={"msgpack_driver_config": b"\x91"})[1].startswith("the task's config: ")
    assert failure(client, "InspectTask", task_id="none")[:2] == ("NOT_FOUND", "task 'none': not known")


def test_large_messages(client):
    task = Task(client, "true", env={"BIG": "x" * (20 << 20)})
    task.config["msgpack_driver_config"] = pack({"state_size": 3 << 20})
    task.start()
    assert task.started.handle.config.env == task.config["env"] and len(task.started.handle.driver_state) == 3 << 20
    task.destroy()
    code, text, _ = failure(Task(client, "true", env={"BIG": "x" * (33 << 20)}).start)
    assert code == "RESOURCE_EXHAUSTED" and "larger than this plugin takes" in text


def test_waiting_calls_hold_up_nobody(client, sleeper):
    waiting = [client.future("WaitTask", task_id=sleeper.id) for _ in range(100)]
    slow = client.future("StartTask", task=Task(client, "true", mode="slow").config)
    client("SignalTask", task_id=sleeper.id, signal="SIGCONT")
    assert failure(client, "SignalTask", task_id=sleeper.id, signal="SIGNONE")[0] == "INVALID_ARGUMENT"
    assert not slow.done() or slow.result().handle.version == 1
    assert slow.result(lab.HANG).handle.version == 1
    client("StopTask", task_id=sleeper.id, timeout={"seconds": 100}, signal="SIGUSR1")
    assert {w.result(lab.HANG).result.signal for w in waiting} == {signal.SIGUSR1}


def test_stop_kills_after_its_timeout(client):
    task = Task(client, "sh", "-c", "trap '' TERM; echo; while :; do sleep 1; done").start()
    client("StopTask", task_id=task.id, timeout={"nanos": 1})
    assert task.wait().result.signal in (signal.SIGKILL, signal.SIGTERM)
    task.destroy()


def test_calls_that_are_given_up():
    with running(FAKE) as (_, client):
        events = client("TaskEvents")
        call = client.future("StartTask", task=Task(client, mode="hang").config)
        assert next(events).message == "Hanging"
        call.cancel()
        assert next(events).message == "Cancelled"
        assert failure(client, "StartTask", deadline=0.05, task=Task(client, mode="hang").config)[0] == "DEADLINE_EXCEEDED"
        assert next(events).message == "Hanging"
        assert next(events).message == "Cancelled"


def test_shutdown_leaves_whatever_is_open(sleeper):
    with running(FAKE) as (p, client):
        task = Task(client, "sleep", "1000").start()
        streams = [client("Fingerprint"), client("TaskEvents"), client("StreamStdio"), client("TaskStats", task_id=task.id)]
        waiting = client.future("WaitTask", task_id=task.id)
        said = queue.SimpleQueue()
        broker = client.method("StartStream")[1](iter(said.get, None))
        hanging = client.future("StartTask", task=Task(client, mode="hang").config)
        command = client.exec(task.id, "cat")
        command.type(b"x")
        command.until(lambda: command.out == b"x")
        pid = task.pid()
        p.shutdown()
        os.kill(pid, signal.SIGKILL)
        said.put(None)
        for call in (*streams, waiting, broker, hanging):
            assert call.exception(lab.HANG).code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


def test_a_thousand_lives(client):
    def live(number):
        task = Task(client, "sh", "-c", f"exit {number % 250}").start()
        stats = client("TaskStats", task_id=task.id, collection_interval={"seconds": 1})
        code = task.wait().result.exit_code
        inspected = client("InspectTask", task_id=task.id).task.result.exit_code
        for _ in stats:
            pass
        task.destroy()
        return code == inspected == number % 250

    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        assert all(pool.map(live, range(1000)))


# ---- exec --------------------------------------------------------------------------


def test_exec(client, sleeper):
    command = client.exec(sleeper.id, "sh", "-c", "echo out; echo err >&2; exit 43")
    assert command.finish() == (43, b"out\n", b"err\n") and sorted(command.closed) == ["error", "output"]
    assert client.exec(sleeper.id, "sh", "-c", "kill -9 $$").finish()[0] == 137
    assert client.exec(sleeper.id, "sh", "-c", "stty size").finish()[0] != 0
    assert failure(client.exec("none", "true").finish)[0] == "NOT_FOUND"
    assert failure(client.exec(sleeper.id).finish)[0] == "INVALID_ARGUMENT"


def test_exec_input(client, sleeper):
    command = client.exec(sleeper.id, "head", "-n1")
    command.type(b"hello")
    command.send()  # a heartbeat
    command.type(b" there\nand more\n")
    assert command.finish() == (0, b"hello there\n", b"")
    command = client.exec(sleeper.id, "wc", "-c")
    for _ in range(100):
        command.type(b"x" * 100000)
    command.close_input()
    assert command.finish() == (0, b"10000000\n", b"")
    command = client.exec(sleeper.id, "cat")
    command.requests.put(None)  # half-closed without a word
    assert command.finish() == (0, b"", b"")


def test_exec_terminal(client, sleeper):
    command = client.exec(sleeper.id, "sh", "-c", "stty -echo; echo ready; read x; echo got $x; exit 43", tty=True)
    command.until(lambda: b"ready\r\n" in command.out)
    command.type(b"me\n")
    assert command.finish() == (43, b"ready\r\ngot me\r\n", b"")
    command = client.exec(sleeper.id, "sh", "-c", "read x; stty size", tty=True)
    command.resize(100, 101)
    command.type(b"\n")
    code, out, _ = command.finish()
    assert (code, out) == (0, b"\r\n100 101\r\n")
    command = client.exec(sleeper.id, "cat", tty=True)
    command.type(b"echoed\n")
    command.until(lambda: command.out.count(b"echoed\r\n") == 2)
    command.close_input()
    assert command.finish()[0] == 0
    # One that closes its terminal before it ends is not killed for it.
    command = client.exec(sleeper.id, "sh", "-c", "echo said; exec <&- >&- 2>&-; sleep 0.3; exit 7", tty=True)
    assert command.finish() == (7, b"said\r\n", b"")


def test_exec_ends_with_its_command(client, sleeper):
    for tty in (True, False):
        command = client.exec(sleeper.id, "sh", "-c", "trap '' HUP; sleep 100 & echo $!; exit 3", tty=tty)
        code, out, _ = command.finish()
        os.kill(int(out), signal.SIGKILL)
        assert code == 3


def test_exec_that_is_given_up_is_killed(client, sleeper):
    command = client.exec(sleeper.id, "sh", "-c", "echo $$; sleep 1000")
    command.until(lambda: command.out.endswith(b"\n"))
    end = os.pidfd_open(int(command.out))
    command.call.cancel()
    assert lab.select.select([end], [], [], lab.HANG)[0]
    os.close(end)


def test_exec_for_a_slow_reader(client, shared, sleeper):
    """What the agent does not read is not read from the command either."""
    process, _ = shared
    own = process.connect([("grpc.http2.lookahead_bytes", 65536), ("grpc.http2.bdp_probe", 0)])
    command = own.exec(sleeper.id, "sh", "-c", "yes 0123456789abcdef | head -c 64000000; echo; echo end >&2")
    before = process.memory()
    command.until(lambda: len(command.out) > 0)
    client("InspectTask", task_id=sleeper.id)
    assert process.memory() - before < 16 << 20
    code, out, err = command.finish()
    assert (code, len(out), err) == (0, 64000001, b"end\n")


def test_exec_of_one_that_does_not_read(client, sleeper):
    """Its input holds up nobody else."""
    command = client.exec(sleeper.id, "sh", "-c", "echo; sleep 1000")
    for _ in range(200):
        command.type(b"x" * 65536)
    command.until(lambda: command.out == b"\n")
    for _ in range(20):
        assert client("ExecTask", task_id=sleeper.id, command=["echo", "hi"]).out == b"hi\n"
        assert client.exec(sleeper.id, "echo", "hi").finish() == (0, b"hi\n", b"")
    command.call.cancel()


def test_exec_task(client, sleeper):
    result = client("ExecTask", task_id=sleeper.id, command=["sh", "-c", "seq 100000; echo x >&2; exit 5"])
    assert result.result.exit_code == 5 and result.err == b"x\n"
    assert len(result.out) == 4096 and result.out.endswith(b"99999\n100000\n")
    assert client("ExecTask", task_id=sleeper.id, command=["cat"]).out == b""
    code, text, _ = failure(client, "ExecTask", task_id=sleeper.id, command=["sleep", "1000"], timeout={"nanos": 50000000})
    assert code == "DEADLINE_EXCEEDED" and "longer than it may" in text
