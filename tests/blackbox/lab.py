"""The laboratory of the black-box tests: the programs under test, nodes (installations with a --root of their
own on one of the storages), the small root they run, and the looks from outside that say what a test left.
Fixtures are in conftest.py; nothing here knows pytest.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import termios
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.dirname(os.path.dirname(HERE))
PROGRAMS = ("src/cli/pot", "src/cli/pot-image", "src/shim/pot-shim", "src/unpack/pot-unpack", "src/nft/pot-nft",
            "src/seccomp/pot-seccomp", "src/registry/pot-registry", "src/nomad/nomad-pot-driver")
OUTER_NETWORK = -1  # the network namespace from which the tests were started

# Ends a hang; says nothing about speed. Sanitizers on a busy machine are slow.
HANG = int(os.environ.get("POT_TEST_HANG", "120"))


def wait_until(condition, what, seconds=HANG):
    """For what tells nobody that it has happened (files that another process writes, /proc)."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"did not happen: {what}")
        time.sleep(0.01)


class Result:
    """What a run of pot gave."""

    def __init__(self, argv, status, out, err):
        self.argv, self.status, self.out, self.err = argv, status, out, err

    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return f"{' '.join(self.argv)}\n -> {self.status}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


class Pot:
    """Runs the pot program, optionally with a --root, and behind a prefix: a program that executes another."""

    def __init__(self, program, root=None, env=None, prefix=()):
        self.program, self.root, self.prefix = program, root, list(prefix)
        self.env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8",
                    "HOME": "/root", "TZ": "UTC"}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TMPDIR"):
            if name in os.environ:
                self.env[name] = os.environ[name]
        self.env.update(env or {})

    def argv(self, *args):
        return self.prefix + [self.program] + (["--root", self.root] if self.root else []) + [str(a) for a in args]

    def call(self, *args, stdin=None, env=None, cwd=None, preexec=None):
        """Runs to the end, whatever that is."""
        argv = self.argv(*args)
        run = subprocess.run(argv, input=stdin, stdin=subprocess.DEVNULL if stdin is None else None,
                             capture_output=True, env={**self.env, **(env or {})}, cwd=cwd, timeout=HANG, check=False,
                             preexec_fn=preexec)
        return Result(argv, run.returncode, run.stdout.decode(errors="surrogateescape"),
                      run.stderr.decode(errors="surrogateescape"))

    def __call__(self, *args, **options):
        """Runs and expects success without a word on stderr; gives the Result."""
        result = self.call(*args, **options)
        assert result.status == 0, result
        assert result.err == "", result
        return result

    def fails(self, *args, status=1, says=(), **options):
        """Runs and expects a failure told in one line on stderr that holds all of `says`, with nothing on
        stdout and the exit status given."""
        result = self.call(*args, **options)
        assert result.status == status, result
        assert result.out == "", result
        assert result.err.startswith("pot: "), result
        assert result.err.endswith("\n") and result.err.count("\n") == 1, result
        for text in [says] if isinstance(says, str) else says:
            assert text in result.err, result
        return result

    def start(self, *args, **options):
        """A Popen of it, in a process group of its own."""
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        env = {**self.env, **options.pop("env", {})}
        return subprocess.Popen(self.argv(*args), env=env, start_new_session=True, **options)

    def terminal(self, *args, rows=24, cols=80):
        return Terminal(self.argv(*args), self.env, rows, cols)


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, argv, env, rows, cols):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
                os.execve(argv[0], argv, {**env, "TERM": "xterm"})
            finally:
                os._exit(99)
        self.seen = b""

    def resize(self, rows, cols):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    def type(self, text):
        os.write(self.fd, text.encode())

    def read(self):
        """What there is now, or None at the end."""
        ready, _, _ = select.select([self.fd], [], [], HANG)
        assert ready, f"silent terminal; so far: {self.seen!r}"
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # EIO: the other side is closed
            return None
        if not data:
            return None
        self.seen += data
        return data

    def expect(self, text):
        """Reads until text has come; forgets everything up to its end."""
        want = text.encode()
        while want not in self.seen:
            assert self.read() is not None, f"ended before {text!r}: {self.seen!r}"
        before, _, self.seen = self.seen.partition(want)
        return before.decode(errors="replace")

    def attributes(self):
        return termios.tcgetattr(self.fd)

    def end(self):
        """Reads to the end; gives the exit status (-signal when killed)."""
        while self.read() is not None:
            pass
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


