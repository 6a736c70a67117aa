"""What running pots use: stats, get-rss, top and show against what the kernel itself tells."""

import datetime
import json
import os
import re
import signal
import socket

import lab

BUSY = "sh -c 'while :; do :; done'"
NUMBERS = ("cpu_ns", "cpu_user_ns", "cpu_system_ns", "cpu_throttled", "cpu_throttled_ns", "memory_bytes",
           "memory_limit_bytes", "memory_peak_bytes", "cache_bytes", "swap_bytes", "oom_kills", "pids", "pids_limit",
           "io_read_bytes", "io_written_bytes", "io_reads", "io_writes", "net_rx_bytes", "net_tx_bytes")


def stats(node, *args):
    return node("--format", "json", "stats", "--no-stream", *args).json()


def one(node, name, *args):
    found = stats(node, *args, name)
    assert [s["name"] for s in found] == [name]
    return found[0]


def group_of(node, name, *controllers):
    """The directory of the pot's group that has one of these controllers, from the kernel's own words; or None."""
    with open(f"/proc/{node.info(name)['pid']}/cgroup", encoding="utf-8") as f:
        groups = dict(line.rstrip("\n").split(":", 2)[1:] for line in f)
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        mounts = [(line.split(" ")[4], *line.rstrip("\n").split(" - ")[1].split(" ")[::2]) for line in f]
    for controller in controllers:
        for where, kind, options in mounts:
            if controller == "" and kind == "cgroup2":
                return where + groups[""]
            for words, path in groups.items():
                if kind == "cgroup" and controller in words.split(",") and controller in options.split(","):
                    return where + path
    return None


def number(group, *names):
    """The content of the first of these files that is there."""
    for name in names:
        path = os.path.join(group, name)
        if os.path.exists(path):
            with open(path, encoding="ascii") as f:
                return int(f.read())
    raise AssertionError(f"{group} has none of {names}")


def when(text):
    """A time of RFC 3339 in nanoseconds."""
    seconds, _, fraction = text.rstrip("Z").partition(".")
    whole = datetime.datetime.fromisoformat(seconds + "+00:00").timestamp()
    return int(whole) * 10**9 + int(fraction.ljust(9, "0"))


def about(a, b):
    """Equal, but for what the clock does between two lines of the program."""
    return abs(a - b) <= 0.02 * max(a, b) + 0.5


def test_one_look(onode):
    """One array of objects with the documented keys: numbers or null, the pots that run in order of names."""
    onode.run("web")
    onode.run("db")
    onode.make("idle", "sleep 1")
    found = stats(onode)
    assert [s["name"] for s in found] == ["db", "web"]
    for s in found:
        assert set(s) == {"name", "state", "started_at", "time", "cpu_percent", "memory_percent", "interfaces",
                          *NUMBERS}
        assert s["state"] == "running" and s["time"] >= s["started_at"]
        for key in NUMBERS:
            assert s[key] is None or (isinstance(s[key], int) and s[key] >= 0), (key, s[key])
        for key in ("cpu_ns", "memory_bytes", "memory_limit_bytes", "pids"):
            assert s[key] > 0, (key, s[key])
        assert s["memory_percent"] == round(s["memory_bytes"] * 100 / s["memory_limit_bytes"], 2)
    assert [s["name"] for s in stats(onode, "web", "db")] == ["web", "db"]
    table = onode("stats", "--no-stream", "-p", "web").out.splitlines()
    assert re.split(r" {2,}", table[0]) == ["NAME", "CPU%", "MEM USAGE/LIMIT", "MEM%", "NET I/O", "BLOCK I/O", "PIDS"]
    assert len(table) == 2 and table[1].startswith("web ")
    assert onode("-q", "stats", "--no-stream").out.count("\n") == 2
    onode("destroy", "-F", "web")
    onode("destroy", "-F", "db")
    assert stats(onode) == []
    assert onode("stats", "--no-stream").out.startswith("NAME")


