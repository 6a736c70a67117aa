"""The rows of bench/run about networks: starts and stops with a bridge and a published port, and the path of packets.

Everything happens in network namespaces of the benchmark's own: `Host` is where pot makes its bridges, with a machine
on its LAN behind a veth; the other runtimes have their own (Peers in bench/run).
"""

import contextlib
import ctypes
import json
import os
import socket
import subprocess
import sys
import time

LIVING = 500
HOST, LAN = "192.0.2.1", "192.0.2.2"
NEWNET = 0x40000000


def setns(fd):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(fd, NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def unshare_network():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


@contextlib.contextmanager
def inside(pid):
    """The network namespace of a process, for the sockets made in the block."""
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    there = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        setns(there)
        yield
    finally:
        setns(here)
        os.close(here)
        os.close(there)


def in_net(pid, *argv):
    return ["nsenter", "-t", str(pid), "-n", *argv]


class Holder:
    """A network namespace, behind a veth to the one we are in."""

    def __init__(self, link, near, far):
        self.process = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo && exec sleep 1000000"],
                                        stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self.process.stdout.readline()
        self.pid, self.link = self.process.pid, link
        for argv in (["ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", str(self.pid)],
                     ["ip", "addr", "add", f"{near}/24", "dev", link], ["ip", "link", "set", link, "up"],
                     in_net(self.pid, "ip", "addr", "add", f"{far}/24", "dev", "eth0"),
                     in_net(self.pid, "ip", "link", "set", "lo", "up"),
                     in_net(self.pid, "ip", "link", "set", "eth0", "up"),
                     in_net(self.pid, "ip", "route", "add", "default", "via", near)):
            subprocess.run(argv, check=True)

    def end(self):
        self.process.kill()
        self.process.wait()


class Raw(Holder):
    """What one would make by hand: veth, forwarding, one rule that leads port 18090 to the service."""

    def __init__(self):
        super().__init__("raw0", "198.51.100.1", "198.51.100.2")
        rules = "table ip raw-by-hand { chain c { type nat hook prerouting priority -100; " \
                "tcp dport { 18090, 18091 } dnat to 198.51.100.2; }; }"
        with open("/proc/sys/net/ipv4/ip_forward", "w", encoding="ascii") as f:
            f.write("1")
        subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)

    def end(self):
        super().end()
        subprocess.run(["nft", "delete", "table", "ip", "raw-by-hand"], check=True)


@contextlib.contextmanager
def echo(pid, port):
    """A process that sends back what it gets, in the network of pid."""
    with inside(pid):
        listener = socket.create_server(("0.0.0.0", port))
    child = os.fork()
    if child == 0:
        try:
            while True:
                client, _ = listener.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                while data := client.recv(64):
                    client.sendall(data)
        finally:
            os._exit(0)
    listener.close()
    try:
        yield
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


def round_trips(lan, port, n=4000):
    """Milliseconds that n questions and answers of one byte take; and a connection each for a tenth of them."""
    with inside(lan):
        s = socket.create_connection((HOST, port))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    begin = time.perf_counter_ns()
    for _ in range(n):
        s.sendall(b"x")
        s.recv(1)
    ms = (time.perf_counter_ns() - begin) / 1e6
    s.close()
    return ms


def connections(lan, port, n=400):
    with inside(lan):
        begin = time.perf_counter_ns()
        for _ in range(n):
            with socket.create_connection((HOST, port)) as s:
                s.sendall(b"x")
                s.recv(1)
        return (time.perf_counter_ns() - begin) / 1e6


def transfer(lan, port, size="2G"):
    """Milliseconds for so many bytes by iperf3 from the LAN."""
    run = subprocess.run(in_net(lan, "iperf3", "-J", "-c", HOST, "-p", str(port), "-n", size), capture_output=True,
                         text=True, check=True)
    return json.loads(run.stdout)["end"]["sum_received"]["seconds"] * 1e3


