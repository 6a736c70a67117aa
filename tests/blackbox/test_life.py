"""The life of a pot: create, start, stop, restart, kill, pause, wait, destroy, and what is asked about it."""

import os
import signal
import subprocess

import pytest

import lab


def test_whole_life(node):
    """create, start, exec, logs, stop and destroy work one after the other on each storage."""
    node.make("web", "sh -c 'echo hello; echo trouble >&2; exec sleep 100000'")
    assert node.states() == {"web": "created"}
    node("start", "web")
    assert node.states() == {"web": "running"}
    assert node("exec", "web", "cat", "/etc/passwd").out.startswith("root:")
    lab.wait_until(lambda: "trouble" in node.log("web"), "the log")
    assert node.log("web") == "hello\ntrouble\n"
    node.sh("web", "echo kept > /root/file")
    node("stop", "web")
    assert node.states() == {"web": "stopped"}
    node("start", "web")
    assert node.sh("web", "cat /root/file") == "kept\n"
    node("stop", "web")
    node("destroy", "web")
    assert node.states() == {}


def test_pots_do_not_share_files(node):
    """What one pot writes appears in no other pot of the same base, nor in pots made later."""
    node.run("a")
    node.run("b")
    node.sh("a", "echo a > /root/mine; rm /etc/group; mkdir /home/alice/d")
    assert node.call("exec", "b", "ls", "/root/mine").status != 0
    assert "alice" in node.sh("b", "cat /etc/group")
    node.run("c")
    assert node.sh("c", "ls /root /home/alice") == "/home/alice:\n\n/root:\n"


@pytest.mark.parametrize("command, status", [
    ("true", 0), ("false", 1), ("sh -c 'exit 42'", 42), ("sh -c 'kill -TERM $$'", 143), ("sh -c 'kill -9 $$'", 137),
])
def test_attach_gives_the_status(onode, command, status):
    """start --attach ends with the command's own status, 128+n for signal n; wait and info say the same later."""
    onode.make("a", command)
    assert onode.call("start", "--attach", "a").status == status
    waited = onode.call("wait", "a")
    assert waited.out.strip() == str(status)
    assert waited.status == status
    last = onode("--format", "json", "last-run-stats", "-p", "a").json()
    assert last["ExitCode"] == status


def test_attach_gives_the_output(node):
    """start --attach passes stdout and stderr apart and whole, and returns after the clean-up."""
    node.make("a", "sh -c 'seq 1 20000; seq 1 1000 >&2'")
    result = node.call("start", "--attach", "a")
    assert result.status == 0
    assert result.out == "".join(f"{i}\n" for i in range(1, 20001))
    assert result.err == "".join(f"{i}\n" for i in range(1, 1001))
    assert node.states() == {"a": "stopped"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_attach_forwards_signals(onode, number):
    """A signal to an attached start reaches the pot's command, and its status comes back."""
    name = signal.Signals(number).name[3:]
    onode.make("a", f"sh -c 'trap \"echo got; exit 7\" {name}; echo ready; while :; do sleep 0.1; done'")
    process = onode.start("start", "--attach", "a")
    assert process.stdout.readline() == b"ready\n"
    os.kill(process.pid, number)
    out, err = process.communicate(timeout=lab.HANG)
    assert (process.returncode, out, err) == (7, b"got\n", b"")


def test_attached_client_killed(onode):
    """SIGKILL to an attached start leaves the pot running, with its log."""
    onode.make("a", "sh -c 'echo ready; exec sleep 100000'")
    process = onode.start("start", "--attach", "a")
    assert process.stdout.readline() == b"ready\n"
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=lab.HANG)
    assert onode.states() == {"a": "running"}
    onode.sh("a", "echo more > /proc/2/fd/1")  # 2 is the command, below PID 1
    lab.wait_until(lambda: "more" in onode.log("a"), "a line in the log after the client's death")


def test_start_returns_the_shell(onode):
    """start closes everything it was given: a reader of its stdout and stderr sees the end at once."""
    onode.make("a", "sleep 100000")
    process = onode.start("start", "a")
    assert process.communicate(timeout=lab.HANG) == (b"", b"")
    assert process.returncode == 0


