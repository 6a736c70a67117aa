"""What a pot sees of the machine, and what the machine sees of a pot: from /proc, not from pot's own words."""

import os

import pytest

import lab


def init_pid(node, name):
    pid = node.info(name)["pid"]
    assert pid and lab.command_line(pid)
    return pid


def test_own_namespaces(node):
    """Processes of a pot are in pid, mount, uts, ipc and cgroup namespaces of their own; net only with none."""
    node.run("shared")
    node.make("alone", "sleep 100000", "-N", "none")
    node("start", "alone")
    for name, net in (("shared", False), ("alone", True)):
        pid = init_pid(node, name)
        for kind in ("pid", "mnt", "uts", "ipc", "cgroup", "net"):
            own = os.readlink(f"/proc/{pid}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}")
            assert own == (kind != "net" or net), (name, kind)


def test_network_none(onode):
    """-N none has a loopback that is up and nothing else."""
    onode.make("a", "sleep 100000", "-N", "none", "--cap-add", "net_raw")
    onode("start", "a")
    assert onode.sh("a", "ls /sys/class/net") == "lo\n"
    onode("exec", "a", "ping", "-c", "1", "-W", "5", "127.0.0.1")
    onode("exec", "a", "ping", "-6", "-c", "1", "-W", "5", "::1")


def test_host_mounts_unchanged(node):
    """A running pot adds nothing to the host's mount table (on ZFS only its own dataset's mount point)."""
    before = set(node.mounts())
    node.run("a")
    added = set(node.mounts()) - before
    if node.storage == "zfs":
        assert all("zfs" in line for line in added)
    else:
        assert added == set()


def test_pot_sees_only_its_mounts(onode):
    """Inside, / is the pot's root and no path of the host's mount table is visible."""
    onode.run("a")
    mounted = [line.split()[1] for line in onode.sh("a", "cat /proc/mounts").splitlines()]
    assert mounted[0] == "/" and mounted.count("/") == 1
    assert all(m == "/" or m.split("/")[1] in ("proc", "sys", "dev", "etc", "tmp") for m in mounted), mounted
    assert onode.root not in onode.sh("a", "cat /proc/self/mountinfo | cut -d' ' -f5")


def test_fresh_proc_and_dev(node):
    """/proc shows the pot's processes only; /dev has the usual nodes and no disk; /sys cannot be written."""
    node.run("a")
    pids = node.sh("a", "ls /proc | grep '^[0-9]' | wc -l")
    assert int(pids) <= 6
    assert node.sh("a", "cat /proc/1/comm").strip()
    names = set(node.sh("a", "ls /dev").split())
    assert {"null", "zero", "full", "random", "urandom", "tty", "pts", "ptmx", "shm", "fd", "stdin", "stdout",
            "stderr"} <= names
    assert not any(n.startswith(("sd", "vd", "nvme", "loop", "mem", "kmsg")) for n in names)
    assert node.sh("a", "echo x > /dev/null; head -c 4 /dev/zero | wc -c; echo y > /dev/stdout") == "4\ny\n"
    assert node.call("exec", "a", "sh", "-c", "echo 1 > /sys/kernel/mm/ksm/run").status != 0


def test_hostname(onode):
    """The hostname inside is the pot's and the host's stays."""
    before = os.uname().nodename
    onode.run("a")
    assert onode.sh("a", "hostname").strip() == onode.info("a")["hostname"]
    assert onode.call("exec", "a", "hostname", "evil").status != 0
    assert os.uname().nodename == before


def test_init_has_three_descriptors(onode):
    """No process of a pot holds a descriptor of pot's own: the command has 0, 1, 2, and so has PID 1 but for its
    own means."""
    onode.run("a", "sleep 100000")
    for task in onode("--format", "json", "top", "a").json():
        if task["command"].startswith("sleep"):
            assert set(os.listdir(f"/proc/{task['host_pid']}/fd")) == {"0", "1", "2"}
        for fd in os.listdir(f"/proc/{task['host_pid']}/fd"):
            target = os.readlink(f"/proc/{task['host_pid']}/fd/{fd}")
            assert not target.startswith(onode.root), (task, fd, target)


