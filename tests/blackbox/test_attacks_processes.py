"""Attacks by processes of a pot: on what joins it, on its own PID 1, on the host's programs, and out of its walls."""

import os
import signal
import subprocess

import pytest

import lab

# The capabilities that root in a pot has unless it is told otherwise.
DEFAULT_CAPS = 0x800405fb  # CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE SYS_CHROOT SETFCAP


@pytest.fixture
def pot_a(onode, attack):
    """A running pot "a" with the program of attacks in it."""
    onode.run("a")
    onode("cp", attack, "a:/bin/attack")
    return onode


def host_pid(node, name, word):
    """The host's pid of a pot's process."""
    return next(t["host_pid"] for t in node("--format", "json", "top", name).json() if word in t["command"])


def test_t16_t30_descriptors_of_the_caller(onode, place):
    """T16, T30: a caller that leaks directories, sockets and devices on many numbers, and that stands in a removed
    directory, starts and joins pots that have 0, 1 and 2 and nothing of the host."""
    gone = os.path.join(place, "gone")
    os.mkdir(gone)

    def leak():
        os.chdir(gone)
        os.rmdir(gone)
        for number, path in ((3, "/"), (4, place), (7, "/etc"), (9, "/proc"), (10, "/dev/null"), (31, "/"), (200, "/")):
            fd = os.open(path, os.O_RDONLY)
            os.dup2(fd, number, inheritable=True)

    # The numbers of an exec: ls itself has one on the directory it lists.
    onode.make("a", "sh -c 'ls /proc/self/fd > /root/fds; ls -l /proc/1/fd; exec sleep 100000'")
    assert onode.call("start", "a", preexec=leak).status == 0
    os.mkdir(gone)
    result = onode.call("exec", "a", "sh", "-c", "ls /proc/self/fd; ls -l /proc/self/cwd /proc/self/fd", preexec=leak)
    assert result.status == 0, result
    assert result.out.split()[:4] == ["0", "1", "2", "3"] and place not in result.out, result
    lab.wait_until(lambda: onode.call("exec", "a", "test", "-s", "/root/fds").status == 0, "the command's list")
    assert onode.sh("a", "cat /root/fds").split() == ["0", "1", "2", "3"]
    assert place not in onode.log("a")
    for task in onode("--format", "json", "top", "a").json():
        for fd in os.listdir(f"/proc/{task['host_pid']}/fd"):
            assert os.readlink(f"/proc/{task['host_pid']}/fd/{fd}").startswith(("/dev/null", "pipe:", "anon_inode:",
                                                                                "mnt:", "/")), task
            assert not os.readlink(f"/proc/{task['host_pid']}/fd/{fd}").startswith(place), task


def test_t18_programs_of_the_host(pot_a, place):
    """T18: a pot whose command, or whose command's interpreter, is /proc/self/exe, and that writes to the programs
    of all processes it sees while it is started and joined, cannot change pot's programs."""
    directory = os.path.dirname(pot_a.program)
    programs = [entry.path for entry in os.scandir(directory) if entry.is_file()]
    before = {path: open(path, "rb").read() for path in programs}
    writer = pot_a.start("exec", "a", "sh", "-c", "echo ready; while :; do for p in /proc/[0-9]*/exe; do"
                         " printf x 2>/dev/null >> $p; done; done")
    assert writer.stdout.readline() == b"ready\n"
    pot_a.sh("a", "printf '#!/proc/self/exe\\n' > /bin/trick; printf '#!/proc/1/exe\\n' > /bin/trick1; chmod 755 /bin/tr*")
    for command in ("/proc/self/exe", "/bin/trick", "/bin/trick1", "/proc/1/exe", "/proc/self/fd/0"):
        for _ in range(5):
            result = pot_a.call("exec", "a", command, "version")
            assert "pot version" not in result.out and result.status != 0, (command, result)
        pot_a.make("b" + str(hash(command) % 100000), command)
        result = pot_a.call("start", "--attach", "b" + str(hash(command) % 100000))
        assert result.status != 0, (command, result)
    lab.kill_group(writer)
    for path, content in before.items():
        with open(path, "rb") as f:
            assert f.read() == content, path