def path(bench):
    """Packets through a published port, beside veth and DNAT by hand."""
    bench.make("service", "sleep 100000", "-N", "public-bridge", "--publish", "18080:18080", "--publish", "18081:18081")
    bench.run("start", "service")
    pid = json.loads(bench.run("--format", "json", "info", "-p", "service"))["pid"]
    lan, raw = Holder("lan0", HOST, LAN), Raw()
    servers = [subprocess.Popen(in_net(p, "iperf3", "-s", "-p", str(port)), stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL) for p, port in ((raw.pid, 18091), (pid, 18081))]
    try:
        with echo(raw.pid, 18090), echo(pid, 18080):
            bench.table("4,000 round trips of TCP from the LAN", [
                ("veth and DNAT by hand", None, lambda: round_trips(lan.pid, 18090), None),
                ("published port of a pot", None, lambda: round_trips(lan.pid, 18080), None)])
            bench.table("400 connections from the LAN", [
                ("veth and DNAT by hand", None, lambda: connections(lan.pid, 18090), None),
                ("published port of a pot", None, lambda: connections(lan.pid, 18080), None)])
        bench.table("2 GiB by TCP from the LAN", [
            ("veth and DNAT by hand", None, lambda: transfer(lan.pid, 18091), None),
            ("published port of a pot", None, lambda: transfer(lan.pid, 18081), None)], 5)
    finally:
        for server in servers:
            server.kill()
            server.wait()
        raw.end()
        lan.end()
        bench.run("destroy", "-F", "service")


def podman_row(bench, *args):
    return bench.podman("run", *bench.ULIMITS, "--rm", "-p", "18070:80", *args, "--rootfs", bench.box, "/bin/true")


def starts(bench):
    bench.make("port", "/bin/true", "-N", "public-bridge", "--publish", "18070:80")
    rows = [
        ("crun run (no network of its own)", None, bench.oci("crun", "bundle"), None),
        ("crun run (empty network namespace)", None, bench.oci("crun", "bundle-net"), None),
        ("pot start --attach", None, bench.pot("start", "-a", "port"), None),
    ]
    bench.table("start of /bin/true on the bridge with a published port to its end and clean-up", rows)
    # Apart, for what comes after podman finds the caches cold.
    bench.table("beside podman", [rows[-1], ("podman run --rm -p", None, podman_row(bench), None)])
    return rows


def stops(bench):
    bench.make("stop-port", "sleep 100000", "-N", "public-bridge", "--publish", "18071:80")
    rows = [("pot stop", bench.pot("start", "stop-port"), bench.pot("stop", "stop-port"), None)]
    try:
        timed = bench.podman("create", *bench.ULIMITS, "--name", "stop-port", "-p", "18071:80", "--init", "--rootfs",
                             bench.box, "sleep", "100000")
        bench.check(*timed)
        rows.append(("podman stop", bench.podman("start", "stop-port"), bench.podman("stop", "stop-port"), None))
    except (OSError, RuntimeError) as e:
        print(f"  podman stop: left out: {e}", file=sys.stderr)
    bench.table("stop with clean-up of one with a bridge and a published port", rows)


def many(bench, rows):
    """The same beside running pots."""
    names = [f"beside-{i}" for i in range(LIVING)]
    for i, name in enumerate(names):
        bench.make(name, "sleep 100000", "-N", "public-bridge", "--publish", f"{21000 + i}:80")
        bench.run("start", name)
    try:
        bench.table(f"start with {LIVING} other pots on the bridge, each with a published port", rows)
    finally:
        bench.run("destroy", "-F", *names)


def row(bench):
    names = [f"net-{i}" for i in range(200)]
    for i, name in enumerate(names):
        bench.make(name, "/bin/true", "-N", "public-bridge", "--publish", f"{21000 + i}:80")

    def all_of(argvs):
        def run():
            begin = time.perf_counter_ns()
            for argv in argvs:
                bench.timed(argv)
            return (time.perf_counter_ns() - begin) / 1e6
        return run
    bench.table("200 started one after another, bridge and published port", [
        ("crun run (empty network namespace)", None, all_of([bench.oci("crun", "bundle-net")] * 200), None),
        ("pot start --attach", None, all_of([bench.pot("start", "-a", n) for n in names]), None)], 3)
    bench.run("destroy", *names)


def all_rows(bench):
    rows = starts(bench)
    stops(bench)
    path(bench)
    row(bench)
    many(bench, rows)