def test_missing_command(node):
    """A command that does not exist: 127, its path named, everything undone, the pot still startable."""
    node.make("a", "/no/such/program --x")
    for args in (["start", "a"], ["start", "--attach", "a"]):
        node.fails(*args, status=127, says="/no/such/program")
        assert node.states()["a"] in ("created", "stopped", "failed")
        assert node.info("a")["pid"] is None
    node("set-cmd", "-p", "a", "-c", "sleep 1000")
    node("start", "a")


def test_command_not_executable(onode):
    """A command that cannot be executed: 126 and undone."""
    onode.make("a", "/bin/not-executable")
    onode.fails("start", "a", status=126, says="/bin/not-executable")
    onode.fails("start", "--attach", "a", status=126, says="/bin/not-executable")


def test_no_command(onode):
    """A pot without a command and without /sbin/init says so."""
    onode.make("a")
    onode.fails("start", "a", says="set-cmd")


def test_stop_asks_then_kills(onode):
    """stop sends SIGTERM; what ignores it is killed after the time given, and the status says so."""
    onode.run("polite", "sh -c 'trap \"echo bye; exit 3\" TERM; echo up; while :; do sleep 0.05; done'")
    lab.wait_until(lambda: onode.log("polite") == "up\n", "the trap")
    onode("stop", "polite")
    assert onode.call("wait", "polite").out == "3\n"
    assert onode.log("polite").endswith("bye\n")
    onode.run("deaf", "sh -c 'trap \"\" TERM; echo up; while :; do sleep 0.05; done'")
    lab.wait_until(lambda: onode.log("deaf") == "up\n", "the trap")
    onode("stop", "-t", "1", "deaf")
    assert onode.call("wait", "deaf").out == "137\n"


def test_restart(node):
    """restart stops and starts: another run, the same files."""
    node.run("a")
    first = node.info("a")
    node("restart", "a")
    second = node.info("a")
    assert second["state"] == "running"
    assert second["runs"] == first["runs"] + 1
    assert second["pid"] != first["pid"]
    assert second["id"] == first["id"]


def test_kill_sends_signals(onode):
    """kill sends the signal named or numbered to the pot's command."""
    onode.run("a", "sh -c 'trap \"echo one\" USR1; trap \"echo two; exit 5\" USR2; echo up; "
                   "while :; do sleep 0.05; done'")
    lab.wait_until(lambda: "up" in onode.log("a"), "the traps")
    onode("kill", "-s", "USR1", "a")
    lab.wait_until(lambda: "one" in onode.log("a"), "SIGUSR1")
    onode("kill", "-s", "SIGUSR2", "a")
    assert onode.call("wait", "a").out == "5\n"
    onode.run("b", "sleep 100000")
    onode("kill", "b")
    assert onode.call("wait", "b").out == "137\n"


def test_pause(node):
    """A paused pot stands still and goes on where it was; it can be stopped while paused."""
    node.run("a", "sh -c 'i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done'")
    lab.wait_until(lambda: node.log("a"), "output")
    node("pause", "a")
    assert node.states() == {"a": "paused"}
    still = node.log("a")
    pid = node.info("a")["pid"]
    assert pid
    node("unpause", "a")
    lab.wait_until(lambda: len(node.log("a")) > len(still), "output after unpause")
    node("pause", "a")
    node("stop", "-t", "1", "a")
    assert node.states() == {"a": "stopped"}


def test_wait_blocks_until_the_end(onode):
    """wait started before the end returns with the status at the end; many may wait."""
    onode.run("a", "sh -c 'trap \"exit 9\" TERM; echo up; while :; do sleep 0.05; done'")
    lab.wait_until(lambda: onode.log("a"), "the trap")
    waiters = [onode.start("wait", "a") for _ in range(3)]
    onode("kill", "-s", "TERM", "a")
    for waiter in waiters:
        assert waiter.communicate(timeout=lab.HANG)[0] == b"9\n"


def test_dies_by_itself(node):
    """A pot that ends by itself is cleaned up with nobody watching."""
    node.run("a", "sh -c 'exit 4'")
    lab.wait_until(lambda: node.states() == {"a": "stopped"}, "the end of the pot")
    assert node.call("wait", "a").out == "4\n"
    assert node.info("a")["pid"] is None


