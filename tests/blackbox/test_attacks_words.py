"""Attacks by words: names, values and settings that mean something to a shell, a path or a rule; and secrets."""

import os
import stat

import pytest

import lab

NAMES = ("../x", "..", ".", "", "a/b", "/etc", "a\nb", "-x", "a" * 64, "a;id", "$(id)", "a b", "\u202ex", "%s", ".hidden")


@pytest.mark.parametrize("name", NAMES)
def test_t26_names_at_every_verb(onode, place, name):
    """T26: a pot's name that is none is refused by every verb with status 1, 2 or 125, in one line, and no file
    outside or inside of the installation appears, changes or goes."""
    onode.make("old")
    before = sorted(os.listdir(place)), sorted(os.listdir("/etc")), sorted(os.listdir(onode.root)), onode.states()
    verbs = onode("--format", "json", "help").json()["verbs"]
    more = {"set-cmd": ["-c", "x"], "set-env": ["-E", "A=b"], "set-attribute": ["-A", "persistent", "-V", "YES"],
            "get-attribute": ["-A", "persistent"], "mount-in": ["-d", "/usr", "-m", "/mnt"], "mount-out": ["-m", "/mnt"],
            "create": ["-b", "box", "-N", "none"], "clone": ["-P", "old", "-F"], "rename": ["-n", "new"],
            "copy-in": ["-s", "/etc/hostname", "-d", "/x"], "copy-out": ["-s", "/etc/passwd", "-d", place],
            "export-ports": ["-e", "80"], "set-hosts": ["-H", "h:10.0.0.1"], "destroy": ["-F"], "update": ["--pids", "9"]}
    tried = 0
    for verb in verbs:
        if not any(o.get("long") == "pot" for o in verb["options"]) or verb["name"] in ("top", "stats", "show", "events"):
            continue
        tried += 1
        tail = ["true"] if verb["name"] == "exec" else []
        result = onode.call(verb["name"], "-p", name, *more.get(verb["name"], []), *tail)
        assert result.status in (1, 2, 125), result
        assert result.err.count("\n") == 1 and "\u202e" not in result.err, result
    assert tried > 20
    assert (sorted(os.listdir(place)), sorted(os.listdir("/etc")), sorted(os.listdir(onode.root)),
            onode.states()) == before


def test_t59_values_reach_no_shell(onode, place):
    """T59: values with quotes, newlines, semicolons and substitutions arrive as they are, and are run or expanded by
    nobody on the way."""
    touched = os.path.join(place, "touched")
    evil = [f"$(touch {touched})", f"`touch {touched}`", f"'; touch {touched}; '", f'"; touch {touched}; "', "a\nb=c",
            "*/ }; drop; /*", "%n%s", "\\", "a\\nb", "{ }", "\x1b]0;x\x07"]
    onode.make("a", "sleep 100000")
    for number, value in enumerate(evil):
        onode.call("set-env", "-p", "a", "--add", "-E", f"E{number}={value}")
        onode.call("set-attribute", "-p", "a", "-A", "description", "-V", value)
        onode.call("set-hosts", "-p", "a", "--add", "-H", f"{value}:10.0.0.1")
        onode.call("create", "-p", "b", "-b", "box", "-B", value)
        onode.call("create", "-p", "b", "-b", "box", "-N", "public-bridge", "--publish", value)
        onode.call("create-private-bridge", "-B", value, "-S", "10")
        onode.call("snapshot", "-p", "a", "-n", value)
    onode("start", "a")
    inside = onode("exec", "a", "env").out
    for number, value in enumerate(evil):
        if f"E{number}=" in inside:
            assert f"E{number}={value}" in inside, value
    for value in evil:
        assert onode("exec", "-e", "X=" + value, "a", "sh", "-c", 'printf %s "$X"').out == value
        assert onode("exec", "a", "echo", value).out == value + "\n"
    assert not os.path.exists(touched)
    assert sorted(onode.states()) == ["a"]


def test_t60_secrets(onode, place):
    """T60: a secret in a pot's environment stands in no process' arguments, in no output of the verbs that show
    things, and on the disk only in files that nobody but root can reach."""
    secret = "s3cr3t-" + os.urandom(8).hex()
    onode.make("a", "sh -c 'sleep 100000'")
    onode("set-env", "-p", "a", "-E", f"TOKEN={secret}")
    starter = onode.start("start", "a")
    while starter.poll() is None:
        for pid in filter(str.isdigit, os.listdir("/proc")):
            assert secret not in lab.command_line(int(pid)), lab.command_line(int(pid))
    assert starter.returncode == 0
    starter.communicate()
    assert onode.sh("a", "echo $TOKEN").strip() == secret
    for pid in filter(str.isdigit, os.listdir("/proc")):
        assert secret not in lab.command_line(int(pid))
    for verb in (("ps",), ("list",), ("top", "a"), ("logs", "a"), ("--format", "json", "ps")):
        assert secret not in onode(*verb).out, verb
    found = 0
    for directory, _, files in os.walk(onode.root):
        for name in files:
            path = os.path.join(directory, name)
            s = os.lstat(path)
            if not stat.S_ISREG(s.st_mode) or s.st_size > 1 << 20:
                continue
            with open(path, "rb") as f:
                if secret.encode() not in f.read():
                    continue
            found += 1
            parents = [os.path.dirname(path)]
            while parents[-1] != onode.root:
                parents.append(os.path.dirname(parents[-1]))
            assert s.st_mode & 0o077 == 0 or any(os.lstat(p).st_mode & 0o001 == 0 for p in parents), path
    assert found == 1


def test_t52_destroy_while_busy(onode):
    """T52: a pot whose files a process of the host still holds is destroyed all the same or kept whole; nothing is
    half gone, and the second destroy works."""
    onode.run("a")
    onode.sh("a", "echo kept > /root/file")
    held = os.open(f"/proc/{onode.info('a')['pid']}/root/root", os.O_RDONLY | os.O_DIRECTORY)
    try:
        result = onode.call("destroy", "-F", "a")
        if result.status != 0:
            assert result.err.count("\n") == 1, result
            if "a" in onode.states():
                onode("start", "a")
                assert onode.sh("a", "cat /root/file") == "kept\n"
    finally:
        os.close(held)
    onode.call("destroy", "-F", "a")
    assert "a" not in onode.states()
    onode.run("a")
    assert onode.call("exec", "a", "test", "-e", "/root/file").status == 1
