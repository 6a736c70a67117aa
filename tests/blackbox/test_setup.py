"""Setting a node up and away: init, de-init, create-base, config, doctor, version, help, completion."""

import gzip
import json
import lzma
import os
import shutil
import signal
import subprocess

import pytest

import lab


def bases(node):
    return {b["name"] for b in node("--format", "json", "list", "-b").json()}


def test_version_is_one_number(pot):
    """version says the same in its three forms, without an installation."""
    number = pot("version", "-q").out.strip()
    assert pot("version").out == f"pot version: {number}\n"
    assert pot("--format", "json", "version").json() == {"version": number}
    assert pot("--version").out == f"pot version: {number}\n"


def test_help_lists_every_verb(pot):
    """help names every verb of the table, and each verb's own help shows its options and example."""
    verbs = pot("--format", "json", "help").json()
    verbs = verbs["verbs"] if isinstance(verbs, dict) else verbs
    overview = pot("help").out
    assert len(verbs) >= 40
    for verb in verbs:
        assert f"\n  {verb['name']} " in overview
        text = pot("help", verb["name"]).out
        assert text == pot(verb["name"], "--help").out
        assert verb["summary"] in overview
        for option in verb["options"]:
            assert f"--{option['long']}" in text


def test_completion_is_shell(pot):
    """The bash completion is valid bash and completes verbs, options and pots' names."""
    text = pot("completion", "bash").out
    assert subprocess.run(["bash", "-n"], input=text, text=True, check=False).returncode == 0
    for word in ("create-base", "--storage", "purge-snapshots"):
        assert word in text


def test_completion_answers(onode):
    """Completing `pot st` and `pot stop w` in bash offers the verbs and the pots there are."""
    onode.make("web")
    script = f"""
        {onode("completion", "bash").out}
        complete_line() {{
            COMP_LINE="$*"; COMP_POINT=${{#COMP_LINE}}; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
            "$(complete -p pot | sed 's/.*-F \\([^ ]*\\).*/\\1/')" pot "${{@: -1}}" "${{@: -2:1}}"
            echo "${{COMPREPLY[@]}}"
        }}
        complete_line pot st
        complete_line pot stop w
    """
    run = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False,
                         env={**onode.env, "POT_ROOT": onode.root,
                              "PATH": os.path.dirname(onode.program) + ":" + onode.env["PATH"]})
    first, second = run.stdout.splitlines()[:2]
    assert {"start", "stop"} <= set(first.split())
    assert second.split() == ["web"]


def test_init_tells_what_it_chose(node):
    """init on a node that is there changes nothing and says so, with the storage and the reason."""
    report = node("--format", "json", "init").json()
    assert report["storage"] == node.storage
    assert report["was_initialised"] is True
    assert report["why"]
    assert "Nothing had to be done" in node("init").out


def test_init_dry_run_changes_nothing(program, place):
    """init --dry-run names a storage and makes no file."""
    root = os.path.join(place, "dry")
    report = lab.Pot(program, root)("--format", "json", "init", "--dry-run").json()
    assert report["dry_run"] is True and report["storage"] in ("zfs", "btrfs", "overlay")
    assert not os.path.exists(root)


def test_deinit_refuses_and_forces(empty_node, box):
    """de-init with a running pot is refused, naming it; with -f the pot ends and everything is gone."""
    node = empty_node
    node("create-base", "-b", "box", "--from", box)
    node.run("web")
    before = lab.tree(os.path.join(node.root, "pots"))
    node.fails("de-init", says="web")
    assert node.states() == {"web": "running"}
    assert lab.tree(os.path.join(node.root, "pots")) == before
    node("de-init", "-f")
    assert not os.path.exists(node.root) or os.listdir(node.root) == []


def test_deinit_without_init(program, place):
    """de-init where nothing is: an error or nothing, but never a change."""
    root = os.path.join(place, "never")
    lab.Pot(program, root).call("de-init")
    assert not os.path.exists(root)


def test_verbs_before_init(program, place):
    """Every verb that needs a node says in one line to run init."""
    pot = lab.Pot(program, os.path.join(place, "nothing-here"))
    for args in (["ps"], ["list"], ["create", "-p", "a", "-b", "b"], ["start", "a"], ["stop", "a"], ["logs", "a"],
                 ["destroy", "a"], ["create-base", "-r", "bookworm"], ["info", "-p", "a"]):
        pot.fails(*args, says="init")
    assert not os.path.exists(os.path.join(place, "nothing-here"))