def test_t25_state_of_a_process(pot_a):
    """T25: command and joined command begin with the declared capabilities, none inheritable or ambient, no new
    privileges, a filter, no supplementary groups, and default mask, dispositions, umask and out-of-memory score."""
    with open("/proc/self/oom_score_adj", "w", encoding="ascii") as f:
        f.write("0")

    def soil():
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR1})
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.umask(0o077)
        os.setgroups([4, 24, 27])

    pot_a("stop", "-t", "0", "a")
    assert pot_a.call("start", "a", preexec=soil).status == 0
    pot_a("exec", "-d", "a", "sleep", "99999", preexec=soil)
    pot_a("exec", "-d", "-u", "alice", "a", "sleep", "88888", preexec=soil)
    for word, caps in (("sleep 100000", DEFAULT_CAPS), ("sleep 99999", DEFAULT_CAPS), ("sleep 88888", 0)):
        lab.wait_until(lambda: any(word in t["command"] for t in pot_a("--format", "json", "top", "a").json()), word)
        pid = host_pid(pot_a, "a", word)
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
        assert int(status["CapEff"], 16) == caps, (word, status["CapEff"])
        assert int(status["CapPrm"], 16) == caps and int(status["CapBnd"], 16) == DEFAULT_CAPS, word
        assert int(status["CapInh"], 16) == 0 and int(status["CapAmb"], 16) == 0, word
        assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2", word
        assert int(status["SigBlk"], 16) == 0 and int(status["SigIgn"], 16) == 0, word
        assert status["Umask"] == "0022", word
        assert pot_a.sh("a", f"grep ^Groups /proc/{inside(pid)}/status").split()[1:] in (
            [["0"], []] if caps else [["50", "1000"]]), word
        with open(f"/proc/{pid}/oom_score_adj", encoding="ascii") as f:
            assert f.read() == "0\n"


def inside(pid):
    """The pid that a pot's process has in the pot."""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(line for line in f if line.startswith("NSpid:")).split()[-1]


def test_t21_masked_paths(pot_a):
    """T21: what is masked reads empty and what is read-only refuses writes, for root too; neither can be taken off."""
    before = {path: open(path, encoding="ascii").read() for path in
              ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/printk", "/proc/sys/vm/overcommit_memory")}
    for path in ("/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug", "/proc/latency_stats"):
        if os.path.exists(path):
            assert pot_a.sh("a", f"cat {path} | wc -c").strip() == "0", path
    for path in ("/proc/acpi", "/proc/scsi", "/sys/firmware"):
        if os.path.isdir(path):
            assert pot_a.sh("a", f"ls -A {path} | wc -l").strip() == "0", path
    pot_a.sh("a", "umount /proc/kcore /proc/sys /proc/keys /sys 2>/dev/null; mount -o remount,rw /proc/sys 2>/dev/null;"
                  " mount -t proc proc /mnt 2>/dev/null; mount -t sysfs s /mnt 2>/dev/null; mount -t tmpfs t /mnt 2>/dev/null; true")
    for path in ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/sysrq", "/proc/sys/vm/overcommit_memory",
                 "/proc/sysrq-trigger", "/proc/irq/default_smp_affinity", "/proc/sys/kernel/modprobe",
                 "/proc/fs/x", "/sys/kernel/uevent_helper", "/sys/kernel/mm/ksm/run", "/sys/power/state",
                 "/sys/fs/cgroup/release_agent", "/sys/fs/cgroup/cgroup.procs"):
        result = pot_a.call("exec", "a", "sh", "-c", f"echo '|/x' > {path}")
        assert result.status != 0, path
    assert pot_a.sh("a", "ls -A /mnt") == ""
    for path, value in before.items():
        with open(path, encoding="ascii") as f:
            assert f.read() == value, path