class Node(Pot):
    """An installation on one storage, with the base "box" (busybox) in it."""

    def __init__(self, program, root, storage, init_args=(), prefix=(), namespace="self"):
        super().__init__(program, root, prefix=prefix)
        self.storage, self.init_args, self.namespace = storage, init_args, namespace

    def mounts(self):
        """The mount points where pot runs."""
        return mounts(self.namespace)

    def init(self):
        self("init", "--storage", self.storage, *self.init_args)

    def make(self, name, command=None, *args):
        """A created pot; the host's network, which costs nothing, unless an option of `create` says otherwise."""
        network = () if any(str(a).startswith("-") for a in args) else ("-N", "inherit")
        self("create", "-p", name, "-b", "box", *network, *args)
        if command is not None:
            self("set-cmd", "-p", name, "-c", command)
        return name

    def run(self, name, command="sleep 100000", *args):
        """A running pot."""
        self.make(name, command, *args)
        self("start", name)
        return name

    def states(self):
        return {p["name"]: p["state"] for p in self("--format", "json", "ps", "-a").json()}

    def info(self, name):
        return self("--format", "json", "info", "-p", name).json()

    def sh(self, name, script, **options):
        """stdout of a shell script in a running pot."""
        return self("exec", name, "sh", "-c", script, **options).out

    def log(self, name):
        return self("logs", name).out


def collect_programs(directory):
    """Puts the programs of the build side by side, as they are installed."""
    build = os.environ.get("POT_BUILD", os.path.join(TREE, "build", "debug"))
    if "POT_BIN" in os.environ:
        return os.environ["POT_BIN"]
    for program in PROGRAMS:
        shutil.copy2(os.path.join(build, program), directory)
    os.symlink(os.path.join(TREE, "flavours"), os.path.join(directory, "flavours"))
    return os.path.join(directory, "pot")


def make_box(directory):
    """A root of busybox, two users and nothing else, as a directory and as box.tar beside it."""
    box = os.path.join(directory, "box")
    for name in ("bin", "dev", "etc", "proc", "sys", "tmp", "root", "home/alice", "var/tmp", "mnt"):
        os.makedirs(os.path.join(box, name))
    os.chmod(os.path.join(box, "tmp"), 0o1777)
    os.chown(os.path.join(box, "home/alice"), 1000, 1000)
    busybox = os.path.join(box, "bin", "busybox")
    shutil.copy2(shutil.which("busybox"), busybox)
    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    for applet in applets:
        if applet != "busybox":
            os.symlink("busybox", os.path.join(box, "bin", applet))
    with open(os.path.join(box, "etc", "passwd"), "w", encoding="ascii") as f:
        f.write("root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000:Alice:/home/alice:/bin/sh\n")
    with open(os.path.join(box, "etc", "group"), "w", encoding="ascii") as f:
        f.write("root:x:0:\nalice:x:1000:\nstaff:x:50:alice\n")
    with open(os.path.join(box, "bin", "not-executable"), "w", encoding="ascii") as f:
        f.write("#!/bin/sh\necho no\n")
    subprocess.run(["tar", "-C", box, "-cf", os.path.join(directory, "box.tar"), "."], check=True)
    return box


class Cgroups:
    """A group for this process in every hierarchy, so that everything that tests start can be found below."""

    def __init__(self, name):
        self.moved = []  # (where we were, where we are)
        with open("/proc/self/cgroup", encoding="utf-8") as f:
            own = [line.rstrip("\n").split(":", 2) for line in f]
        with open("/proc/self/mountinfo", encoding="utf-8") as f:
            mounted = [line.split(" - ") for line in f]
        for _, controllers, path in own:
            for left, right in mounted:
                kind, _, options = right.rstrip("\n").split(" ", 2)
                if controllers == "" and kind != "cgroup2":
                    continue
                if controllers != "" and (kind != "cgroup" or controllers not in options):
                    continue
                here = os.path.join(left.split(" ")[4], path.lstrip("/"))
                self.enter(here, os.path.join(here, name))
                break

    def enter(self, here, mine):
        try:
            os.mkdir(mine)
            with open(os.path.join(mine, "cgroup.procs"), "w", encoding="ascii") as f:
                f.write(str(os.getpid()))
        except OSError:  # cpuset needs to be set up first; no delegation
            with contextlib.suppress(OSError):
                os.rmdir(mine)
            return
        self.moved.append((here, mine))

    def groups(self):
        """Groups below ours."""
        return sorted(os.path.join(d, n) for _, mine in self.moved for d, names, _ in os.walk(mine) for n in names)

    def processes(self):
        """pid -> command line of everything in and below our groups but this process and the zfs daemon."""
        found = {}
        for _, mine in self.moved:
            for directory, _, _ in os.walk(mine):
                with contextlib.suppress(OSError), \
                        open(os.path.join(directory, "cgroup.procs"), encoding="ascii") as f:
                    for pid in f.read().split():
                        found[int(pid)] = command_line(int(pid))
        found.pop(os.getpid(), None)
        # They only wait for the kernel, a quarter of a second, and then end: lingering() is asked at a test's end.
        found = {pid: line for pid, line in found.items() if comm(pid) != "pot-linger"}
        return {pid: line for pid, line in found.items() if line and "zfs-fuse" not in line}

    def lingering(self):
        """Processes left behind for the kernel to finish with their sockets."""
        pids = []
        for _, mine in self.moved:
            for directory, _, _ in os.walk(mine):
                with contextlib.suppress(OSError), \
                        open(os.path.join(directory, "cgroup.procs"), encoding="ascii") as f:
                    pids += [pid for pid in f.read().split() if comm(pid) == "pot-linger"]
        return pids

    def leave(self):
        for here, mine in self.moved:
            with open(os.path.join(mine, "cgroup.procs"), encoding="ascii") as f:
                pids = f.read().split()
            for pid in pids:
                with contextlib.suppress(OSError), \
                        open(os.path.join(here, "cgroup.procs"), "w", encoding="ascii") as f:
                    f.write(pid)
            os.rmdir(mine)