@pytest.mark.parametrize("form", ["directory", "tar", "gz", "xz", "zst", "stdin"])
def test_base_from_any_form(onode, box, place, form):
    """create-base --from takes a directory and a tarball in every compression: the same tree comes out."""
    tar = os.path.join(place, "box.tar")
    source, stdin = {"directory": box, "tar": tar}.get(form), None
    if form in ("gz", "xz"):
        source = os.path.join(place, f"form.tar.{form}")
        opener = gzip.open if form == "gz" else lzma.open
        with open(tar, "rb") as f, opener(source, "wb") as g:
            shutil.copyfileobj(f, g)
    elif form == "zst":
        source = os.path.join(place, "form.tar.zst")
        subprocess.run(["zstd", "-q", "-f", tar, "-o", source], check=True)
    elif form == "stdin":
        with open(tar, "rb") as f:
            stdin = f.read()
        source = "-"
    onode("create-base", "-b", "form", "--from", source, stdin=stdin)
    onode("create", "-p", "a", "-b", "form", "-c", "sleep 1000")
    onode("start", "a")
    assert onode.sh("a", "ls -ld /tmp | cut -c1-10; stat -c %u /home/alice; readlink /bin/ls") \
        == "drwxrwxrwt\n1000\nbusybox\n"
    onode("destroy", "-F", "a")
    onode("destroy", "-b", "form")
    assert "form" not in bases(onode)


def test_base_twice(onode, box):
    """A base of a name that is taken is refused and the old one is untouched."""
    before = onode("--format", "json", "list", "-b").json()
    onode.fails("create-base", "-b", "box", "--from", box, says="box")
    assert onode("--format", "json", "list", "-b").json() == before


