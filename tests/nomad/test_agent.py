"""A real agent runs jobs in pots: the examples, and what goes on when plugin and agent are killed."""

import os
import subprocess

import pytest

import agent_lab

EXAMPLES = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "examples", "nomad")

CLASSIC = """
job "example" {
  datacenters = ["dc1"]
  group "example-group" {
    network {
      port "http" {}
    }
    task "nginx-pot" {
      driver = "pot"
      service {
        provider = "nomad"
        name     = "webexample"
        port     = "http"
        check {
          type     = "tcp"
          interval = "5s"
          timeout  = "2s"
        }
      }
      config {
        image    = "http://127.0.0.1:5000/classic/"
        pot      = "nginx"
        tag      = "1.2"
        command  = "httpd"
        args     = ["-f", "-h", "'/etc'"]
        port_map = { http = "80" }
      }
      resources {
        cpu    = 200
        memory = 128
      }
    }
  }
}
"""
BRIDGE = """
variable "image" {}
job "bridge" {
  type = "batch"
  group "g" {
    network {
      mode = "bridge"
      port "http" { to = 80 }
    }
    task "web" {
      driver = "pot"
      lifecycle {
        hook    = "prestart"
        sidecar = true
      }
      config {
        image   = var.image
        command = "httpd"
        args    = ["-f", "-p", "80", "-h", "/etc"]
      }
    }
    task "look" {
      driver = "pot"
      config {
        image   = var.image
        command = "sh"
        args    = ["-c", "until wget -q -O - http://127.0.0.1/passwd; do sleep 1; done"]
      }
    }
  }
}
"""


def example(name):
    return os.path.join(EXAMPLES, name + ".nomad.hcl")


def test_driver_tells_what_the_node_can(agent):
    attributes = agent.nodes()[0]["Attributes"]
    assert attributes["driver.pot"] == "1" and attributes["driver.pot.storage"] == "overlay"
    assert attributes["driver.pot.version"]


def test_job_of_the_old_driver(agent, tmp_path):
    path = tmp_path / "classic.hcl"
    path.write_text(CLASSIC)
    agent("job", "run", "-detach", str(path))
    job = agent_lab.Job(agent, "example")
    alloc = job.status()
    agent.wait(lambda: "root:" in subprocess.run(
        ["curl", "-s", "http://127.0.0.1:" + agent("alloc", "exec", alloc, "sh", "-c", "echo $NOMAD_HOST_PORT_http").strip()
         + "/passwd"], capture_output=True, text=True, check=False).stdout, "the web server")
    assert any(text.startswith("Pulling image") for text in job.events()) or agent.kind == "data"
    job.stop()


@pytest.mark.parametrize("name, task, says", [
    ("batch", "count", "500500\n"),
    ("template", "server", "hello\nallocation = "),
    ("secrets", "server", "1000\nready\n"),
    ("volume", "writer", "20"),
    ("system", "watch", "."),
])
def test_examples_say_what_they_should(agent, name, task, says):
    job = agent.run(name, example(name))
    job.status("complete" if name == "batch" else "running")
    agent.wait(lambda: says in job.output(task), f"{name}: {says}")
    job.stop()


def test_tasks_of_a_group_meet(agent):
    job = agent.run("group", example("group"))
    alloc = job.status()
    agent.wait(lambda: "backend" in agent.call("alloc", "exec", "-task", "frontend", alloc, "wget", "-q", "-O", "-",
                                               "http://127.0.0.1/index.html").stdout, "the page of the other task")
    job.stop()
    agent.wait(lambda: agent.world.node("--quiet", "list", "-B").out.split() == ["public"], "the end of its bridge")


@pytest.mark.skipif(not os.path.exists("/usr/lib/cni/bridge"), reason="no CNI plugins in /usr/lib/cni")
def test_bridge_of_the_agents(agent, tmp_path):
    path = tmp_path / "bridge.hcl"
    path.write_text(BRIDGE)
    job = agent.run("bridge", str(path))
    agent.wait(lambda: "root:" in job.output("look"), "the page over the shared network")
    job.stop()


def test_exec_signal_and_exit_codes(agent):
    job = agent.run("service", example("service"))
    alloc = job.status()
    run = agent.call("alloc", "exec", "-i", alloc, "sh", "-c", "head -n1; echo err >&2; exit 43", input="typed\n")
    assert (run.returncode, run.stdout) == (43, "typed\n") and "err" in run.stderr
    assert agent.call("alloc", "exec", alloc, "nosuch").returncode == 127
    agent("alloc", "signal", "-s", "SIGUSR1", alloc)
    agent.wait(lambda: "Exit Code: 138, Signal: 10" in job.events(), "the end by the signal")
    job.stop()


def test_plugin_and_agent_killed(agent):
    job = agent.run("service", example("service"))
    alloc = job.status()
    pot = next(name for name in agent.world.node.states() if alloc in name)
    pid = agent.world.node.info(pot)["pid"]
    old = agent.plugin()
    os.kill(old, 9)
    agent.wait(lambda: agent.call("alloc", "exec", alloc, "true").returncode == 0, "the plugin's return")
    assert agent.world.node.info(pot)["pid"] == pid
    if agent.kind == "data":
        agent.kill()
        agent.start()
        agent.wait(lambda: agent.call("alloc", "exec", alloc, "true").returncode == 0, "the agent's return")
        assert agent.world.node.info(pot)["pid"] == pid
    job.stop()
    agent.wait(lambda: agent.world.node.states() == {}, "the end of the pot")