def test_orphans_are_reaped(onode):
    """Processes whose parents end in the pot are reaped by its PID 1, and die with the pot."""
    onode.run("a", "sh -c 'for i in 1 2 3 4 5; do (sleep 0.01 &) ; done; (setsid sleep 5555 &); sleep 100000'")

    def zombies():
        return [t for t in onode("--format", "json", "top", "a").json() if t["state"] == "Z"]

    lab.wait_until(lambda: zombies() == [] and len(onode("--format", "json", "top", "a").json()) <= 3, "the reaping")
    onode("stop", "-t", "1", "a")


def test_persistent_pot(onode):
    """With the attribute persistent a pot stays when its command has ended, and exec works in it."""
    onode.make("a", "true")
    onode("set-attribute", "-p", "a", "-A", "persistent", "-V", "yes")
    onode("start", "a")
    assert onode("exec", "a", "echo", "alive").out == "alive\n"
    assert onode.states() == {"a": "running"}
    onode("stop", "a")
    assert onode.states() == {"a": "stopped"}


def test_ps_and_list(node):
    """ps shows what runs, ps -a everything, -q names only, list the same in the classic form."""
    node.run("b")
    node.make("a")
    assert [p["name"] for p in node("--format", "json", "ps").json()] == ["b"]
    assert [p["name"] for p in node("--format", "json", "ps", "-a").json()] == ["a", "b"]
    assert node("ps", "-q").out == "b\n"
    assert node("ps", "-a", "-q").out == "a\nb\n"
    assert node("list", "-q").out == "a\nb\n"
    assert node("list", "-q", "-b").out.split() == sorted(b["name"] for b in
                                                          node("--format", "json", "list", "-b").json())


def test_info(node):
    """info tells base, state, network, runs and sizes; -q answers by the status only, -r whether it runs."""
    node.run("a")
    info = node.info("a")
    assert (info["name"], info["base"], info["state"], info["network"]) == ("a", "box", "running", "inherit")
    assert os.path.exists(f"/proc/{info['pid']}")
    assert node("info", "-q", "-p", "a").out == ""
    assert node.call("info", "-q", "-p", "b").status == 1
    assert node("info", "-r", "-p", "a").out == ""
    node("stop", "a")
    assert node.call("info", "-r", "-p", "a").status == 1


def test_top_shows_processes(onode):
    """top lists the processes of the pot with the pids of the inside."""
    onode.run("a", "sh -c 'sleep 4321 & sleep 1234'")
    lab.wait_until(lambda: len(onode("--format", "json", "top", "a").json()) >= 3, "three processes")
    tasks = onode("--format", "json", "top", "a").json()
    assert {"sleep 4321", "sleep 1234"} <= {t["command"] for t in tasks}
    assert 1 in [t["pid"] for t in tasks]


def test_snapshot_rollback_purge(node):
    """Snapshots bring the files back as they were; later ones go, purge keeps the last."""
    node.run("a")
    node.sh("a", "echo one > /root/f")
    node("stop", "a")
    node("snapshot", "-p", "a", "-n", "first")
    node("start", "a")
    node.sh("a", "echo two > /root/f; rm /etc/passwd; mkdir /root/d")
    node("stop", "a")
    node("snapshot", "-p", "a", "-n", "second")
    assert [s["tag"] for s in node.info("a")["snapshots"]] == ["first", "second"]
    node("rollback", "-p", "a", "-n", "first")
    assert [s["tag"] for s in node.info("a")["snapshots"]] == ["first"]
    node("start", "a")
    assert node.sh("a", "cat /root/f; ls /root") == "one\nf\n"
    assert node.sh("a", "wc -l < /etc/passwd").strip() == "2"
    node("stop", "a")
    for tag in ("x", "y", "z"):
        node("snapshot", "-p", "a", "-n", tag)
    node("purge-snapshots", "-p", "a")
    assert [s["tag"] for s in node.info("a")["snapshots"]] == ["z"]
    node("purge-snapshots", "-a", "-p", "a")
    assert node.info("a")["snapshots"] == []