def test_clean_process_state(onode):
    """The command starts with empty signal masks, default dispositions and the usual umask, whatever the caller
    of start had."""
    onode.make("a", "sleep 100000")

    def soil():
        import signal
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR1})
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        os.umask(0o077)

    assert onode.call("start", "a", preexec=soil).status == 0
    sleeper = next(t for t in onode("--format", "json", "top", "a").json() if t["command"].startswith("sleep"))
    with open(f"/proc/{sleeper['host_pid']}/status", encoding="ascii") as f:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
    assert int(status["SigBlk"], 16) == 0
    assert int(status["SigIgn"], 16) == 0
    assert status["Umask"] == "0022"


@pytest.mark.parametrize("path, link", [
    ("/dev", "BAIT"), ("/dev", "../../../../../..BAIT"), ("/proc", "BAIT"), ("/sys", "/nowhere"), ("/dev", "/dev"),
    ("/etc", "BAIT"), ("/etc/hosts", "/etc/shadow"), ("/etc/resolv.conf", "BAIT/x"), ("/dev/pts", "BAIT"),
])
def test_hostile_mount_points(node, place, path, link):
    """A root whose /dev, /proc, /sys or /etc files are links starts with its mounts inside, or fails; the host
    gets no mount and no file."""
    node.run("a", "sleep 100000", "-N", "inherit", "--cap-add", "sys_admin", "--seccomp", "unconfined")
    bait = os.path.join(place, "bait")  # a directory here and in the pot
    os.makedirs(bait, exist_ok=True)
    link = link.replace("BAIT", bait)
    node.sh("a", f"mkdir -p /old {bait}")
    node("stop", "a")
    node("snapshot", "-p", "a", "-n", "good")
    node("start", "a")
    # A mount point cannot be replaced; in a namespace where nothing is mounted on it, it can.
    node.sh("a", f"""unshare -m sh -c 'for m in $(cut -d" " -f2 /proc/mounts | sort -r); do
                     [ $m = / ] || umount -l $m; done; mkdir -p {path} 2>/dev/null;
                     mv {path} /old/; ln -s {link} {path}'""")
    node("stop", "a")
    before = node.mounts()
    result = node.call("start", "a")
    assert os.listdir(bait) == []
    if node.storage != "zfs":
        assert node.mounts() == before
    if result.status != 0:
        assert result.err.count("\n") == 1, result
        assert node.states()["a"] != "running"
    else:
        assert node("exec", "a", "echo", "alive").out == "alive\n"


def test_program_of_the_host_is_safe(onode):
    """A pot whose command is /proc/self/exe or a script of it neither runs nor changes the host's programs."""
    with open(onode.program, "rb") as f:
        before = f.read()
    onode.run("a")
    onode.sh("a", "printf '#!/proc/self/exe\\n' > /bin/trick; chmod 755 /bin/trick")
    for command in ("/proc/self/exe", "/bin/trick"):
        result = onode.call("exec", "a", "sh", "-c", f"exec {command} --version")
        assert "pot version" not in result.out
        onode.call("exec", "a", command)
    onode.sh("a", "for p in /proc/[0-9]*/exe; do echo x >> $p; done 2>/dev/null; true")
    with open(onode.program, "rb") as f:
        assert f.read() == before
    shim = os.path.join(os.path.dirname(onode.program), "pot-shim")
    build = os.environ.get("POT_BUILD", os.path.join(lab.TREE, "build", "debug"))
    if "POT_BIN" not in os.environ:
        with open(shim, "rb") as f, open(os.path.join(build, "src/shim/pot-shim"), "rb") as g:
            assert f.read() == g.read()


def test_ipc_and_shm_are_own(onode):
    """/dev/shm is the pot's own."""
    onode.run("a")
    onode.sh("a", "echo secret > /dev/shm/pot-blackbox-test")
    assert not os.path.exists("/dev/shm/pot-blackbox-test")
