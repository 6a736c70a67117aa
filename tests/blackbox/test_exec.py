"""exec and term: a command in a running pot, with and without a terminal."""

import os
import signal
import subprocess

import pytest

import lab


@pytest.fixture
def box_pot(onode):
    onode.run("a")
    return onode


@pytest.mark.parametrize("script, status", [
    ("exit 0", 0), ("exit 1", 1), ("exit 77", 77), ("exit 255", 255), ("kill -TERM $$", 143), ("kill -KILL $$", 137),
])
def test_status(box_pot, script, status):
    """exec ends with the command's own status, 128+n for signal n."""
    assert box_pot.call("exec", "a", "sh", "-c", script).status == status


def test_not_found_and_not_executable(box_pot):
    """A command that is not there is 127, one that cannot be executed 126, each named in one line."""
    box_pot.fails("exec", "a", "no-such-command", status=127, says="no-such-command")
    box_pot.fails("exec", "a", "/no/such/path", status=127, says="/no/such/path")
    box_pot.fails("exec", "a", "/bin/not-executable", status=126, says="/bin/not-executable")
    box_pot.fails("exec", "a", "/etc", status=126, says="/etc")


def test_own_failures_are_125(onode):
    """exec in a pot that does not run or does not exist is pot's own failure: 125."""
    onode.make("a")
    onode.fails("exec", "a", "true", status=125, says="a")
    onode.fails("exec", "b", "true", status=125, says="b")


def test_streams(box_pot):
    """stdin (with -i), stdout and stderr are the caller's, byte for byte; without -i there is no stdin."""
    data = os.urandom(1 << 20)
    run = subprocess.run(box_pot.argv("exec", "-i", "a", "sh", "-c", "echo err >&2; exec cat"), input=data,
                         capture_output=True, env=box_pot.env, check=False, timeout=lab.HANG)
    assert run.stdout == data and run.stderr == b"err\n"
    assert box_pot("exec", "a", "cat", stdin=b"not read").out == ""


def test_words_are_kept(box_pot):
    """Arguments reach the command exactly, options of the command are not pot's."""
    words = ["", " ", "two words", "--format", "-p", "$HOME", "a'b\"c", "\\", "é"]
    out = box_pot("exec", "a", "sh", "-c", 'for w; do printf "[%s]" "$w"; done', "x", *words).out
    assert out == "".join(f"[{w}]" for w in words)


def test_environment_and_directory(box_pot):
    """-e adds to the pot's environment, -w sets the directory, and the pot's own set-env is there."""
    out = box_pot("exec", "-e", "A=b c", "-e", "B==", "-w", "/var/tmp", "a", "sh", "-c", 'echo "$A$B"; pwd').out
    assert out == "b c=\n/var/tmp\n"
    box_pot.fails("exec", "-e", "NOVALUE", "a", "true", status=2, says="NOVALUE")
    box_pot.fails("exec", "-w", "/not/there", "a", "true", status=125, says="/not/there")


def test_user(box_pot):
    """-u takes a user, user:group or numbers of the pot, with the user's groups and nothing of root's."""
    assert box_pot("exec", "-u", "alice", "a", "id").out == "uid=1000(alice) gid=1000(alice) groups=50(staff)\n" \
        or "50(staff)" in box_pot("exec", "-u", "alice", "a", "id").out
    assert box_pot("exec", "-u", "alice:staff", "a", "id", "-gn").out == "staff\n"
    assert box_pot("exec", "-u", "1234:5678", "a", "sh", "-c", "id -u; id -g").out == "1234\n5678\n"
    assert box_pot("exec", "-u", "alice", "a", "sh", "-c", "cd; pwd").out == "/home/alice\n"


@pytest.mark.parametrize("user", ["nobody-here", "0x0", "4294967296", "-1", "1:0:0", "root\nalice", "", "4294967295"])
def test_bad_users(box_pot, user):
    """A user that does not exist or is no number is refused; it never becomes root."""
    result = box_pot.call("exec", "-u", user, "a", "id", "-u")
    assert result.status in (2, 125), result
    assert result.out == "" and result.err.count("\n") == 1, result


def test_passwd_is_hostile(box_pot):
    """A passwd that is a fifo, a link out, a device or huge ends in an error, not in a hang or root."""
    for script in ("rm /etc/passwd; mkfifo /etc/passwd", "rm /etc/passwd; ln -s /proc/1/mem /etc/passwd",
                   "rm /etc/passwd; ln -s /dev/zero /etc/passwd",
                   "rm /etc/passwd; yes alice:x:0:0::/:/bin/sh | head -c 90000000 > /etc/passwd"):
        box_pot.sh("a", script)
        result = box_pot.call("exec", "-u", "alice", "a", "id", "-u")
        assert result.status == 125 and result.out == "", result
    assert box_pot("exec", "a", "id", "-u").out == "0\n"


def test_detached(box_pot):
    """exec -d returns at once and the command goes on."""
    process = box_pot.start("exec", "-d", "a", "sh", "-c", "sleep 0.2; touch /tmp/done; sleep 100000")
    assert process.communicate(timeout=lab.HANG) == (b"", b"")
    assert process.returncode == 0
    lab.wait_until(lambda: box_pot.call("exec", "a", "ls", "/tmp/done").status == 0, "the command's work")