def test_clone(node):
    """A clone has the source's files and settings at the snapshot, lives alone, and outlives the source."""
    node.run("a")
    node.sh("a", "echo source > /root/f")
    node("stop", "a")
    node("set-env", "-p", "a", "-E", "COLOUR=red")
    node.fails("clone", "-p", "b", "-P", "a", says="snapshot")
    node("clone", "-p", "b", "-P", "a", "-F")
    node("start", "b")
    assert node.sh("b", "cat /root/f; echo $COLOUR") == "source\nred\n"
    node.sh("b", "echo changed > /root/f")
    node("destroy", "a")
    assert node.sh("b", "cat /root/f") == "changed\n"
    node("restart", "b")
    assert node.sh("b", "cat /root/f") == "changed\n"


def test_create_from_pot(node):
    """create -P takes the snapshot with the tag given, also of a running pot with -F."""
    node.run("a")
    node.sh("a", "echo old > /root/f")
    node("stop", "a")
    node("snapshot", "-p", "a", "-n", "old")
    node("start", "a")
    node.sh("a", "echo new > /root/f; sync")
    node("stop", "a")
    node("create", "-p", "b", "-P", "a", "-s", "old", "-c", "cat /root/f")
    assert node.call("start", "--attach", "b").out == "old\n"
    node("create", "-p", "c", "-P", "a", "-F", "-c", "cat /root/f")
    assert node.call("start", "--attach", "c").out == "new\n"
    node.fails("create", "-p", "d", "-P", "a", "-s", "missing", says="missing")


def test_rename(node):
    """A renamed pot keeps identity, files, snapshots and settings; the old name is free."""
    node.run("a")
    node.sh("a", "echo kept > /root/f")
    node("stop", "a")
    node("snapshot", "-p", "a", "-n", "s")
    identity = node.info("a")["id"]
    node("rename", "-p", "a", "-n", "b")
    assert node.states() == {"b": "stopped"}
    info = node.info("b")
    assert info["id"] == identity and [s["tag"] for s in info["snapshots"]] == ["s"]
    node("start", "b")
    assert node.sh("b", "cat /root/f; hostname").splitlines()[0] == "kept"
    node("stop", "b")
    node.make("a", "true")


def test_prune(onode):
    """prune removes stopped pots that are prunable and have run, and no others; -n only names them."""
    for name in ("ran", "never", "other", "running"):
        onode.make(name, "true" if name != "running" else "sleep 10000")
        if name != "other":
            onode("set-attribute", "-p", name, "-A", "prunable", "-V", "YES")
    for name in ("ran", "other"):
        onode.call("start", "--attach", name)
    onode("start", "running")
    assert onode("prune", "-n").out == "ran\n"
    assert set(onode.states()) == {"ran", "never", "other", "running"}
    assert onode("prune", "-g").out == ""
    assert onode("prune").out == "ran\n"
    assert set(onode.states()) == {"never", "other", "running"}


def test_destroy_running(onode):
    """A running pot is not destroyed without -F."""
    onode.run("a")
    onode.fails("destroy", "a", says=("a", "running"))
    assert onode.states() == {"a": "running"}
    onode("destroy", "-F", "a")
    assert onode.states() == {}


def test_many_pots_in_one_command(onode):
    """Verbs that take several pots act on all of them, and one that fails does not stop the others."""
    for name in "ac":
        onode.run(name)
    result = onode.call("stop", "a", "missing", "c")
    assert result.status == 1
    assert result.err.count("\n") == 1 and "missing" in result.err
    assert onode.states() == {"a": "stopped", "c": "stopped"}
    onode("destroy", "a", "c")
    assert onode.states() == {}


def test_environment(onode):
    """set-env adds, replaces, removes and clears; the command and exec both see it; nothing of the host's."""
    onode.make("a", "sh -c 'env | sort; sleep 10000'")
    onode("set-env", "-p", "a", "-E", "A=1", "-E", "B=two words", "-E", "C=x=y")
    onode("set-env", "-p", "a", "--add", "A=3", "--add", "D=")
    onode("set-env", "-p", "a", "--remove", "B")
    onode("start", "a", env={"SECRET_OF_HOST": "1"})
    lab.wait_until(lambda: "D=" in onode.log("a"), "the environment")
    for text in (onode.log("a"), onode.sh("a", "env", env={"SECRET_OF_HOST": "1"})):
        lines = text.splitlines()
        assert {"A=3", "C=x=y", "D="} <= set(lines)
        assert "SECRET_OF_HOST=1" not in lines
        assert not any(line.startswith("B=") for line in lines)
    onode("set-env", "-p", "a", "--clear")
    onode("restart", "a")
    assert "A=3" not in onode.sh("a", "env")