def test_what_the_kernel_says(onode):
    """Time, memory and processes are those of the pot's own groups."""
    onode.run("a", "sh -c 'sleep 1000 & sleep 1000 & wait'")
    lab.wait_until(lambda: one(onode, "a")["pids"] == 4, "init, the shell and two sleeps")
    s, top = one(onode, "a"), onode("--format", "json", "top", "a").json()
    assert s["pids"] == len(top)
    pids = group_of(onode, "a", "pids")
    if pids is not None:
        assert number(pids, "pids.current") == s["pids"]
    memory = group_of(onode, "a", "memory", "")
    if os.path.exists(os.path.join(memory, "memory.stat")):
        # The kernel takes and gives back pages in batches of 64 for each processor.
        batches = os.cpu_count() * 64 * os.sysconf("SC_PAGE_SIZE")
        assert s["memory_bytes"] <= number(memory, "memory.usage_in_bytes", "memory.current") + batches + 65536
        assert s["memory_peak_bytes"] >= s["memory_bytes"]
    with open("/proc/meminfo", encoding="ascii") as f:
        total = int(f.readline().split()[1]) * 1024
    assert s["memory_limit_bytes"] <= total


def test_memory(onode):
    """What a pot has written to files is cache and not memory in use; what its processes hold is."""
    onode.run("a")
    before = one(onode, "a")
    onode("exec", "a", "sh", "-c", "head -c 40000000 /dev/zero >/root/file")
    written = one(onode, "a")
    if written["cache_bytes"] is not None:
        assert written["cache_bytes"] >= before["cache_bytes"] + 30000000
        assert written["memory_peak_bytes"] >= 30000000
    assert written["memory_bytes"] < before["memory_bytes"] + 20000000
    onode("exec", "-d", "a", "sh", "-c", "x=$(head -c 30000000 /dev/zero | tr '\\0' x); sleep 1000; echo $x")
    lab.wait_until(lambda: one(onode, "a")["memory_bytes"] >= before["memory_bytes"] + 30000000, "the memory")


def test_processor(onode):
    """A busy pot has the time that its processes have, and percents are of one processor."""
    onode.run("busy", BUSY)
    onode.run("calm")
    first = one(onode, "busy")
    lab.wait_until(lambda: one(onode, "busy")["cpu_ns"] > first["cpu_ns"] + 200_000_000, "processor time")
    ticks = sum(t["cpu_ns"] for t in onode("--format", "json", "top", "busy").json())
    s = one(onode, "busy")
    assert s["cpu_ns"] >= ticks - 50_000_000
    assert s["cpu_user_ns"] + s["cpu_system_ns"] <= s["cpu_ns"] * 1.01 + 1_000_000
    assert one(onode, "calm")["cpu_percent"] < s["cpu_percent"]
    # Since the start, or between two looks: of one processor.
    assert about(s["cpu_percent"], s["cpu_ns"] * 100 / (when(s["time"]) - when(s["started_at"])))
    process = onode.start("--format", "json", "stats", "-i", "0.4", "busy")
    try:
        one_look, next_look = (json.loads(process.stdout.readline()) for _ in range(2))
    finally:
        lab.kill_group(process)
    assert about(next_look["cpu_percent"], (next_look["cpu_ns"] - one_look["cpu_ns"]) * 100 /
                 (when(next_look["time"]) - when(one_look["time"])))
    lab.wait_until(lambda: one(onode, "busy", "-i", "0.2")["cpu_percent"] > 10, "load")
    assert one(onode, "calm", "-i", "0.2")["cpu_percent"] < 10


def test_traffic(onode):
    """Bytes are seen from the pot: what it receives grows rx, and the host's network is nobody's."""
    onode.run("server", "sh -c 'nc -l -p 7000 >/tmp/got; sleep 1000'", "-N", "public-bridge")
    onode.run("shared")
    onode.run("alone", "sleep 1000", "-N", "none")
    before = one(onode, "server")
    address = onode.info("server")["ip"][0]
    lab.wait_until(lambda: onode.call("exec", "server", "sh", "-c", "netstat -ltn | grep -q :7000").status == 0,
                   "the server")
    with socket.create_connection((address, 7000), timeout=lab.HANG) as peer:
        peer.sendall(b"x" * 500000)
    lab.wait_until(lambda: onode.sh("server", "wc -c </tmp/got").strip() == "500000", "the bytes")
    after = one(onode, "server")
    assert after["net_rx_bytes"] >= before["net_rx_bytes"] + 500000
    assert after["net_tx_bytes"] < before["net_tx_bytes"] + 400000
    assert [i["name"] for i in after["interfaces"]] == ["eth0"]
    assert after["interfaces"][0]["rx_bytes"] == after["net_rx_bytes"]
    inside = onode.sh("server", "cat /sys/class/net/eth0/statistics/rx_bytes")
    assert int(inside) >= after["net_rx_bytes"]
    shared, alone = one(onode, "shared"), one(onode, "alone")
    assert shared["net_rx_bytes"] is None and shared["interfaces"] is None
    assert alone["net_rx_bytes"] == 0 and alone["interfaces"] == []