def test_t23_proc_of_the_image(onode, place, box):
    """T23: a root that brings files of its own at /proc and /sys is given the real ones: what pot writes and reads
    there goes to the kernel."""
    root = os.path.join(place, "fake-proc")
    subprocess.run(["cp", "-a", box, root], check=True)
    os.makedirs(os.path.join(root, "proc", "self", "attr"))
    os.makedirs(os.path.join(root, "proc", "sys", "kernel"))
    with open(os.path.join(root, "proc", "sys", "kernel", "hostname"), "w", encoding="ascii") as f:
        f.write("fake\n")
    try:
        onode("create-base", "-b", "fake", "--from", root)
        onode("create", "-p", "a", "-b", "fake", "-N", "none")
        onode("set-cmd", "-p", "a", "-c", "sleep 100000")
        onode("start", "a")
        assert onode.sh("a", "stat -f -c %T /proc /sys").split() == ["proc", "sysfs"]
        assert onode.sh("a", "cat /proc/sys/kernel/hostname").strip() == onode.info("a")["hostname"]
    finally:
        onode.call("destroy", "-F", "a")
        onode.call("destroy", "-b", "fake")
        subprocess.run(["rm", "-rf", root], check=True)


def test_walls_refuse_the_ways_out(pot_a):
    """The system call filter and the capabilities refuse root in a pot every call that opens a way out; calls that
    nobody knows do not exist."""
    answers = dict(line.split() for line in pot_a("exec", "a", "/bin/attack", "calls").out.splitlines())
    eperm, enosys, eafnosupport = "1", "38", "97"
    wanted = {"clone3": enosys, "unknown": enosys, "vsock": eafnosupport, "alg": eafnosupport}
    assert len(answers) > 25
    for name, answer in answers.items():
        assert answer == wanted.get(name, eperm), (name, answer)


def test_unconfined_needs_to_be_asked_for(onode, attack):
    """--seccomp FILE replaces the default filter by the profile, also for joined commands; a wrong file is refused
    with its place, and nothing is made."""
    profile = os.path.join(os.path.dirname(attack), "profile.json")
    with open(profile, "w", encoding="ascii") as f:
        f.write('{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"],'
                ' "action": "SCMP_ACT_ERRNO", "errnoRet": 95}]}')
    onode("create", "-p", "a", "-b", "box", "-N", "none", "--seccomp", profile)
    onode("set-cmd", "-p", "a", "-c", "sh -c 'mkdir /x; exec sleep 100000'")
    onode("start", "a")
    lab.wait_until(lambda: "not supported" in onode.log("a"), "the refusal in the log")
    assert "not supported" in onode.call("exec", "a", "mkdir", "/y").err
    assert onode.call("exec", "a", "ls", "/x", "/y").status == 1
    with open(profile, "w", encoding="ascii") as f:
        f.write('{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdirr"], "action": "SCMP_ACT_ERRNO"}]}')
    onode.fails("create", "-p", "b", "-b", "box", "-N", "none", "--seccomp", profile,
                says=["syscalls[0]", "mkdirr"])
    assert "b" not in onode.states()
    os.unlink(profile)


def test_t28_exec_into_a_dying_pot(onode):
    """T28: commands that join a pot while its PID 1 is killed run in it or fail with a status of 125 or more; no
    process of theirs is left, neither outside nor in the next run."""
    onode.make("a", "sleep 100000")
    for _ in range(8):
        onode("start", "a")
        pid = onode.info("a")["pid"]
        joiners = [onode.start("exec", "a", "sleep", "4242") for _ in range(4)]
        os.kill(pid, signal.SIGKILL)
        for joiner in joiners:
            joiner.wait(timeout=lab.HANG)
            assert joiner.returncode >= 125, (joiner.returncode, joiner.stderr.read())
            joiner.stdout.close()
            joiner.stderr.close()
        onode.call("wait", "a")
        assert not [p for p in os.listdir("/proc") if p.isdigit() and "sleep 4242" in lab.command_line(int(p))]
        onode.fails("exec", "a", "true", status=125)