def test_hosts_and_names(onode):
    """set-hosts entries are in /etc/hosts of the pot; the hostname is the pot's; the base's files are unchanged."""
    onode.make("a", "sleep 10000")
    onode("set-hosts", "-p", "a", "-H", "db:192.0.2.7", "-H", "six:2001:db8::1")
    onode("start", "a")
    hosts = onode.sh("a", "cat /etc/hosts").split("\n")
    assert any(h.split() == ["192.0.2.7", "db"] for h in hosts)
    assert any(h.split() == ["2001:db8::1", "six"] for h in hosts)
    name = onode.sh("a", "hostname").strip()
    assert name.split(".")[0] == "a"
    assert name in onode.sh("a", "cat /etc/hosts")


def test_resolv_conf(onode, place):
    """resolv.conf is the host's, a given file, or the pot's own, as dns says."""
    custom = os.path.join(place, "resolv.custom")
    with open(custom, "w", encoding="ascii") as f:
        f.write("nameserver 192.0.2.53\n")
    onode.make("own", "sleep 10000")
    onode.make("given", "sleep 10000", "-d", f"custom:{custom}")
    onode.make("off", "sleep 10000", "-d", "off")
    for name in ("own", "given", "off"):
        onode("start", name)
    with open("/etc/resolv.conf", encoding="utf-8") as f:
        assert onode.sh("own", "cat /etc/resolv.conf") == f.read()
    assert onode.sh("given", "cat /etc/resolv.conf") == "nameserver 192.0.2.53\n"
    assert onode.sh("off", "cat /etc/resolv.conf; echo mine > /etc/resolv.conf") == ""
    onode("restart", "off")
    assert onode.sh("off", "cat /etc/resolv.conf") == "mine\n"


def test_attributes(onode):
    """Attributes are set, shown and checked; unknown ones and wrong values are refused with a suggestion."""
    onode.make("a")
    onode("set-attribute", "-p", "a", "-A", "start-at-boot", "-V", "on")
    assert onode("get-attribute", "-q", "-p", "a", "-A", "start-at-boot").out == "YES\n"
    assert onode("get-attr", "-q", "-p", "a", "-A", "start-at-boot").out == "YES\n"
    onode.fails("set-attribute", "-p", "a", "-A", "start-at-bot", "-V", "on", says="start-at-boot")
    onode.fails("set-attribute", "-p", "a", "-A", "start-at-boot", "-V", "perhaps", says="perhaps")
    onode.fails("set-attribute", "-p", "a", "-A", "to-be-pruned", "-V", "yes", says="to-be-pruned")


def test_stop_by_command(onode):
    """The attribute exec_stop names the command that stop runs in the pot instead of a signal."""
    onode.make("a", "sh -c 'trap \"\" TERM; until [ -e /tmp/stop ]; do sleep 0.05; done; exit 6'")
    onode("set-attribute", "-p", "a", "-A", "exec_stop", "-V", "touch /tmp/stop")
    onode("start", "a")
    onode("stop", "a")
    assert onode.call("wait", "a").out == "6\n"


def test_last_run_stats(onode):
    """last-run-stats prints {} before the first run and the classic JSON after."""
    onode.make("a", "sh -c 'exit 12'")
    assert onode("last-run-stats", "-p", "a").out.strip() == "{}"
    onode.call("start", "--attach", "a")
    assert onode("last-run-stats", "-p", "a").json()["ExitCode"] == 12


def test_nothing_of_the_caller_leaks(onode):
    """Nothing of the host's open files, directory or terminal reaches the pot's processes."""
    read_end, write_end = os.pipe()
    os.set_inheritable(write_end, True)
    onode.make("a", "sh -c 'ls /proc/self/fd; pwd; sleep 10000'")
    subprocess.run(onode.argv("start", "a"), env=onode.env, pass_fds=[write_end], check=True, cwd="/tmp")
    lab.wait_until(lambda: "/\n" in onode.log("a"), "the output")
    lines = onode.log("a").split()
    assert lines[-1] == "/"
    assert set(lines[:-1]) == {"0", "1", "2", "3"}  # 3 is the directory that ls reads
    os.close(write_end)
    assert os.read(read_end, 1) == b""
    os.close(read_end)
