"""A real agent runs jobs in pots: the examples, and what goes on when plugin and agent are killed."""

import json
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
HOOKS = """
variable "image" {}
job "hooks" {
  type = "batch"
  group "g" {
    task "before" {
      driver = "pot"
      lifecycle {
        hook = "prestart"
      }
      config {
        image   = var.image
        command = "sh"
        args    = ["-c", "echo before > /alloc/data/said"]
      }
    }
    task "beside" {
      driver = "pot"
      lifecycle {
        hook    = "prestart"
        sidecar = true
      }
      config {
        image   = var.image
        command = "sleep"
        args    = ["100000"]
      }
    }
    task "main" {
      driver = "pot"
      config {
        image   = var.image
        command = "sh"
        args    = ["-c", "echo \\"it's main\\" >> /alloc/data/said"]
      }
    }
    task "after" {
      driver = "pot"
      lifecycle {
        hook = "poststop"
      }
      config {
        image   = var.image
        command = "cat"
        args    = ["/alloc/data/said"]
      }
    }
  }
}
"""
MISTAKE = """
variable "image" {}
job "mistake" {
  type = "batch"
  group "g" {
    reschedule {
      attempts  = 0
      unlimited = false
    }
    task "t" {
      driver = "pot"
      %s
      config {
        image = var.image
        %s
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


def addresses():
    return subprocess.run(["ip", "-o", "address", "show", "dev", "ext0"], capture_output=True, text=True, check=True).stdout


def test_address_of_its_own(agent):
    job = agent.run("static-ip", example("static-ip"), address="192.0.2.10/24")
    job.status()
    ask = ["curl", "-s", "http://192.0.2.10:8080/passwd"]
    agent.wait(lambda: "root:" in subprocess.run(ask, capture_output=True, text=True, check=False).stdout, "the page")
    service = json.loads(agent("service", "info", "-json", "static-web"))
    assert [(s["Address"], s["Port"]) for s in service] == [("192.0.2.10", 8080)]
    job.stop()
    agent.wait(lambda: "192.0.2.10/" not in addresses(), "the end of the address")


def test_periodic_job(agent):
    job = agent.run("periodic", example("periodic"))
    agent("job", "periodic", "force", "-detach", "periodic")
    names = [j["ID"] for j in json.loads(agent("operator", "api", "/v1/jobs?prefix=periodic/"))]
    child = agent_lab.Job(agent, names[0])
    child.status("complete")
    agent.wait(lambda: "UTC" in child.output("clock"), "the time")
    job.stop()


def test_canary_and_its_promotion(agent):
    def deployment(done):
        def look():
            run = agent.call("job", "deployments", "-latest", "-json", "canary")
            found = json.loads(run.stdout) if run.returncode == 0 else None
            return found if found is not None and done(found, found["TaskGroups"]["web"]) else None
        agent.wait(look, "the deployment")
        return look()

    job = agent.run("canary", example("canary"))
    deployment(lambda d, _: d["Status"] == "successful")
    agent.run("canary", example("canary"), version="2")
    waiting = deployment(lambda d, web: d["JobVersion"] == 1 and web["PlacedCanaries"] and web["HealthyAllocs"] == 1)
    assert sum(a["ClientStatus"] == "running" for a in job.allocs()) == 3
    agent("deployment", "promote", "-detach", waiting["ID"])
    deployment(lambda d, _: d["JobVersion"] == 1 and d["Status"] == "successful")
    running = [a["ID"] for a in job.allocs() if a["DesiredStatus"] == "run"]
    assert [agent("alloc", "exec", a, "cat", "/tmp/www/index.html") for a in running] == ["2\n", "2\n"]
    job.stop()


def test_tasks_before_beside_and_after(agent, tmp_path):
    path = tmp_path / "hooks.hcl"
    path.write_text(HOOKS)
    job = agent.run("hooks", str(path))
    job.status("complete")
    agent.wait(lambda: job.output("after") == "before\nit's main\n", "what the last one says")
    job.stop()


@pytest.mark.parametrize("task, config, says", [
    ("", 'ports = ["http"]', 'network { port "http" {} } in the group'),
    ("", 'command = "sleep 5"', "the words behind it go to args"),
    ("", 'mount = ["/no/such/place:/mnt"]', "a path on the node"),
    ('user = "nobody-there"', 'command = "id"', "UID[:GID]"),
    ("", 'command = "id"\nprivileged = true', "allow_privileged = true"),
])
def test_mistakes_are_told_and_final(agent, tmp_path, task, config, says):
    path = tmp_path / "mistake.hcl"
    path.write_text(MISTAKE % (task, config))
    job = agent.run("mistake", str(path))
    job.status("failed")
    agent.wait(lambda: any(says in text for text in job.events()), says)
    assert "Error was unrecoverable" in job.events()
    job.stop()


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
    # Without a service: Nomad gives up an allocation whose service it cannot register, as while its server is coming up.
    job = agent.run("system", example("system"))
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
