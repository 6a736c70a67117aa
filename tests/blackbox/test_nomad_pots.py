"""nomad-pot-driver with pots, as an agent calls it: lives, exits, signals, recovery, exec; and a thousand of them."""

import concurrent.futures
import contextlib
import json
import os
import shutil
import signal
import subprocess
import threading
import uuid

import pytest

import lab
import nomad_client
from nomad_client import failure, pack


class Agent:
    """A plugin over a node's installation, and what an agent makes for tasks."""

    def __init__(self, node):
        self.node = node
        self.program = os.path.join(os.path.dirname(node.program), "nomad-pot-driver")
        self.directory = os.path.join(os.path.dirname(node.root), os.path.basename(node.root) + "-allocs")
        os.mkdir(self.directory)
        self.launch()

    def launch(self):
        self.plugin = nomad_client.Plugin(self.program)
        self.client = self.plugin.connect()
        self.client("SetConfig", msgpack_config=pack({"root": self.node.root, "gc": {"image": False}}),
                    nomad_config={"driver": {"client_min_port": 20000, "client_max_port": 21000}})
        self.client("Init")
        self.events = []
        threading.Thread(target=self.listen, args=(self.client("TaskEvents", deadline=None),), daemon=True).start()
        fingerprint = next(self.client("Fingerprint", deadline=None))
        assert fingerprint.health == 2, fingerprint

    def listen(self, events):
        with contextlib.suppress(Exception):
            for event in events:
                self.events.append(event)

    def task(self, *command, **config):
        return Task(self, command, config)

    def close(self):
        if self.plugin.process.returncode is None:  # the test has failed
            self.plugin.kill()
        shutil.rmtree(self.directory)


class Task:
    def __init__(self, agent, command, config):
        self.agent, self.alloc, self.name = agent, str(uuid.uuid4()), config.pop("name", "web")
        self.id = f"{self.alloc}/{self.name}/{uuid.uuid4().hex[:8]}"
        self.dir = os.path.join(agent.directory, self.alloc)
        for name in ("alloc", f"{self.name}/local", f"{self.name}/secrets"):
            os.makedirs(os.path.join(self.dir, name))
        self.out = os.path.join(self.dir, "stdout")
        open(self.out, "wb").close()
        fields = config.pop("fields", {})
        config = {"image": "box", "network_mode": "host", "command": command[0] if command else None,
                  "args": list(command[1:]), **config}
        self.config = {
            "id": self.id, "name": self.name, "alloc_id": self.alloc, "alloc_dir": self.dir, "stdout_path": self.out,
            "stderr_path": "/dev/null", "job_name": "job", "task_group_name": "group",
            "msgpack_driver_config": pack(config), "env": {"NOMAD_TASK_DIR": "/local", "GREETING": "hello\nworld"},
            "resources": {"allocated_resources": {"cpu": {"cpu_shares": 100}, "memory": {"memory_mb": 64}}}, **fields}

    def start(self):
        self.started = self.agent.client("StartTask", task=self.config)
        return self

    def wait(self):
        return self.agent.client("WaitTask", task_id=self.id)

    def stop(self, seconds=10, name=""):
        self.agent.client("StopTask", task_id=self.id, timeout={"seconds": seconds}, signal=name)

    def destroy(self):
        self.agent.client("DestroyTask", task_id=self.id, force=True)

    def exec(self, *command, tty=False):
        return self.agent.client.exec(self.id, *command, tty=tty)

    def said(self):
        with open(self.out, encoding="utf-8") as f:
            return f.read()


@pytest.fixture(scope="module")
def image(overlay_installation):
    node = overlay_installation
    node("create", "-p", "seed", "-b", "box", "-N", "inherit")
    node("commit", "-p", "seed", "-t", "box")
    node("destroy", "-p", "seed")
    yield "box"
    node("rmi", "box")


@pytest.fixture
def agent(image, onode):
    a = Agent(onode)
    try:
        yield a
        a.plugin.shutdown()
    finally:
        a.close()
    assert onode.states() == {}


def test_life(agent):
    task = agent.task("sh", "-c", "echo $GREETING; pwd; test -d $NOMAD_TASK_DIR; touch /alloc/a /local/b /secrets/c; exit 7")
    end = task.start().wait()
    assert (end.result.exit_code, end.result.signal, end.err) == (7, 0, "")
    assert task.said() == "hello world\n/\n"
    for name in ("alloc/a", "web/local/b", "web/secrets/c"):
        assert os.path.exists(os.path.join(task.dir, name))
    assert agent.client("InspectTask", task_id=task.id).task.result.exit_code == 7
    task.stop()
    task.destroy()
    task.destroy()
    assert agent.node.states() == {}


def test_stop_and_signals(agent):
    polite = agent.task("sh", "-c", "trap 'exit 5' USR1; echo; while :; do sleep 1; done").start()
    lab.wait_until(lambda: polite.said() != "", "the trap")
    polite.stop(100, "SIGUSR1")
    assert polite.wait().result.exit_code == 5
    stubborn = agent.task("sh", "-c", "trap '' TERM INT; echo; while :; do sleep 1; done").start()
    lab.wait_until(lambda: stubborn.said() != "", "the trap")
    stubborn.stop(1)
    assert stubborn.wait().result.signal == signal.SIGKILL
    hung = agent.task("sh", "-c", "trap 'echo hup' HUP; echo; while :; do sleep 0.1; done").start()
    lab.wait_until(lambda: hung.said() != "", "the trap")
    agent.client("SignalTask", task_id=hung.id, signal="SIGHUP")
    lab.wait_until(lambda: "hup" in hung.said(), "the signal")
    for task in (polite, stubborn, hung):
        task.destroy()
    agent.client("StopTask", task_id="never/heard/of")
    agent.client("DestroyTask", task_id="never/heard/of", force=True)


