"""What separates a pot from the host, looked at from inside and from outside, and every option that changes it."""

import json
import os
import stat

import pytest

import lab

SMALL = 0x800405fb  # chown … setfcap: what a pot's root has


@pytest.fixture
def pot(node):
    node.run("a")
    return node


def status_of(node, name, *words, user=None):
    """/proc/self/status of a process that exec starts, as a dictionary."""
    args = ("-u", user) if user else ()
    text = node("exec", *args, name, "cat", "/proc/self/status").out
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def main_status(node, name):
    """The same of the pot's command, as the host sees it."""
    init = node.info(name)["pid"]
    with open(f"/proc/{init}/task/{init}/children", encoding="ascii") as f:
        main = f.read().split()[0]
    with open(f"/proc/{main}/status", encoding="ascii") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def mapped(node, name="a"):
    """First id of the pot's range, or None: zfs-fuse cannot map."""
    ns = node.info(name)["user_namespace"]
    return ns and ns["first"]


# ---- ids --------------------------------------------------------------------------------------------------


def test_owners_both_ways(pot, tmp_path):
    """Owners look the same from inside, through cp and on the disk, whether the pot runs or not."""
    first = mapped(pot)
    assert (first is None) == (pot.storage == "zfs")
    if first is None:
        assert "cannot map" in pot.info("a")["user_namespace_why"]
    pot.sh("a", "echo 1 > /mine; echo 2 > /home/alice/hers; chown 1000:1000 /home/alice/hers; "
                "mkdir /d; chown 7:8 /d; ln -s mine /link")
    seen = "0:0\n1000:1000\n7:8\n0:0\n"
    look = "stat -c %u:%g /mine /home/alice/hers /d /link"
    assert pot.sh("a", look) == seen
    for state in ("running", "stopped"):
        if state == "stopped":
            pot("stop", "a")
        out = tmp_path / state
        out.mkdir()
        for path in ("/mine", "/home/alice/hers", "/d"):
            pot("cp", f"a:{path}", str(out))
        assert [(os.lstat(out / n).st_uid, os.lstat(out / n).st_gid) for n in ("mine", "hers", "d")] == \
            [(0, 0), (1000, 1000), (7, 8)]
        os.chown(out / "hers", 1000, 50)
        pot("cp", str(out), f"a:/from-{state}")
    pot("start", "a")
    assert pot.sh("a", look) == seen
    for state in ("running", "stopped"):
        assert pot.sh("a", f"stat -c %u:%g /from-{state}/mine /from-{state}/hers /from-{state}/d") == \
            "0:0\n1000:50\n7:8\n"


def test_snapshot_and_clone_have_owners(pot):
    """Snapshots and clones carry owners, though every pot has another range."""
    pot.sh("a", "touch /f; chown 1000:1000 /f")
    pot("stop", "a")
    pot("snapshot", "-p", "a", "-n", "s")
    pot("clone", "-p", "b", "-P", "a", "-N", "inherit")
    pot("start", "a")
    pot("start", "b")
    assert pot.sh("b", "stat -c %u:%g /f") == "1000:1000\n"
    if mapped(pot):
        assert abs(mapped(pot, "a") - mapped(pot, "b")) >= 65536
    pot("stop", "a")
    pot("rollback", "a")
    pot("start", "a")
    assert pot.sh("a", "stat -c %u:%g /f") == "1000:1000\n"


def test_nobody_on_the_host(pot):
    """Root of the pot is no user of the host, and top shows ids as the pot has them."""
    uid = int(main_status(pot, "a")["Uid"].split()[0])
    assert uid == (mapped(pot) or 0)
    tasks = pot("--format", "json", "top", "a").json()
    assert {t["user"] for t in tasks} == {"root"}


def test_range_is_returned(onode, tmp_path):
    """A destroyed pot's range goes to the next one; two pots never share one; none left is an error that says so."""
    onode.make("a")
    first = mapped(onode)
    onode("destroy", "a")
    onode.make("b")
    assert mapped(onode, "b") == first
    onode.make("c")
    assert mapped(onode, "c") != first
    conf = str(tmp_path / "few.conf")
    with open(conf, "w", encoding="ascii") as f:
        f.write("userns_count = 2\n")
    result = onode.call("--config", conf, "create", "-p", "d", "-b", "box", "-N", "none")
    if result.status == 0:  # the two were outside of this table: fill it
        result = onode.call("--config", conf, "create", "-p", "e", "-b", "box", "-N", "none")
        result = onode.call("--config", conf, "create", "-p", "f", "-b", "box", "-N", "none")
    assert result.status == 1 and "userns_count" in result.err, result


