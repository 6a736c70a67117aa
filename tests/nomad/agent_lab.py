"""What the tests with a real agent stand on: namespaces, an installation of pot, a registry, the agent."""

import ctypes
import json
import os
import shutil
import signal
import subprocess
import tempfile
import urllib.request

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class World:
    def __init__(self, lab):
        self.lab = lab
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.unshare(0x00020000 | 0x40000000) == 0, "no namespaces of our own: root is needed"
        assert libc.mount(b"none", b"/", None, ctypes.c_ulong((1 << 14) | (1 << 18)), None) == 0
        for words in ("link set lo up", "link add ext0 type veth peer name wire0", "link set ext0 up", "link set wire0 up",
                      "address add 192.0.2.1/24 dev ext0", "route add default via 192.0.2.254 dev ext0"):
            subprocess.run(["ip", *words.split()], check=True)
        self.place = tempfile.mkdtemp(prefix="pot-nomad-", dir="/var/tmp")
        os.chmod(self.place, 0o755)
        programs = os.path.join(self.place, "plugins")
        os.mkdir(programs)
        self.node = lab.Node(lab.collect_programs(programs), os.path.join(self.place, "pot"), "overlay")
        self.programs = os.path.dirname(self.node.program)
        self.node.init()
        box = lab.make_box(self.place)
        self.node("create-base", "-b", "box", "--from", box)
        self.registry = subprocess.Popen(
            [os.path.join(self.programs, "pot-registry"), "serve", "--listen", "127.0.0.1:5000", "--data",
             os.path.join(self.place, "registry")], stderr=subprocess.DEVNULL)
        lab.wait_until(lambda: self.answers("http://127.0.0.1:5000/v2/"), "the registry")
        self.image = "127.0.0.1:5000/box:1"
        self.node.make("seed", "sleep 100000")
        self.node("commit", "-p", "seed", "-t", "box:1")
        for name in (self.image, "127.0.0.1:5000/nginx:1.2"):
            self.node("tag", "box:1", name)
            self.node.call("push", name)
            self.node("rmi", name)
        self.node("destroy", "seed")

    @staticmethod
    def answers(url):
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def end(self):
        self.registry.terminate()
        self.registry.wait()
        self.node.call("de-init", "-f")
        # Secrets of allocations that an agent has not collected yet.
        for mount in (line.split(" ")[0] for line in self.lab.mounts()):
            if mount.startswith(self.place + "/"):
                subprocess.run(["umount", "-l", mount], check=True)
        shutil.rmtree(self.place)


class Agent:
    def __init__(self, world, kind):
        self.world, self.kind, self.process = world, kind, None
        self.directory = os.path.join(world.place, "agent-" + kind)
        os.mkdir(self.directory)
        self.volume = os.path.join(self.directory, "volume")
        os.mkdir(self.volume)
        os.chmod(self.volume, 0o777)
        self.config = os.path.join(self.directory, "agent.hcl")
        server = "" if kind == "dev" else f"""
            data_dir = "{self.directory}/data"
            advertise {{
              http = "127.0.0.1"
              rpc  = "127.0.0.1"
              serf = "127.0.0.1"
            }}
            server {{
              enabled          = true
              bootstrap_expect = 1
            }}"""
        with open(self.config, "w", encoding="ascii") as f:
            f.write(f"""
            plugin_dir = "{world.programs}"
            bind_addr  = "127.0.0.1"
            log_level  = "DEBUG"
            {server}
            telemetry {{
              publish_allocation_metrics = true
              collection_interval        = "1s"
            }}
            client {{
              enabled           = true
              network_interface = "lo"
              cni_path          = "/usr/lib/cni"
              options = {{
                "driver.allowlist"     = "pot"
                "fingerprint.denylist" = "env_aws,env_gce,env_azure,env_digitalocean"
              }}
              host_volume "data" {{
                path = "{self.volume}"
              }}
            }}
            plugin "nomad-pot-driver" {{
              config {{
                root = "{world.node.root}"
              }}
            }}""")

    def start(self):
        words = ["-dev"] if self.kind == "dev" else []
        self.log = open(os.path.join(self.directory, "log"), "ab")
        self.process = subprocess.Popen([os.environ["NOMAD_BIN"], "agent", *words, "-config", self.config],
                                        stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        self.wait(lambda: any(n["Drivers"].get("pot", {}).get("Healthy") for n in self.nodes()), "a healthy driver")

    def nodes(self):
        run = self.call("node", "status", "-json")
        if run.returncode != 0:
            return []
        found = [self.call("node", "status", "-json", n["ID"]) for n in json.loads(run.stdout) if n["Status"] == "ready"]
        return [json.loads(r.stdout) for r in found if r.returncode == 0]

    def wait(self, condition, what):
        self.world.lab.wait_until(condition, what)

    def call(self, *words, **more):
        return subprocess.run([os.environ["NOMAD_BIN"], *words], capture_output=True, text=True, check=False,
                              env={**os.environ, "NOMAD_ADDR": "http://127.0.0.1:4646"}, **more)

    def __call__(self, *words, **more):
        run = self.call(*words, **more)
        assert run.returncode == 0, run
        return run.stdout

    def run(self, job, path, **variables):
        variables.setdefault("image", self.world.image)
        self("job", "run", "-detach", *(f"-var={k}={v}" for k, v in variables.items()), path)
        return Job(self, job)

    def plugin(self):
        out = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(self.process.pid)], capture_output=True, text=True,
                             check=True).stdout
        return next(int(line.split()[0]) for line in out.splitlines() if "nomad-pot-driver" in line)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def end(self):
        run = self.call("operator", "api", "/v1/jobs")
        for job in json.loads(run.stdout) if run.returncode == 0 else []:
            self.call("job", "stop", "-purge", job["ID"])
        self.wait(lambda: self.world.node.states() == {}, "the end of all pots")
        self.process.send_signal(signal.SIGINT)
        self.process.wait()
        self.log.close()


class Job:
    def __init__(self, agent, name):
        self.agent, self.name = agent, name

    def allocs(self):
        run = self.agent.call("job", "allocs", "-json", self.name)
        return sorted(json.loads(run.stdout), key=lambda a: -a["CreateIndex"]) if run.returncode == 0 else []

    def status(self, status="running"):
        """Its newest allocation, once it is so."""
        self.agent.wait(lambda: self.allocs() and self.allocs()[0]["ClientStatus"] == status, f"{self.name}: {status}")
        return self.allocs()[0]["ID"]

    def events(self):
        return [e["DisplayMessage"] for state in self.allocs()[0]["TaskStates"].values() for e in state["Events"]]

    def output(self, task):
        return self.agent.call("alloc", "logs", "-task", task, self.allocs()[0]["ID"]).stdout

    def stop(self):
        self.agent("job", "stop", "-purge", self.name)
