"""logs: what the pot's command printed, kept in order and with rotation."""

import datetime
import os
import subprocess

import pytest

import lab


def finish(node, name, script, *args):
    """Runs a pot to its end."""
    node.make(name, "sh /run.sh", *args)
    source = node.root + ".script"
    with open(source, "w", encoding="utf-8") as f:
        f.write(script)
    node("cp", source, f"{name}:/run.sh")
    node("start", name)
    node.call("wait", name)


def test_order(node):
    """stdout and stderr come in exactly the order they were written in."""
    finish(node, "a", "i=0; while [ $i -lt 2000 ]; do echo o$i; echo e$i >&2; i=$((i+1)); done")
    assert node.log("a") == "".join(f"o{i}\ne{i}\n" for i in range(2000))


def test_last_lines(onode):
    """-n gives the last lines only, 0 none, more than there are all."""
    finish(onode, "a", "seq 1 100")
    assert onode("logs", "-n", "3", "a").out == "98\n99\n100\n"
    assert onode("logs", "-n", "0", "a").out == ""
    assert onode("logs", "-n", "1000", "a").out == onode.log("a")
    onode.fails("logs", "-n", "x", "a", says="x", status=onode.call("logs", "-n", "x", "a").status)


def test_times(onode):
    """-t puts the time of each line before it; --since leaves out what is older."""
    finish(onode, "a", "echo one; sleep 1.2; echo two")
    lines = onode("logs", "-t", "a").out.splitlines()
    stamps = [datetime.datetime.fromisoformat(line.split(" ")[0].replace("Z", "+00:00")[:26].rstrip("+") + "+00:00")
              for line in lines]
    assert [line.split(" ", 1)[1] for line in lines] == ["one", "two"]
    assert stamps[0] < stamps[1]
    between = stamps[1] - datetime.timedelta(milliseconds=300)
    assert onode("logs", "--since", between.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), "a").out == "two\n"
    assert onode("logs", "--since", "1h", "a").out == "one\ntwo\n"
    onode.fails("logs", "--since", "yesterday-ish", "a", says="yesterday-ish",
                status=onode.call("logs", "--since", "yesterday-ish", "a").status)


def test_bytes_come_through(onode):
    """Long lines, missing newlines, control characters and bytes that are no text come out as they went in."""
    finish(onode, "a", "head -c 100000 /dev/zero | tr '\\0' x; echo; printf 'a\\033[31mb\\000c\\377\\r\\n'; printf end")
    run = subprocess.run(onode.argv("logs", "a"), env=onode.env, capture_output=True, check=True)
    assert run.stdout == b"x" * 100000 + b"\n" + b"a\x1b[31mb\x00c\xff\r\n" + b"end"


def test_follow_to_the_end(node):
    """-f gives everything, across rotation, each line once and in order, and ends with the pot."""
    node.make("a", "sh -c 'until [ -e /tmp/go ]; do sleep 0.02; done; seq 1 100000'")
    node("start", "a")
    follower = node.start("logs", "-f", "a")
    node.sh("a", "touch /tmp/go")
    out, err = follower.communicate(timeout=lab.HANG)
    assert err == b"" and follower.returncode == 0
    assert out == b"".join(b"%d\n" % i for i in range(1, 100001))


def test_rotation(empty_node, box):
    """Log files stay within size and count, oldest lines go first, no line is torn; -f follows across."""
    with open(os.path.join(empty_node.root, "pot.conf"), "w", encoding="ascii") as f:
        f.write("log_max_size = 64k\nlog_files = 3\n")
    empty_node("create-base", "-b", "box", "--from", box)
    empty_node.make("a", "sh -c 'until [ -e /tmp/go ]; do sleep 0.02; done; seq 1 50000'")
    empty_node("start", "a")
    follower = empty_node.start("logs", "-f", "a")
    assert follower.poll() is None
    empty_node.sh("a", "touch /tmp/go")
    out = follower.communicate(timeout=lab.HANG)[0].split()
    assert [int(n) for n in out] == sorted({int(n) for n in out})
    kept = [int(line) for line in empty_node.log("a").split()]
    assert kept == list(range(kept[0], 50001)) and kept[0] > 1
    logs = [os.path.join(d, n) for d, _, names in os.walk(empty_node.root) for n in names
            if n == "log" or n.startswith("log.")]
    assert 1 < len(logs) <= 3
    assert all(os.path.getsize(p) <= 64 * 1024 for p in logs)
    assert all(os.stat(p).st_mode & 0o077 == 0 for p in logs)


def test_follow_stops_with_its_reader(onode):
    """logs -f into a closed pipe ends instead of staying for ever."""
    onode.run("a", "sh -c 'while :; do echo x; sleep 0.01; done'")
    follower = onode.start("logs", "-f", "a")
    assert follower.stdout.readline() == b"x\n"
    follower.stdout.close()
    follower.wait(timeout=lab.HANG)


def test_new_run_after_old(onode):
    """A second run's lines come after the first's."""
    onode.make("a", "sh -c 'echo run'")
    for _ in range(2):
        onode("start", "a")
        onode.call("wait", "a")
    assert onode.log("a").splitlines()[-1] == "run"


def test_json_lines(onode):
    """--format json gives one object a line with time, stream and text."""
    finish(onode, "a", "echo plain; printf 'q\"\\t\\n'")
    import json
    lines = [json.loads(line) for line in onode("--format", "json", "logs", "a").out.splitlines()]
    assert [line["text"] for line in lines] == ["plain", 'q"\t']
    assert all(line["time"].endswith("Z") for line in lines)


@pytest.mark.parametrize("name", ["nope"])
def test_no_such_pot(onode, name):
    """logs of a pot that is not there is an error; of one that never ran it is empty."""
    onode.fails("logs", name, says=name)
    onode.make("a")
    assert onode.log("a") == ""