def test_userns_setting(onode):
    """off and host use the host's ids, on is refused only where it cannot be had."""
    onode.make("a", "sleep 100000", "-N", "none", "--userns", "host")
    onode("start", "a")
    assert mapped(onode) is None and onode.info("a")["user_namespace_why"] == "it is switched off"
    assert main_status(onode, "a")["Uid"].split()[0] == "0"
    assert int(main_status(onode, "a")["CapBnd"], 16) == SMALL
    onode.make("b", "sleep 100000", "-N", "none", "--userns", "on")
    onode("start", "b")
    assert mapped(onode, "b") == int(main_status(onode, "b")["Uid"].split()[0])


def test_mount_in_plain_and_mapped(onode, place):
    """A plain mount shows the host's users as nobody and gives them no rights; --idmap shows them as the pot's."""
    data = os.path.join(place, "data-walls")
    os.mkdir(data, 0o755)
    with open(os.path.join(data, "f"), "w", encoding="ascii") as f:
        f.write("x\n")
    onode.run("a")
    onode("mount-in", "-p", "a", "-d", data, "-m", "/plain")
    onode("mount-in", "-p", "a", "-d", data, "-m", "/mapped", "--idmap")
    for _ in range(2):
        assert onode.sh("a", "stat -c %u /plain/f /mapped/f") == "65534\n0\n"
        assert onode.call("exec", "a", "touch", "/plain/new").status != 0
        onode.sh("a", "touch /mapped/new")
        assert os.stat(os.path.join(data, "new")).st_uid == 0
        os.unlink(os.path.join(data, "new"))
        onode("restart", "a")
    assert [m["idmap"] for m in onode.info("a")["mounts"]] == [False, True]


# ---- what the command starts with (T16, T25) ----------------------------------------------------------------