@pytest.mark.parametrize("user", ["root", "alice"])
def test_t29_tracing_who_joins(pot_a, user):
    """T29: a process of the pot that looks at and traces everything that appears there never gets hold of one that
    joins before it is the pot's own: no program, directory, root or descriptor of the host is shown."""
    watcher = pot_a.start("exec", "a", "/bin/attack", "watch", "/root/seen")
    assert watcher.stdout.readline() == b"ready\n", watcher.stderr.read()
    for _ in range(25):
        pot_a.call("exec", "-u", user, "a", "/bin/attack", "ids")
    os.killpg(watcher.pid, signal.SIGTERM)
    watcher.wait(timeout=lab.HANG)
    seen = pot_a.sh("a", "cat /root/seen")
    lines = {tuple(line.split(" ", 1)) for line in seen.splitlines() if " " in line}
    mine = {name: {value for key, value in lines if key == name} for name in ("exe", "cwd", "root", "traced")}
    assert mine["exe"] <= {"/bin/attack", "/bin/busybox"}, mine["exe"]
    assert mine["traced"] <= {"/bin/attack", "/bin/busybox", "?"}, mine["traced"]
    assert mine["cwd"] <= {"/", "/root", "/home/alice"} and mine["root"] <= {"/"}, mine
    directory = os.path.dirname(pot_a.program)
    for key, value in lines:
        assert not value.startswith(("/var/tmp", directory)), (key, value)
        assert not key.startswith("fd/") or value.startswith(("pipe:", "/dev/null", "/dev/pts", "/proc", "socket:")) or (
            int(key[3:]) < 3), (key, value)


def test_signals_to_pid_1(pot_a):
    """Every signal that a user and root in the pot send to its PID 1 ends neither it nor the shim: with a command
    that ignores what is passed on to it, the pot goes on."""
    pot_a("stop", "-t", "0", "a")
    pot_a("set-cmd", "-p", "a", "-c", "/bin/attack deaf")
    pot_a("start", "a")
    lab.wait_until(lambda: "ready" in pot_a.log("a"), "the command")
    pid = pot_a.info("a")["pid"]
    assert pot_a("exec", "-u", "alice", "a", "/bin/attack", "signals").out == "0\n"
    for _ in range(3):
        assert int(pot_a("exec", "a", "/bin/attack", "signals").out) > 60
    assert pot_a("exec", "a", "echo", "alive").out == "alive\n"
    assert pot_a.states()["a"] == "running" and pot_a.info("a")["pid"] == pid
    pot_a("stop", "-t", "0", "a")


@pytest.mark.parametrize("user", [
    "0x0", "00x0", "4294967296", "4294967295", "18446744073709551616", "-1", "+0", " 0", "0 ", "1:0:0", ":", ":0", "0:",
    "root\n", "root\nalice", "alice:0x0", "alice:-1", "alice:4294967295", "alice:4294967296", "alice:nobody", "Root",
    "ROOT", "root:x", "1000:", "nobody", "../root", "$(id)", "a" * 5000, "\u202eroot", "\x1b[31mroot"])
def test_t24_users(onode, user):
    """T24: a user that is no exact number or name is refused in one line, and never becomes root."""
    onode.run("a")
    result = onode.call("exec", "-u", user, "a", "id", "-u")
    assert result.status in (2, 125) and result.out == "", result
    assert result.err.count("\n") == 1 and "\x1b" not in result.err and "\u202e" not in result.err, result


def test_t10_joined_terminal(pot_a):
    """A command in the pot cannot type into the terminal of the caller (TIOCSTI), and the terminal it has is the
    pot's own."""
    terminal = pot_a.terminal("exec", "-t", "a", "sh", "-c", "tty; /bin/attack calls | grep tiocsti; ls -l /proc/self/fd/0")
    said = terminal.expect("tiocsti-high-bits 1")
    assert "/dev/pts/" in said and "tiocsti 1" in said, said
    terminal.end()