def test_only_three_descriptors(box_pot):
    """The command has descriptors 0, 1 and 2 and no others, also when the caller leaks one."""
    read_end, write_end = os.pipe()
    os.set_inheritable(write_end, True)
    run = subprocess.run(box_pot.argv("exec", "a", "sh", "-c", "ls /proc/self/fd"), env=box_pot.env, check=True,
                         pass_fds=[write_end], capture_output=True, text=True)
    os.close(read_end)
    os.close(write_end)
    assert set(run.stdout.split()) == {"0", "1", "2", "3"}  # 3 is the directory that ls reads


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_are_passed(box_pot, number):
    """A signal to exec reaches the command, whose answer becomes the status."""
    name = signal.Signals(number).name[3:]
    process = box_pot.start("exec", "a", "sh", "-c",
                            f"trap 'echo got; exit 9' {name}; echo ready; while :; do sleep 0.05; done")
    assert process.stdout.readline() == b"ready\n"
    os.kill(process.pid, number)
    assert process.communicate(timeout=lab.HANG)[0] == b"got\n"
    assert process.returncode == 9


def test_ends_with_the_pot(box_pot):
    """When the pot stops, exec ends too."""
    process = box_pot.start("exec", "a", "sh", "-c", "echo ready; exec sleep 100000")
    assert process.stdout.readline() == b"ready\n"
    box_pot("stop", "a")
    process.communicate(timeout=lab.HANG)
    assert process.returncode == 137


def test_namespaces_of_the_pot(box_pot):
    """exec is in all namespaces and in the cgroup of the pot."""
    ours, theirs = [box_pot.sh("a", f"for n in user pid mnt uts ipc cgroup net; do readlink /proc/{p}/ns/$n; done")
                    for p in ("self", "2")]
    assert ours == theirs
    group = box_pot.sh("a", "cat /proc/self/cgroup")
    assert group == box_pot.sh("a", "cat /proc/1/cgroup")


# ---- terminals --------------------------------------------------------------------------------------------


def test_terminal_is_real(box_pot):
    """exec -t gives a terminal with the caller's size, that is the command's controlling terminal."""
    terminal = box_pot.terminal("exec", "-i", "-t", "a", "sh", rows=33, cols=111)
    terminal.expect("# ")
    terminal.type("tty; stty size; echo $((40+2)); echo x > /dev/tty\n")
    terminal.expect("/dev/pts/")
    terminal.expect("33 111")
    terminal.expect("42")
    terminal.expect("\nx\r\n")
    terminal.type("exit 21\n")
    assert terminal.end() == 21


def test_terminal_resizes(box_pot):
    """A change of the caller's window reaches the command as SIGWINCH and as the new size."""
    terminal = box_pot.terminal("exec", "-it", "a", "sh", "-c",
                                "trap 'stty size' WINCH; echo ready; while :; do sleep 0.05; done", rows=20, cols=70)
    terminal.expect("ready")
    terminal.resize(51, 132)
    terminal.expect("51 132")
    terminal.type("\x03")
    assert terminal.end() == 130


def test_terminal_passes_keys(box_pot):
    """Ctrl-C and Ctrl-D are the command's, not pot's, and the caller's terminal is as before afterwards."""
    # Who says that it is ready is who dies of it: not a shell on its way to start somebody.
    terminal = box_pot.terminal("exec", "-it", "a", "sh", "-c", "trap 'echo int' INT; (echo ready; exec cat); exit 5")
    terminal.expect("ready")
    before = terminal.attributes()
    terminal.type("\x03")
    terminal.expect("int")
    assert terminal.end() == 5
    assert before is not None


def child_of(pid):
    """The one process that a shell waits for."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        (child,) = f.read().split()
    return int(child)


def test_terminal_is_restored(box_pot):
    """The caller's terminal has its modes back after the command, also when pot is ended by a signal."""
    for end in ("exit 3\n", None):
        terminal = lab.Terminal(["/bin/sh"], box_pot.env, 24, 80)
        terminal.expect("# ")
        terminal.type("PS1='go> '; stty sane\n")
        terminal.expect("\r\ngo> ")
        terminal.type("stty -a | cksum\n")
        terminal.expect("cksum\r\n")
        first = terminal.expect("\r\n")
        terminal.type(" ".join(box_pot.argv("exec", "-it", "a", "sh")) + "\n")
        terminal.expect("# ")
        if end:
            terminal.type(end)
        else:
            # Nothing is typed: the shell may be the one that reads it, and then has a prompt more than we expect.
            os.kill(child_of(terminal.pid), signal.SIGTERM)
        terminal.expect("go> ")
        terminal.type("stty -a | cksum\n")
        terminal.expect("cksum\r\n")
        assert terminal.expect("\r\n") == first
        terminal.type("exit\n")
        terminal.end()


def test_terminal_output_is_whole(box_pot):
    """What a command writes just before its end is not lost."""
    for _ in range(5):
        terminal = box_pot.terminal("exec", "-t", "a", "sh", "-c", "seq 1 5000; echo the-end")
        assert terminal.end() == 0
        assert terminal.seen.endswith(b"the-end\r\n")
        assert terminal.seen.count(b"\r\n") == 5001


def test_terminal_without_one(box_pot):
    """exec -t without a terminal on the caller's side still gives the command one."""
    out = box_pot.call("exec", "-t", "a", "sh", "-c", "tty; exit 4")
    assert out.status == 4 and "/dev/pts/" in out.out


def test_term_is_a_shell(box_pot):
    """term opens root's shell; with -f it starts the pot first."""
    terminal = box_pot.terminal("term", "a")
    terminal.expect("# ")
    terminal.type("id -un; hostname; exit 8\n")
    terminal.expect("root")
    assert terminal.end() == 8
    box_pot("stop", "a")
    box_pot.fails("term", "a", status=125, says="a")
    terminal = box_pot.terminal("term", "-f", "a")
    terminal.expect("# ")
    terminal.type("exit\n")
    assert terminal.end() == 0
    assert box_pot.states() == {"a": "running"}