@pytest.mark.parametrize("user", [None, "alice"])
def test_rights_of_exec(pot, user):
    """Bounding set as declared, nothing inheritable or ambient, no_new_privs; other users than root hold nothing."""
    s = status_of(pot, "a", user=user)
    own = SMALL if user is None else 0
    assert [int(s[k], 16) for k in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")] == [0, own, own, SMALL, 0]
    assert s["NoNewPrivs"] == "1" and s["Seccomp"] == "2"
    assert s["Groups"].split() == ([] if user is None else ["50", "1000"]) or s["Groups"].split() == ["1000", "50"]
    assert int(s["SigBlk"], 16) == int(s["SigIgn"], 16) == int(s["SigCgt"], 16) == 0


def test_rights_of_the_command(onode):
    """The same for the pot's command, though pot itself was started with other things."""
    onode.make("a", "sh -c 'grep -E \"^(Cap|NoNew|Seccomp:|Groups|Sig)\" /proc/self/status; umask; "
                    "cat /proc/self/oom_score_adj; ls /proc/self/fd; cat /proc/self/sessionid; sleep 100000'")
    onode("start", "a")
    s = main_status(onode, "a")
    assert [int(s[k], 16) for k in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")] == [0, SMALL, SMALL, SMALL, 0]
    assert s["NoNewPrivs"] == "1" and s["Seccomp"] == "2" and s["Groups"].strip() == ""
    init = onode.info("a")["pid"]
    with open(f"/proc/{init}/oom_score_adj", encoding="ascii") as f:
        assert f.read() == "0\n"
    assert os.readlink(f"/proc/{init}/cwd") == "/"


def test_oom_score_of_the_caller_stays_outside(onode):
    """A pot that is started by a protected or a doomed process is neither."""
    onode.make("a", "sleep 100000")
    argv = " ".join(onode.argv("start", "a"))
    assert os.system(f"echo 500 > /proc/self/oom_score_adj; sh -c 'echo 500 > /proc/self/oom_score_adj; {argv}'") == 0
    with open(f"/proc/{onode.info('a')['pid']}/oom_score_adj", encoding="ascii") as f:
        assert f.read() == "0\n"


def test_pid_1_is_out_of_reach(pot):
    """Nobody in the pot can trace PID 1, read its memory or its descriptors, or reach the shim."""
    for what in ("readlink /proc/1/fd/5", "cat /proc/1/environ", "cat /proc/1/maps", "ls /proc/1/root/", "readlink /proc/1/exe"):
        assert pot.call("exec", "a", "sh", "-c", what).status != 0, what
    assert pot.sh("a", "ls -d /proc/[0-9]* | wc -l").strip() in ("3", "4", "5")


def test_own_session_keyring(pot):
    """The command has a session keyring of its own: not that of who started it."""
    text = pot.sh("a", "cat /proc/key-users /proc/keys 2>/dev/null; true")
    assert "_ses" not in text


# ---- the kernel's file systems (T21, T23) -------------------------------------------------------------------

MASKED = ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/interrupts", "/proc/sched_debug", "/proc/latency_stats"]
EMPTY = ["/proc/acpi", "/proc/scsi", "/proc/asound", "/sys/firmware", "/sys/dev/block", "/sys/fs/selinux",
         "/sys/devices/virtual/powercap"]
READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/sys", "/sys/fs/cgroup", "/sys/kernel"]


def test_masks(pot):
    """Each masked path reads empty, each read-only one refuses as such, after everything is mounted."""
    text = pot.sh("a", f"for f in {' '.join(MASKED)}; do [ -e $f ] && head -c 1 $f | wc -c; done;"
                       f"for d in {' '.join(EMPTY)}; do [ -e $d ] && ls -A $d; done; true")
    assert set(text.split()) <= {"0"} and text.count("0") >= 3
    for path in READ_ONLY + EMPTY:
        result = pot.call("exec", "a", "sh", "-c", f"[ ! -e {path} ] || mkdir {path}/x")
        assert result.status == 0 or "Read-only" in result.err or path in ("/proc/bus", "/proc/fs", "/proc/irq",
                                                                           "/proc/sys"), result
    for name in ("kernel/hostname", "kernel/core_pattern", "vm/overcommit_memory"):
        assert "Read-only" in pot.call("exec", "a", "sh", "-c", f"echo x > /proc/sys/{name}").err


def test_nothing_over_proc(onode, place):
    """No mount of the user's goes over or into /proc and /sys, by no name."""
    onode.run("a")
    onode.sh("a", "ln -s /proc /p; ln -s /sys/kernel /k; mkdir /q; ln -s ../proc/tty /q/t")
    for target in ("/proc", "/proc/sys", "/p", "/k", "/p/tty", "/q/t", "/sys/fs/cgroup"):
        result = onode.call("mount-in", "-p", "a", "-d", place, "-m", target)
        assert result.status == 1, target
        onode("stop", "a")
        onode.call("mount-in", "-p", "a", "-d", place, "-m", target)
        assert onode.call("start", "a").status == 1, target
        onode("mount-out", "-p", "a", "-m", target)
        onode("start", "a")


def test_proc_of_the_root_is_no_fake(onode, place):
    """A root whose /proc is a link gets its real procfs there, or the pot does not start."""
    onode.make("a", "sleep 100000", "-N", "none")
    onode.make("m", "sleep 100000", "-N", "inherit", "--cap-add", "sys_admin", "--seccomp", "unconfined")
    onode("start", "m")
    onode.sh("m", "mkdir -p /x/y; unshare -m sh -c 'for m in $(cut -d\" \" -f2 /proc/mounts | sort -r); do "
                  "[ $m = / ] || umount -l $m; done; rmdir /proc && ln -s x/y /proc'")
    onode("stop", "m")
    if onode.call("start", "m").status == 0:
        assert onode.sh("m", "head -1 /proc/self/status").startswith("Name:")
        assert "Read-only" in onode.call("exec", "m", "sh", "-c", "echo x > /proc/sys/kernel/hostname").err
        onode("stop", "m")
        # A mount above the place where it landed would hide it: then there is no start.
        onode("mount-in", "-p", "m", "-d", place, "-m", "/x")
        onode.fails("start", "m", says="/proc")


def test_own_groups_only(pot):
    """/sys/fs/cgroup shows the pot's own groups as roots, read-only, in the host's layout."""
    assert pot.sh("a", "cat /proc/self/cgroup | cut -d: -f3 | sort -u | grep -v '^/\\.\\.' | head -1") == "/\n"
    listing = pot.sh("a", "find /sys/fs/cgroup -name cgroup.procs")
    assert listing and all(line.count("/") <= 5 for line in listing.split())
    assert pot.call("exec", "a", "sh", "-c", "mkdir $(dirname $(find /sys/fs/cgroup -name cgroup.procs | head -1))/x").status != 0


# ---- devices ------------------------------------------------------------------------------------------------


def test_dead_nodes(pot):
    """Device files outside of /dev cannot be opened, nor new ones made, with or without a user namespace."""
    pot("stop", "a")
    host = os.path.join(pot.root, "null-node")
    os.mknod(host, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    os.chmod(host, 0o666)
    pot("start", "a")
    assert pot.call("exec", "a", "mknod", "/n", "c", "1", "3").status != 0
    assert pot.sh("a", "grep ' / ' /proc/mounts | head -1 | grep -c nodev") == "1\n"
    assert pot.sh("a", "ls -ln /dev/null | cut -c1-10,11-30 | tr -s ' '").startswith("crw-rw-rw- 1 0 0")
    os.unlink(host)


def test_device_option(onode):
    """--device puts a node into /dev that root of the pot can open; anything else is refused."""
    onode.make("a", "sleep 100000", "-N", "none", "--device", "/dev/zero:/dev/sub/nought:rw", "--device", "/dev/full")
    onode("start", "a")
    assert onode.sh("a", "head -c 3 /dev/sub/nought | wc -c; stat -c %u /dev/sub/nought") == "3\n0\n"
    for bad in ("/etc/passwd", "/dev/zero:/tmp/zero", "/dev/zero:/dev/../x", "/dev/zero:/dev/x:r", "/dev/none"):
        result = onode.call("create", "-p", "b", "-b", "box", "-N", "none", "--device", bad)
        if result.status == 0:
            onode("set-cmd", "-p", "b", "-c", "true")
            result = onode.call("start", "b")
            onode("destroy", "b")
        assert result.status == 1, bad


# ---- the other options --------------------------------------------------------------------------------------


@pytest.mark.parametrize("options, caps", [
    (("--cap-drop", "all"), 0),
    (("--cap-drop", "ALL", "--cap-add", "CAP_CHOWN,net_raw"), 1 | 1 << 13),
    (("--cap-add", "net_admin"), SMALL | 1 << 12),
    (("--cap-drop", "kill"), SMALL & ~(1 << 5)),
    (("--cap-add", "all", "--cap-drop", "sys_module"), (1 << 41) - 1 & ~(1 << 16)),
])
def test_capabilities(onode, options, caps):
    """cap-add and cap-drop give the command, exec and info exactly what was asked for."""
    onode.make("a", "sleep 100000", "-N", "none", *options)
    onode("start", "a")
    for s in (main_status(onode, "a"), status_of(onode, "a")):
        assert [int(s[k], 16) for k in ("CapPrm", "CapEff", "CapBnd")] == [caps] * 3
    assert len(onode.info("a")["capabilities"]) == bin(caps).count("1")
    onode("stop", "a")
    onode.fails("create", "-p", "b", "-b", "box", "--cap-add", "net_admn", says="net_admin")


def test_sysctl(onode):
    """Own kernel parameters are set; the host's are refused, by every spelling; net.* needs an own network."""
    onode.make("a", "sleep 100000", "-N", "none", "--sysctl", "kernel.shmmax=123456", "--sysctl",
               "net/ipv4/ip_forward=1", "--sysctl", "fs.mqueue.msg_max=11")
    onode("start", "a")
    assert onode.sh("a", "cd /proc/sys; cat kernel/shmmax net/ipv4/ip_forward fs/mqueue/msg_max") == "123456\n1\n11\n"
    for bad in ("kernel.core_pattern=x", "kernel/hostname=x", "net.ipv4.../x=1", "/kernel/shmmax=1", "vm.swappiness=1",
                "kernel.shmmax", "=1", "net/../kernel/core_pattern=x"):
        result = onode.call("create", "-p", "b", "-b", "box", "-N", "none", "--sysctl", bad)
        assert result.status == 1 and result.err.count("\n") == 1, bad
    onode.make("c", "true", "-N", "inherit", "--sysctl", "net.ipv4.ip_forward=1")
    onode.fails("start", "c", says="host's network")


def test_read_only_and_tmpfs(onode):
    """--read-only holds for the root only; --tmpfs has its size and mode, and no programs unless told."""
    onode.make("a", "sleep 100000", "-N", "none", "--read-only", "--tmpfs", "/scratch:size=1m,mode=700",
               "--tmpfs", "/progs:exec", "--shm-size", "2m")
    onode("start", "a")
    assert "Read-only" in onode.call("exec", "a", "touch", "/x").err
    assert onode.sh("a", "touch /scratch/x /dev/shm/x; stat -c %a:%u /scratch; df -k /scratch | tail -1 | tr -s ' ' "
                         "| cut -d' ' -f2; df -k /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2") == "700:0\n1024\n2048\n"
    run = "cp /bin/busybox {0}/true && {0}/true"
    assert onode.call("exec", "a", "sh", "-c", run.format("/progs")).status == 0
    assert onode.call("exec", "a", "sh", "-c", run.format("/dev/shm")).status == 126
    assert onode.call("exec", "a", "sh", "-c", run.format("/scratch")).status != 0
    onode("restart", "a")
    onode.fails("create", "-p", "b", "-b", "box", "--tmpfs", "relative", says="tmpfs")


def test_seccomp_option(onode, tmp_path):
    """A profile of the user's holds the command and exec; unconfined loads none; a bad one is refused at create."""
    profile = tmp_path / "p.json"
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}]}))
    onode.make("a", "sh -c 'mkdir /x; echo done; sleep 100000'", "-N", "none", "--seccomp", str(profile))
    profile.unlink()
    for _ in range(2):
        onode("start", "a")
        result = onode.call("exec", "a", "mkdir", "/y")
        assert result.status != 0 and "not implemented" in result.err.lower()
        assert main_status(onode, "a")["Seccomp"] == "2"
        onode("stop", "a")
    assert "not implemented" in onode.log("a").lower()
    assert onode.info("a")["seccomp"] == "custom"
    onode("clone", "-p", "c", "-P", "a", "-F", "-N", "none")
    onode("start", "c")
    assert onode.call("exec", "c", "mkdir", "/y").status != 0
    onode.make("b", "sleep 100000", "-N", "none", "--seccomp", "unconfined")
    onode("start", "b")
    assert main_status(onode, "b")["Seccomp"] == "0"
    profile.write_text("{")
    onode.fails("create", "-p", "d", "-b", "box", "--seccomp", str(profile), says="profile")
    assert "d" not in onode.states()