def test_errors_say_what_to_do(agent):
    task = agent.task("true", image="no-such-image:1")
    code, text, _ = failure(task.start)
    assert "no-such-image" in text, (code, text)
    code, text, _ = failure(agent.task("no-such-command").start)
    assert "no-such-command" in text
    code, text, _ = failure(agent.task("true", network_mode="private").start)
    assert "network_mode" in text
    assert agent.node.states() == {}


def test_plugin_killed_and_back(agent):
    """The task goes on, and its exit code is right, whether it ends while nobody watches or afterwards."""
    later = agent.task("sh", "-c", "echo; while ! test -e /local/end; do sleep 0.1; done; exit 9").start()
    meanwhile = agent.task("sh", "-c", "while ! test -e /local/end; do sleep 0.1; done; exit 8").start()
    lost = agent.task("sleep", "100000").start()
    agent.plugin.kill()
    open(os.path.join(meanwhile.dir, "web/local/end"), "w").close()
    pots = agent.node.states()
    assert len(pots) == 3
    lab.wait_until(lambda: "stopped" in agent.node.states().values(), "the end of the one")
    agent.launch()
    for task in (later, meanwhile):
        handle = task.started.handle
        handle.config.msgpack_driver_config = b""
        agent.client("RecoverTask", handle=handle)
    assert meanwhile.wait().result.exit_code == 8
    waiting = agent.client.future("WaitTask", task_id=later.id)
    assert later.exec("echo", "still there").finish() == (0, b"still there\n", b"")
    open(os.path.join(later.dir, "web/local/end"), "w").close()
    assert waiting.result(lab.HANG).result.exit_code == 9
    lost.destroy()  # by its id alone
    later.destroy()
    meanwhile.destroy()


def test_exec(agent):
    task = agent.task("sleep", "100000").start()
    assert task.exec("sh", "-c", "echo out; echo err >&2; exit 43").finish() == (43, b"out\n", b"err\n")
    assert task.exec("sh", "-c", "stty size").finish()[0] != 0
    command = task.exec("head", "-n1")
    command.type(b"hello there\nmore\n")
    assert command.finish() == (0, b"hello there\n", b"")
    command = task.exec("sh", "-c", "stty -echo; echo ready; read x; echo got $x; exit 43", tty=True)
    command.until(lambda: b"ready\r\n" in command.out)
    command.type(b"me\n")
    assert command.finish() == (43, b"ready\r\ngot me\r\n", b"")
    command = task.exec("sh", "-c", "read x; stty size", tty=True)
    command.resize(100, 101)
    command.type(b"\n")
    assert command.finish()[:2] == (0, b"\r\n100 101\r\n")
    command = task.exec("sh", "-c", "echo; exec sleep 4321")
    command.until(lambda: command.out == b"\n")
    command.call.cancel()
    lab.wait_until(lambda: "4321" not in json.dumps(agent.node("--format", "json", "top", pot_of(agent)).json()),
                   "the end of the command")
    result = agent.client("ExecTask", task_id=task.id, command=["sh", "-c", "echo $GREETING; exit 3"])
    assert (result.result.exit_code, result.out) == (3, b"hello world\n")
    assert failure(agent.client, "ExecTask", task_id=task.id, command=["sleep", "1000"],
                   timeout={"nanos": 100000000})[0] == "DEADLINE_EXCEEDED"
    task.stop(0)
    task.destroy()


def pot_of(agent):
    return next(iter(agent.node.states()))


def test_statistics(agent):
    task = agent.task("sh", "-c", "while :; do :; done").start()
    stats = agent.client("TaskStats", task_id=task.id, collection_interval={"nanos": 200000000})
    busy = next(s.stats for s in stats if s.stats.agg_resource_usage.cpu.percent > 1)
    assert busy.timestamp.seconds > 0 and busy.agg_resource_usage.memory.rss > 0
    task.stop(0)
    for _ in stats:  # ends by itself
        pass
    task.destroy()


def test_leaving_lets_tasks_go_on(agent):
    task = agent.task("sleep", "100000").start()
    agent.client("Shutdown")
    agent.plugin.shutdown()
    assert list(agent.node.states().values()) == ["running"]
    agent.launch()
    agent.client("RecoverTask", handle=task.started.handle)
    task.stop(0)
    assert task.wait().result.signal == signal.SIGKILL
    task.destroy()


LIVES = int(os.environ.get("POT_TEST_LIVES", "1000"))


def test_many_lives_at_once(agent):
    def live(number):
        task = agent.task("sh", "-c", f"echo $GREETING; exit {number % 250}").start()
        code = task.wait().result.exit_code
        said = task.said()
        task.destroy()
        shutil.rmtree(task.dir)
        return code == number % 250 and said == "hello world\n"

    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        assert all(pool.map(live, range(LIVES)))