def test_who_does_not_run(onode):
    """A pot that does not run, or is not there, is an error that says so; intervals that make no sense are usage."""
    onode.make("idle", "sleep 1")
    onode.run("web")
    onode.fails("stats", "--no-stream", "idle", says=["idle is not running", "pot start idle"])
    onode.fails("stats", "idle", says="idle is not running")
    onode.fails("stats", "--no-stream", "nobody", says="nobody")
    onode.fails("get-rss", "-p", "idle", says="idle is not running")
    onode.fails("get-rss", "-p", "nobody", says="nobody")
    for bad in ("0", "0.05", "-1", "soon", "99999999"):
        onode.fails("stats", "-i", bad, "web", says="--interval")
    onode("pause", "web")
    assert one(onode, "web")["state"] == "paused"
    onode("unpause", "web")


def test_stream_of_lines(onode):
    """JSON that goes on is one object a line for each pot and look; it ends with the last pot that was named."""
    onode.run("a")
    onode.run("b")
    process = onode.start("--format", "json", "stats", "-i", "0.1", "a", "b")
    try:
        lines = [json.loads(process.stdout.readline()) for _ in range(4)]
        assert [s["name"] for s in lines] == ["a", "b", "a", "b"]
        assert lines[0]["time"] < lines[2]["time"]
        onode("stop", "-t", "0", "a")
        onode("stop", "-t", "0", "b")
        rest, err = process.communicate(timeout=lab.HANG)
        assert (process.returncode, err) == (0, b"")
        for line in rest.splitlines():
            assert json.loads(line)["name"] in ("a", "b")
    finally:
        lab.kill_group(process)


def test_stream_of_all(onode):
    """Without names it goes on when nothing runs, shows what comes, and ends by a signal or without a reader."""
    process = onode.start("stats", "-i", "0.1")
    try:
        assert process.stdout.readline().startswith(b"NAME")
        onode.run("late")
        while not process.stdout.readline().startswith(b"late "):
            pass
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=lab.HANG) == -signal.SIGINT
    finally:
        lab.kill_group(process)
    process = onode.start("stats", "-i", "0.1")
    try:
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=lab.HANG) in (0, -signal.SIGPIPE)
        assert process.stderr.read() == b""
    finally:
        lab.kill_group(process)


def frame(terminal, text):
    """What was written up to and with the next whole frame that has this text: it ends in clearing what is below."""
    while True:
        seen = terminal.expect("\x1b[J")
        if text in seen:
            return seen