def test_no_new_privs_attribute(onode):
    """With the attribute set to NO a setuid program inside raises a user to root of the pot, and no further."""
    onode.make("a", "sleep 100000", "-N", "none")
    onode("start", "a")
    onode.sh("a", "cp /bin/busybox /root-su; mkdir /s; mv /root-su /s/su; chmod 4755 /s/su; sed -i s/^root:x/root:/ /etc/passwd")
    look = ("exec", "-u", "alice", "a", "/s/su", "-c", "id -u; grep CapEff /proc/self/status")
    assert onode.call(*look).status != 0 and status_of(onode, "a")["NoNewPrivs"] == "1"
    onode("set-attribute", "-p", "a", "-A", "no_new_privs", "-V", "NO")
    onode("restart", "a")
    assert status_of(onode, "a")["NoNewPrivs"] == "0" and main_status(onode, "a")["Seccomp"] == "2"
    assert status_of(onode, "a", user="alice")["CapPrm"] == "0000000000000000"
    uid, caps = onode(*look).out.splitlines()
    assert uid == "0" and int(caps.split()[1], 16) == SMALL


def test_privileged(onode):
    """--privileged has every capability, no filter and nothing masked, and stays in its user namespace."""
    onode.make("a", "sleep 100000", "-N", "none", "--privileged")
    onode("start", "a")
    s = main_status(onode, "a")
    assert int(s["CapEff"], 16) == (1 << 41) - 1 and s["Seccomp"] == "0" and s["NoNewPrivs"] == "0"
    assert s["Uid"].split()[0] == str(mapped(onode))
    before = lab.mounts()
    onode.sh("a", "mount -t tmpfs none /mnt && hostname other && echo 1 > /proc/sys/net/ipv4/ip_forward")
    assert os.uname().nodename != "other" and lab.mounts() == before
    assert onode.call("exec", "a", "sh", "-c", "echo x > /proc/sys/kernel/core_pattern").status != 0


def test_settings_are_shown(onode):
    """info and inspect tell the walls and what was set."""
    onode.make("a", None, "-N", "none", "--cap-add", "net_raw", "--tmpfs", "/t", "--read-only")
    walls = {(w["name"], w["value"]) for w in onode.info("a")["walls"]}
    assert walls == {("cap-add", "net_raw"), ("tmpfs", "/t"), ("read-only", "YES")}
    text = onode("info", "a").out
    assert "user namespace" in text and "cap-add: net_raw" in text