def test_base_of_garbage(onode, place):
    """A file that is no archive, a truncated one and a missing one leave no base."""
    garbage = os.path.join(place, "garbage.tar")
    with open(garbage, "wb") as f:
        f.write(os.urandom(100000))
    with open(os.path.join(place, "box.tar"), "rb") as f, gzip.open(garbage + ".gz", "wb") as g:
        g.write(f.read())
    with open(garbage + ".gz", "r+b") as f:
        f.truncate(os.path.getsize(garbage + ".gz") // 2)
    for source in (garbage, garbage + ".gz", garbage + ".missing"):
        before = bases(onode)
        onode.fails("create-base", "-b", "bad", "--from", source, says="missing" if "missing" in source else "bad")
        assert bases(onode) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_base_interrupted(onode, number):
    """An interrupt in the middle of create-base leaves no base, and the next one of that name works."""
    process = onode.start("create-base", "-b", "half", "--from", "-", stdin=subprocess.PIPE)
    with open(os.path.join(os.path.dirname(onode.root), "box.tar"), "rb") as f:
        data = f.read()
    process.stdin.write(data[:len(data) // 2])
    process.stdin.flush()
    os.kill(process.pid, number)
    process.stdin.close()
    process.wait(timeout=lab.HANG)
    assert process.returncode != 0
    assert "half" not in bases(onode)
    onode("create-base", "-b", "half", "--from", "-", stdin=data)
    assert "half" in bases(onode)
    onode("destroy", "-b", "half")


def test_base_hostile_archive(onode, place):
    """An archive that climbs out of its root is refused, naming the entry; the file outside stays as it was."""
    canary = os.path.join(place, "canary")
    with open(canary, "w", encoding="ascii") as f:
        f.write("untouched")
    before = os.stat(canary)
    stage = os.path.join(place, "stage")
    os.makedirs(stage, exist_ok=True)
    with open(os.path.join(stage, "f"), "w", encoding="ascii") as f:
        f.write("evil")
    for name, transform in (("up", "s,^f$,../../../../../../../../.." + canary + ","), ("absolute", f"s,^f$,{canary},")):
        archive = os.path.join(place, f"{name}.tar")
        subprocess.run(["tar", "-P", "-C", stage, "--transform", transform, "-cf", archive, "f"], check=True)
        result = onode.call("create-base", "-b", name, "--from", archive)
        after = os.stat(canary)
        assert (after.st_mtime_ns, after.st_size, after.st_ino) == (before.st_mtime_ns, before.st_size, before.st_ino)
        if result.status == 0:
            onode("destroy", "-b", name)
        else:
            assert result.err.count("\n") == 1, result
            assert "canary" in result.err, result


def test_base_in_use(node):
    """A base that pots use is not destroyed, and the pots are named; with -r both go."""
    node("create-base", "-b", "used", "--from", os.path.join(os.path.dirname(node.program), "..", "box"))
    node("create", "-p", "user1", "-b", "used")
    node.fails("destroy", "-b", "used", says="user1")
    assert "used" in bases(node)
    node("destroy", "-r", "-b", "used")
    assert "used" not in bases(node)
    assert node.states() == {}


def test_debian_pot(debian):
    """A real Debian userland starts, runs its own shell and apt, and ends."""
    debian("create", "-p", "deb", "-b", "bookworm", "-c", "sleep infinity")
    debian("start", "deb")
    assert debian("exec", "deb", "cat", "/etc/debian_version").out.startswith("12")
    assert "apt " in debian("exec", "deb", "apt", "--version").out
    assert debian("exec", "deb", "bash", "-c", "echo $((6 * 7))").out == "42\n"
    debian("stop", "deb")


def test_config_tells_origin(empty_node):
    """config shows defaults, and values of the file with the line they are on."""
    with open(os.path.join(empty_node.root, "pot.conf"), "a", encoding="ascii") as f:
        f.write("# comment\nlog_files = 7\n")
    items = {i["key"]: i for i in empty_node("--format", "json", "config").json()}
    assert items["log_files"]["value"] == "7"
    assert items["log_files"]["origin"].endswith("pot.conf:2")
    assert items["log_max_size"]["origin"] == "default"
    assert items["root"]["value"] == empty_node.root
    assert items["storage_used"]["value"] == "overlay"
    assert empty_node("config", "-q", "-g", "log_files").out == "7\n"
    empty_node.fails("config", "-g", "log_file", says="log_files")


@pytest.mark.parametrize("text, where", [
    ("log_files = many\n", "pot.conf:1:"),
    ("# one\n\nno_such_key = 1\n", "pot.conf:3:"),
    ("log_files = \n= 3\n", "pot.conf:"),
    ("storage = \"paper\"\n", "pot.conf:1:"),
    ("stop_timeout = \"10 parsecs\"\n", "pot.conf:1:"),
])
def test_config_mistakes(empty_node, text, where):
    """A mistake in the configuration file is told with file, line and column, by every verb."""
    path = os.path.join(empty_node.root, "pot.conf")
    with open(path, "w", encoding="ascii") as f:
        f.write(text)
    result = empty_node.fails("ps", says=where)
    place = result.err[result.err.index("pot.conf:"):].split(" ")[0].split(":")
    assert place[1].isdigit() and place[2].isdigit(), result
    os.unlink(path)


def test_config_file_missing(onode):
    """A configuration file that was named and is not there is an error."""
    onode.fails("--config", "/nonexistent/pot.conf", "ps", says="/nonexistent/pot.conf")


def test_doctor_finds_no_failure(pot, onode):
    """doctor works with and without an installation and finds nothing missing here."""
    for p in (pot, onode):
        findings = p("--format", "json", "doctor").json()
        assert findings
        assert [f for f in findings if f["severity"] == "fail"] == []
        for finding in findings:
            if finding["severity"] != "ok":
                assert finding["remedy"]


def test_two_installations_do_not_meet(onode, empty_node, box):
    """Two installations on one host have pots of the same name that know nothing of each other."""
    empty_node("create-base", "-b", "box", "--from", box)
    onode.run("same", "sleep 1001")
    empty_node.run("same", "sleep 1002")
    assert onode.info("same")["cgroup"] != empty_node.info("same")["cgroup"]
    empty_node("destroy", "-F", "same")
    assert onode.states() == {"same": "running"}
    assert empty_node.states() == {}


def test_format_json_is_json(onode):
    """Every verb whose help says that it shows something gives valid JSON, and only that, on stdout."""
    onode.run("web")
    for args in (["ps"], ["list"], ["list", "-a"], ["info", "-p", "web"], ["inspect", "web"], ["show"],
                 ["top", "web"], ["config"], ["doctor"], ["last-run-stats", "-p", "web"], ["version"], ["help"],
                 ["prune", "-n"], ["logs", "web"], ["get-attribute", "-p", "web", "-A", "persistent"]):
        result = onode("--format", "json", *args)
        if args[0] == "logs":
            for line in result.out.splitlines():
                json.loads(line)
        else:
            json.loads(result.out)