def comm(pid):
    """The name of a process, "" of one that is gone."""
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as f:
            return f.read().strip()
    except OSError:
        return ""


def is_stopped(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        return f.read().rpartition(")")[2].split()[0] == "T"


def command_line(pid):
    """Arguments of a process; [name] of one without, "" of one that is gone or dead."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
            name, _, rest = f.read().partition("(")[2].rpartition(")")
        if rest.split()[0] in "ZX":
            return ""
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().replace(b"\0", b" ").decode(errors="replace").strip() or f"[{name}]"
    except (OSError, IndexError):
        return ""


def mounts(pid="self"):
    """Mount points of the mount namespace of a process."""
    with open(f"/proc/{pid}/mountinfo", encoding="utf-8", errors="replace") as f:
        return sorted(line.split(" ")[4] + " " + line.split(" - ")[1].strip() for line in f)


def loops(below):
    """Loop devices on files below a directory: those of others are none of ours."""
    found = []
    for name in sorted(os.listdir("/sys/block")):
        with contextlib.suppress(OSError), open(f"/sys/block/{name}/loop/backing_file", encoding="utf-8") as f:
            file = f.read().strip()
            if file.startswith(below):
                found.append(f"{name} {file}")
    return found


def tree(path):
    """Every file below path with what an unwanted change would change."""
    found = {}
    for directory, names, files in os.walk(path):
        for name in names + files:
            full = os.path.join(directory, name)
            s = os.lstat(full)
            found[os.path.relpath(full, path)] = (s.st_mode, s.st_uid, s.st_gid, s.st_size, s.st_mtime_ns)
    return found


def kill_group(process):
    """The end of a Popen that a test forgot."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def enter(fd):
    """Moves this thread into a network namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(fd, 0x40000000) != 0:  # CLONE_NEWNET
        raise OSError(ctypes.get_errno(), "setns")


@contextlib.contextmanager
def in_network(pid):
    """The network namespace of a process, for the sockets made in the block: they stay there."""
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    there = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        enter(there)
        try:
            yield
        finally:
            enter(here)
    finally:
        os.close(there)
        os.close(here)


def command_json(*argv):
    run = subprocess.run(argv, capture_output=True, text=True, check=True)
    return json.loads(run.stdout or "[]")


def network(node):
    """What pots have of the network: links, leases, ports, elements of the rules."""
    links = sorted(link["ifname"] for link in command_json("ip", "-j", "link") if link["ifname"].startswith("pv"))
    records = sorted(os.path.relpath(os.path.join(d, f), node.root) for area in ("leases", "ports", "pots", "alias")
                     for d, _, files in os.walk(os.path.join(node.root, "net", area)) for f in files if f[0] != ".")
    elements = {}
    for part in command_json("nft", "-j", "list", "ruleset")["nftables"]:
        for kind in ("set", "map"):
            if kind in part and part[kind]["name"] not in ("hairpin", "within", "nat6"):
                found = part[kind].get("elem", [])
                if found:
                    elements[part[kind]["table"] + " " + part[kind]["name"]] = found
    return {"links": links, "records": records, "elements": elements}


def rates(pid):
    """What the kernel limits the links of a pot to, in bits per second: to it and from it; None: nothing.

    All links of a pot have the same.
    """
    found = []
    inner = json.loads(inside(pid, "ip", "-j", "link"))
    mine = {link["ifindex"] for link in inner if link["ifname"] != "lo"}
    outer = [link["ifname"] for link in command_json("ip", "-j", "link") if link.get("link_index") in mine
             and link["ifname"].startswith("pv") and link["ifindex"] in {i.get("link_index") for i in inner}]
    assert len(outer) == len(mine), (outer, inner)
    for text, names in ((run_text("tc", "-j", "qdisc"), outer),
                        (inside(pid, "tc", "-j", "qdisc"), [i["ifname"] for i in inner if i["ifname"] != "lo"])):
        each = {name: None for name in names}
        for queue in json.loads(text or "[]"):
            if queue["kind"] == "tbf" and queue["dev"] in each:
                each[queue["dev"]] = 8 * queue["options"]["rate"]
        assert len(set(each.values())) == 1, each
        found.append(next(iter(each.values())))
    return tuple(found)


def run_text(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def inside(pid, *argv):
    """What a program of the host prints in the network namespace of a process."""
    return run_text("nsenter", "-t", str(pid), "-n", *argv)