def test_terminal(onode):
    """On a terminal the table is drawn over itself, fits the window, and follows its size and the pots."""
    onode.run("a")
    onode.run("b")
    terminal = onode.terminal("stats", "-i", "0.1", rows=10, cols=40)
    first = frame(terminal, "b ")
    assert "\x1b[2J" not in first
    again = frame(terminal, "b ")
    assert "\x1b[3A" in again  # over head, a and b
    for line in again.replace("\r", "").split("\n"):
        assert len(re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", line)) <= 40, line
    assert "PIDS" not in again
    terminal.resize(10, 120)
    wide = frame(terminal, "PIDS")
    assert "\x1b[H\x1b[2J" in wide
    terminal.resize(3, 120)
    assert "more" in frame(terminal, "\x1b[H\x1b[2J")
    terminal.resize(10, 120)
    frame(terminal, "\x1b[H\x1b[2J")
    onode("destroy", "-F", "a")
    while "a  " in frame(terminal, "b "):
        pass
    terminal.type("\x03")
    assert terminal.end() == -signal.SIGINT


def test_stopped_on_a_terminal(onode):
    """Ctrl-Z stops it; when it goes on it draws anew below what the shell wrote."""
    onode.run("a")
    terminal = onode.terminal("stats", "-i", "0.1", rows=10, cols=120)
    frame(terminal, "a ")
    os.kill(terminal.pid, signal.SIGTSTP)
    _, status = os.waitpid(terminal.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    os.kill(terminal.pid, signal.SIGCONT)
    frame(terminal, "\x1b[H\x1b[2J")
    frame(terminal, "a ")
    os.kill(terminal.pid, signal.SIGTERM)
    assert terminal.end() == -signal.SIGTERM


def test_colours(onode):
    """NO_COLOR leaves the words without colour, also where they are drawn over each other."""
    onode.run("a")
    onode("pause", "a")
    terminal = onode.terminal("stats", "-i", "0.1")
    assert "\x1b[33m" in frame(terminal, "a")
    os.kill(terminal.pid, signal.SIGTERM)
    terminal.end()
    terminal = lab.Terminal(onode.argv("stats", "-i", "0.1"), {**onode.env, "NO_COLOR": "1"}, 24, 80)
    assert re.search(r"\x1b\[[0-9;]*m", frame(terminal, "a")) is None
    os.kill(terminal.pid, signal.SIGTERM)
    terminal.end()
    onode("unpause", "a")


def test_get_rss(onode):
    """get-rss gives the line of JSON that schedulers parse (RSS, Swap and Percent are whole numbers), and the text."""
    onode.run("busy", BUSY)
    line = onode("get-rss", "-p", "busy", "-J").out
    assert re.fullmatch(r'\{ "ResourceUsage": \{ "MemoryStats": \{ "RSS" : \d+, "Swap" : \d+ \}, '
                        r'"CpuStats": \{ "TotalTicks": \d+\.\d{3}, "Percent": \d+ \} \} \}\n', line), line
    used = json.loads(line)["ResourceUsage"]
    assert used["MemoryStats"]["RSS"] > 0
    lab.wait_until(lambda: onode("get-rss", "-p", "busy", "-J").json()["ResourceUsage"]["CpuStats"]["Percent"] > 10,
                   "load")
    assert json.loads(onode("--format", "json", "get-rss", "busy").out)["ResourceUsage"]["MemoryStats"]["RSS"] > 0
    text = onode("get-rss", "-p", "busy").out.splitlines()
    assert text[0] == "Resource usage by the pot busy"
    assert [line.split(" : ")[0].strip() for line in text[1:]] == [
        "cpu time (ticks spent)", "cpu time (MHz)", "pcpu (%)", "virtual memory", "physical memory", "swap memory"]
    assert int(text[4].split(" : ")[1]) > int(text[5].split(" : ")[1]) // 2


def test_top(onode):
    """top shows the pot's own numbers and names, in the order that was asked for; unknown users are numbers."""
    onode.run("a", "sh -c 'sleep 1000 & while :; do :; done'")
    onode("exec", "-d", "-u", "alice", "a", "sleep", "999")
    onode("exec", "-d", "-u", "4242", "a", "sleep", "998")
    lab.wait_until(lambda: len(onode("--format", "json", "top", "a").json()) == 5, "five processes")
    lab.wait_until(lambda: max(t["cpu_ns"] for t in onode("--format", "json", "top", "a").json()) > 100_000_000,
                   "processor time")
    tasks = onode("--format", "json", "top", "a").json()
    assert [t["pid"] for t in tasks] == sorted(t["pid"] for t in tasks)
    assert tasks[0]["pid"] == 1
    users = {t["command"]: t["user"] for t in tasks}
    assert users["sleep 999"] == "alice" and users["sleep 998"] == "4242"
    assert {t["uid"] for t in tasks} == {0, 1000, 4242}
    for order, key in (("cpu", "cpu_ns"), ("rss", "rss_bytes")):
        values = [t[key] for t in onode("--format", "json", "top", "--sort", order, "a").json()]
        assert values == sorted(values, reverse=True)
    starts = [t["started_at"] for t in onode("--format", "json", "top", "--sort", "start", "a").json()]
    assert starts == sorted(starts)
    busiest = onode("top", "--sort", "cpu", "a").out.splitlines()
    assert busiest[0].split() == ["PID", "PPID", "USER", "STATE", "CPU%", "TIME", "RSS", "STARTED", "COMMAND"]
    assert "while" in busiest[1]
    assert onode("-q", "top", "a").out.splitlines()[0] == "1"
    onode.fails("top", "--sort", "name", "a", status=2, says="--sort")


def test_show_agrees(onode):
    """show and stats count the same."""
    onode.run("a")
    lab.wait_until(lambda: one(onode, "a")["pids"] == 2, "init and its command")
    shown, s = onode("--format", "json", "show", "a").json()[0], one(onode, "a")
    assert shown["pids"] == s["pids"]
    assert 0 < shown["cpu_ns"] <= s["cpu_ns"]
    assert abs(shown["memory_bytes"] - s["memory_bytes"]) < 4 << 20
    onode("stop", "-t", "0", "a")
    shown = onode("--format", "json", "show", "a").json()[0]
    assert shown["pids"] is None and shown["memory_bytes"] is None and shown["cpu_ns"] is None
