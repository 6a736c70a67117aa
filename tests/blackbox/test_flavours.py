"""Flavours: what pots get of them, what is done again and what is not, where they are found, and how they fail."""

import json
import os
import re
import shutil
import signal
import subprocess

import pytest

import lab

SHIPPED = os.path.join(lab.TREE, "flavours")


@pytest.fixture(autouse=True)
def no_cache_left(request):
    """What flavours gave is kept on the node; every test begins without it."""
    nodes = [request.getfixturevalue(name) for name in ("node", "onode") if name in request.fixturenames]
    yield
    for node in nodes:
        for pot in node.states():
            node("destroy", "-F", pot)
        node("build", "prune", "-a")
        node("image", "prune", "-a")


class Recipes:
    """A directory of flavours."""

    def __init__(self, path):
        self.path = path

    def __call__(self, name, commands=None, script=None, meta=None):
        for suffix, text in (("", commands), (".sh", script), (".meta", meta)):
            if text is not None:
                (self.path / (name + suffix)).write_text(text)
        return f"{self.path}/{name}"


@pytest.fixture
def recipe(tmp_path):
    directory = tmp_path / "flavours"
    directory.mkdir()
    return Recipes(directory)


def make(node, name, *flavours, **options):
    """pot create -f …: the Result; what is told of steps is on stderr."""
    words = [word for flavour in flavours for word in ("-f", flavour)]
    result = node.call("create", "-p", name, "-b", "box", "-N", "none", *words, *options.pop("more", ()), **options)
    assert result.status == 0, result
    return result


def cached(result):
    """For each step that was told of, in order: was it cached?"""
    ends = re.findall(r"^\[\d+/\d+\] FLAVOUR .*?  *(CACHED|\d.*)$", result.err, re.M)
    return [end.startswith("CACHED") for end in ends]


def read(node, pot, path, tmp_path):
    """A file of a stopped pot."""
    target = tmp_path / "copied-out"
    if target.exists():
        target.unlink()
    node("cp", f"{pot}:{path}", target)
    return target.read_text()


def inspect(node, pot):
    return node("inspect", pot).json()


UUID = "#!/bin/sh\nset -eu\ncat /proc/sys/kernel/random/uuid >/{0}\n"


def test_command_file_gives_files_and_settings(node, recipe, tmp_path):
    """Every command of a command file does in the pot what its verb does."""
    (tmp_path / "own").write_text("a file of the host\n")
    os.chmod(tmp_path, 0o755)
    os.chown(tmp_path / "own", 1000, 1000)
    os.mkdir(recipe.path / "all.d")
    (recipe.path / "all.d" / "deep").mkdir()
    (recipe.path / "all.d" / "deep" / "x").write_text("x\n")
    (recipe.path / "all.d" / "a[b]*").write_text("no pattern\n")
    os.chown(recipe.path / "all.d" / "deep" / "x", 1000, 1000)
    os.chmod(recipe.path / "all.d" / "deep" / "x", 0o750)
    flavour = recipe("all", f"""# comment
copy-in -s {tmp_path}/own -d /srv/own
copy-in-flv -s all.d -d /srv/all -c
copy-in-flv -s 'all.d/a[b]*' -d /srv/literal
mount-in -d {tmp_path} -m /mnt/host -r
set-rss -M 32m
export-ports -e 80
export-ports -e udp:53:5353
set-attribute -A stop_timeout -V 7
set-env -E A=1 -E "B=two words"
set-env -E A=2
set-cmd -c sh -c 'cat /srv/all/deep/x; echo "$A $B"; stat -c %u:%g:%a /srv/own /srv/all/deep/x; ls /mnt/host'
""")
    result = node.call("create", "-p", "all", "-b", "box", "-f", flavour)
    assert result.status == 0, result
    info = inspect(node, "all")
    assert sorted(info["env"]) == ["A=2", "B=two words"]
    assert info["limits"]["memory"] == 32 << 20
    assert info["attributes"]["stop_timeout"] == "7"
    ports = {(p["protocol"], p["pot_port"]): p["host_port"] for p in info["published"]}
    assert ports[("udp", 53)] == 5353 and ports[("tcp", 80)] > 0
    assert info["mounts"][0]["target"] == "/mnt/host" and info["mounts"][0]["read_only"]
    assert info["base"] == "box" and info["type"] == "single"
    assert read(node, "all", "/srv/literal", tmp_path) == "no pattern\n"
    os.unlink(tmp_path / "copied-out")
    started = node("start", "--attach", "all")
    assert started.out.splitlines() == ["x", "2 two words", "1000:1000:644", "0:0:750", "flavours", "own"]


def test_script_runs_inside(onode, recipe, tmp_path):
    """A script runs as root in a pot, with its parameters and variables, and leaves nothing but what it did."""
    flavour = recipe("in", "set-env -E SEEN=yes\n", """#!/bin/sh
set -eu
[ "$(id -u)" = 0 ] && [ "$PWD" = / ] && [ "$HOME" = /root ] && [ "$SEEN" = yes ] && [ "$$" -lt 20 ]
if read -r line; then exit 9; fi
rm -rf /tmp/*
echo "told on stdout"; echo "told on stderr" >&2
echo "$word" >/word
""", "title=x\nparameter=word\nparameter.word.default=usual\n")
    result = make(onode, "one", flavour)
    assert "told on stdout\n" in result.err and "told on stderr\n" in result.err
    assert read(onode, "one", "/word", tmp_path) == "usual\n"
    assert make(onode, "two", flavour + "?word=with%20blanks%26").err.count("told on") == 2
    assert read(onode, "two", "/word", tmp_path) == "with blanks&\n"
    onode("set-cmd", "-p", "one", "-c", "sh -c 'find / -xdev -name \"*flavour*\" | wc -l; env'")
    out = onode("start", "--attach", "one").out
    assert out.startswith("0\n") and "word=" not in out and "SEEN=yes" in out
    # With -q nothing is told where all goes well.
    assert onode("-q", "create", "-p", "three", "-b", "box", "-N", "none", "--no-cache", "-f", flavour).out == ""


def test_only_what_changed_is_done_again(node, recipe, tmp_path):
    """Of four flavours, changing the third runs the third and fourth again and neither of the first two."""
    names = ["a", "b", "c", "d"]
    flavours = [recipe(name, None, UUID.format(name)) for name in names]

    def outcome(pot):
        return [read(node, pot, "/" + name, tmp_path) for name in names]

    assert cached(make(node, "p1", *flavours)) == [False] * 4
    first = outcome("p1")
    assert cached(make(node, "p2", *flavours)) == [True] * 4
    assert outcome("p2") == first
    recipe("c", None, UUID.format("c") + "# changed\n")
    assert cached(make(node, "p3", *flavours)) == [True, True, False, False]
    third = outcome("p3")
    assert third[:2] == first[:2] and third[2] != first[2] and third[3] != first[3]
    # Back to what it was: nothing runs. All again: everything.
    recipe("c", None, UUID.format("c"))
    assert cached(make(node, "p4", *flavours)) == [True] * 4
    assert outcome("p4") == first
    assert cached(make(node, "p5", *flavours, more=["--no-cache"])) == [False] * 4
    assert not set(outcome("p5")) & set(first)
    # What was written in one pot is in no other.
    node("cp", recipe.path / "a.sh", "p1:/a")
    assert outcome("p2") == first


def test_content_and_parameters_are_part_of_the_key(onode, recipe, tmp_path):
    """A changed file that is copied, or another parameter, is done again; another name, time or comment is not."""
    (recipe.path / "file").write_text("1\n")
    flavour = recipe("f", "copy-in-flv -s file -d /file\n", UUID.format("ran"),
                     "title=x\nparameter=p\nparameter.p.default=1\n")
    assert cached(make(onode, "p1", flavour)) == [False, False]
    os.utime(recipe.path / "file", (1, 1))
    recipe("f", "# said otherwise\ncopy-in-flv -s file -d /file\nset-env -E X=$p\n")
    assert cached(make(onode, "p2", flavour))[0] is True
    recipe("f", "copy-in-flv -s file -d /file\n")
    assert cached(make(onode, "p3", flavour + "?p=1")) == [True, True]
    assert cached(make(onode, "p4", flavour + "?p=2")) == [True, False]
    (recipe.path / "file").write_text("2\n")
    assert cached(make(onode, "p5", flavour)) == [False, False]
    assert read(onode, "p5", "/file", tmp_path) == "2\n"
    assert read(onode, "p1", "/file", tmp_path) == "1\n"


def test_classic_scripts_get_the_name(onode, recipe, tmp_path):
    """A script without a description that uses $1 gets the pot's name, and is not shared with other names."""
    flavour = recipe("named", None, '#!/bin/sh\necho "$1" >/name\n')
    assert cached(make(onode, "p1", flavour)) == [False]
    assert cached(make(onode, "p2", flavour)) == [False]
    assert [read(onode, p, "/name", tmp_path) for p in ("p1", "p2")] == ["p1\n", "p2\n"]


def test_interpreters(onode, recipe, tmp_path):
    """The first line says who reads a script; without it sh does; one that is not there is told."""
    flavours = [recipe("plain", None, "echo plain >/plain\n"),
                recipe("dashed", None, "#! /bin/sh  -e \necho $- >/dashed\nfalse || true\n")]
    make(onode, "p", *flavours)
    assert read(onode, "p", "/plain", tmp_path) == "plain\n"
    assert "e" in read(onode, "p", "/dashed", tmp_path)
    result = onode.call("create", "-p", "q", "-b", "box", "-N", "none", "-f",
                        recipe("odd", None, "#!/opt/none\n"))
    assert result.status != 0 and "flavour odd" in result.err and "/opt/none" in result.err, result


def test_a_failing_flavour_leaves_nothing(node, recipe):
    """A script that fails is shown with what it said; there is no pot, no mount and no process, and no port is taken."""
    good = recipe("good", "export-ports -e 80:8099\n", UUID.format("good"))
    bad = recipe("bad", None, "#!/bin/sh\necho it went wrong here\nsleep 1000 &\nexit 3\n")
    for quiet in ([], ["-q"]):
        result = node.call(*quiet, "create", "-p", "p", "-b", "box", "-f", good, "-f", bad,
                           "--flavour-network", "none")
        assert result.status == 1, result
        assert "it went wrong here\n" in result.err
        assert "pot: flavour bad: " in result.err and " 3" in result.err.splitlines()[-1], result
        assert node.states() == {}
        assert node("ps", "-a").out.count("\n") <= 1
        node("create", "-p", "taker", "-b", "box", "--publish", "8099:80")
        node("destroy", "taker")


def test_keep_shows_what_the_failed_one_found(onode, recipe, tmp_path):
    """With -k there is a pot as the last good step left it."""
    bad = recipe("bad", None, "#!/bin/sh\necho x >/half\nexit 3\n")
    result = onode.call("create", "-k", "-p", "p", "-b", "box", "-N", "none", "-f",
                        recipe("good", None, "echo good >/good\n"), "-f", bad)
    assert result.status == 1 and "flavour bad" in result.err, result
    assert read(onode, "p", "/good", tmp_path) == "good\n"
    onode.fails("cp", "p:/half", tmp_path / "half")


def test_an_interrupted_flavour_leaves_nothing(onode, recipe):
    """SIGINT while a script runs ends it: no pot, no process, and the next creation goes on from the step before."""
    slow = recipe("slow", None, "#!/bin/sh\necho begun\nexec sleep 100000\n")
    first = recipe("first", None, UUID.format("first"))
    run = onode.start("create", "-p", "p", "-b", "box", "-N", "none", "-f", first, "-f", slow)
    seen = b""
    while b"begun" not in seen:
        data = os.read(run.stderr.fileno(), 4096)
        assert data, seen
        seen += data
    os.kill(run.pid, signal.SIGINT)
    run.communicate(timeout=lab.HANG)
    assert run.returncode != 0
    assert onode.states() == {}
    assert cached(make(onode, "q", first)) == [True]


MISTAKES = [
    # command file, script, meta, arguments, words of the message
    ("set-env -E A=1\nfrobnicate -x\n", None, None, "", ["/f:2:1: ", "'frobnicate' is no command", ".sh"]),
    ("export-ports -e 99999\n", None, None, "", ["/f:1:1: "]),
    ("copy-in-flv -s missing -d /x\n", None, None, "", ["/f:1: ", "missing", "No such file"]),
    ("copy-in -s /dev/null/x -d /x\n", None, None, "", ["/f:1: ", "cannot copy"]),
    ("mount-in -f store -m /x\n", None, None, "", ["/f:1: ", "mount-in -d"]),
    ("set-cmd -c 'open\n", None, None, "", ["/f:1: ", "quote"]),
    (None, "exit 0\n", "title=x\ncolour=red\n", "", ["/f.meta", "colour"]),
    (None, "exit 0\n", "title=x\nparameter=port\n", "?prt=1", ["no parameter 'prt'", "did you mean port?"]),
    (None, "exit 0\n", "title=x\nparameter=port\nparameter.port.required=yes\n", "", ["'port' is needed", "?port="]),
    (None, "exit 0\n", "title=x\nsystems=freebsd\n", "", ["is for freebsd"]),
    (None, "exit 0\n", "title=x\nflavour=nowhere\n", "", ["flavour 'f'", "no flavour 'nowhere'"]),
    ("set-cmd -c serve ${p}\n", None, "title=x\nparameter=p\n", "?p=a;b", ["/f:1:1: ", "value of 'p'"]),
    (None, "#!/bin/sh\r\n", None, "", ["/f.sh", "CR LF"]),
]


@pytest.mark.parametrize("mistake", range(len(MISTAKES)))
def test_mistakes_are_told_with_their_place(onode, recipe, mistake):
    """A mistake is told in one line with flavour, file and line before anything is done."""
    commands, script, meta, arguments, says = MISTAKES[mistake]
    flavour = recipe("f", commands, script, meta) + arguments
    onode.fails("create", "-p", "p", "-b", "box", "-f", flavour, says=says)
    assert onode.states() == {}


def test_names_that_are_wrong(onode, recipe, tmp_path):
    """Unknown flavours, those of the working directory, circles, and arguments for nobody are told."""
    create = ["create", "-p", "p", "-b", "box"]
    onode.fails(*create, "-f", "ngnix", says=["no flavour 'ngnix'", "did you mean nginx?"])
    recipe("here", "set-env -E A=1\n")
    onode.fails(*create, "-f", "here", cwd=recipe.path, says=["no flavour 'here'", "./here"])
    assert onode.call(*create, "-f", "./here", cwd=recipe.path).status == 0
    onode("destroy", "p")
    circle = recipe("circle", "set-env -E A=1\n", None, f"title=x\nflavour={recipe.path}/round\n")
    recipe("round", "set-env -E A=1\n", None, f"title=x\nflavour={circle}\n")
    onode.fails(*create, "-f", circle, says=["circle", "needs itself"])
    onode.fails(*create, "-f", "example", "--flavour-arg", "exmple.greeting=x", says=["exmple.greeting", "no flavour"])
    onode.fails(*create, "-f", "example", "--flavour-arg", "greeting", says="FLAVOUR.PARAMETER=VALUE")
    onode.fails(*create, "--flavour-arg", "a.b=c", status=2, says="-f FLAVOUR")
    onode.fails("create", "-p", "p", "-b", "nobase", "-f", "example", says="no base nobase")
    onode("create", "-p", "p", "-b", "box")
    onode.fails(*create, "-f", "example", says="exists already")


def test_places(onode, recipe, tmp_path):
    """--flavour-dir wins over the user's, which wins over the installation's, which wins over the shipped ones."""
    user, own, given = tmp_path / "config", os.path.join(onode.root, "flavours"), recipe.path
    os.makedirs(user / "pot" / "flavours")
    os.mkdir(own)
    env = {"XDG_CONFIG_HOME": str(user)}
    try:
        def where(*words):
            return onode("--format", "json", "flavours", *words, "show", "slim", env=env).json()["directory"]

        assert os.path.samefile(where(), SHIPPED)
        for directory, words in ((own, []), (user / "pot" / "flavours", []), (given, ["--flavour-dir", given])):
            with open(os.path.join(directory, "slim"), "w", encoding="ascii") as f:
                f.write("set-env -E A=1\n")
            assert os.path.samefile(where(*words), directory)
        names = [f["name"] for f in onode("--format", "json", "flavours", env=env).json()]
        assert names == sorted(set(names)) and "slim" in names
    finally:
        shutil.rmtree(own)


def test_flavours_that_name_others(onode, recipe, tmp_path):
    """Those that a description names are applied before it, each once; --flavour-arg reaches them."""
    for name in ("one", "two"):
        recipe(name, None, f"echo {name} $p >>/order\n", "title=x\nparameter=p\nparameter.p.default=-\n")
    recipe("both", None, "echo both >>/order\n",
           f"title=x\nflavour={recipe.path}/one\nflavour={recipe.path}/two?p=x\nflavour={recipe.path}/one\n")
    make(onode, "p", f"{recipe.path}/both", f"{recipe.path}/two", more=["--flavour-arg", "one.p=given"])
    assert read(onode, "p", "/order", tmp_path) == "one given\ntwo x\nboth\ntwo -\n"


def test_the_last_part_of_a_script_name(onode, recipe, tmp_path):
    """NAME.sh is the script alone."""
    flavour = recipe("two", "set-env -E A=1\n", "echo x >/x\n")
    make(onode, "p", flavour + ".sh")
    assert inspect(onode, "p")["env"] == [] and read(onode, "p", "/x", tmp_path) == "x\n"


def test_what_is_asked_for_counts_more(onode, recipe):
    """Options of create win over what flavours set."""
    flavour = recipe("f", "set-env -E A=flavour -E B=flavour\nset-cmd -c sleep 1\nset-rss -M 32m -C 1\n")
    onode.call("create", "-p", "p", "-b", "box", "-N", "none", "-f", flavour, "-c", "sleep 2", "-M", "64m")
    info = inspect(onode, "p")
    assert info["command"] == "sleep 2" and info["limits"]["memory"] == 64 << 20 and info["limits"]["cpus"] == 1


def test_clone_with_flavours(node, recipe, tmp_path):
    """A clone has its source's files and settings with the flavours on top; the source has none of them."""
    node("create", "-p", "source", "-b", "box", "-N", "none", "-c", "cat /own /added")
    (tmp_path / "own").write_text("source\n")
    node("cp", tmp_path / "own", "source:/own")
    node("snapshot", "source")
    (tmp_path / "own").write_text("later\n")
    node("cp", tmp_path / "own", "source:/own")
    flavour = recipe("f", "set-env -E A=1\n", "cat /own >/added\ncat /proc/sys/kernel/random/uuid >/ran\n")
    assert node.call("clone", "-p", "c1", "-P", "source", "-f", flavour).status == 0
    assert node("start", "--attach", "c1").out == "source\nsource\n"
    again = node.call("clone", "-p", "c2", "-P", "source", "-f", flavour)
    assert cached(again) == [True], again
    assert read(node, "c2", "/ran", tmp_path) == read(node, "c1", "/ran", tmp_path)
    assert node.call("clone", "-F", "-p", "C3__-", "-P", "source", "-f", flavour).status == 0
    assert node("start", "--attach", "C3__-").out == "later\nlater\n"
    node.fails("cp", "source:/added", tmp_path / "x")
    assert node("images", "-q").out == ""
    node.fails("clone", "-p", "c4", "-P", "c1", "-f", flavour, says="no snapshot to clone")


def test_image_with_flavours(node, recipe, tmp_path):
    """A pot of an image gets flavours on top, and its set-cmd takes the place of the image's command."""
    node("create", "-p", "source", "-b", "box", "-N", "none", "-c", "echo image", "-k")
    node("commit", "-p", "source", "-t", "im:1")
    node("destroy", "source")
    flavour = recipe("f", "set-cmd -c cat /f\n", "echo flavour >/f\n")
    assert node.call("create", "-p", "p", "--image", "im:1", "-N", "none", "-f", flavour).status == 0
    assert inspect(node, "p")["image"] == "im:1"
    # What only flavours made is kept by the pot, and what it stands on with it.
    node("build", "prune", "-a")
    node("image", "prune")
    assert node("start", "--attach", "p").out == "flavour\n"
    node("commit", "-p", "p", "-t", "im:2")
    assert node("run", "--rm", "-N", "none", "im:2").out == "flavour\n"
    node("destroy", "p")
    node("rmi", "im:1", "im:2")


def test_commit_of_a_pot_with_flavours(node, recipe):
    """An image made of such a pot has what the flavours did."""
    flavour = recipe("f", "set-cmd -c cat /f /etc/passwd\n", "echo flavour >/f\n")
    make(node, "p", flavour)
    node("commit", "-p", "p", "-t", "of:1")
    assert node("run", "--rm", "-N", "none", "of:1").out.startswith("flavour\nroot:")
    node("destroy", "p")
    node("rmi", "of:1")


def test_ports_where_there_are_none(onode, recipe):
    """A flavour's ports are passed over with a word where the pot's network has no ports of its own."""
    flavour = recipe("f", "export-ports -e 80\n")
    result = onode.call("create", "-p", "p", "-b", "box", "-N", "inherit", "-f", flavour)
    assert result.status == 0 and "ports are not published" in result.err, result
    assert inspect(onode, "p")["published"] == []


# ---- Potfiles ------------------------------------------------------------------------------


def build(node, directory, *words):
    result = node.call("build", "-t", "built:1", *words, directory)
    assert result.status == 0, result
    return result


def test_flavour_of_a_potfile(onode, recipe, tmp_path):
    """FLAVOUR does in an image what -f does in a pot, through the same cache."""
    flavour = recipe("f", "set-env -E A=1\nset-cmd -c cat /f\nexport-ports -e 80\n", UUID.format("f"),
                     "title=x\nparameter=p\nparameter.p.default=1\n")
    make(onode, "p", flavour)
    context = tmp_path / "context"
    context.mkdir()
    (context / "Potfile").write_text("FROM base:box\nFLAVOUR f?p=1\nENV B=2\n")
    build(onode, context, "--flavour-dir", recipe.path, "--network", "none")
    config = onode("inspect", "--image", "built:1").out
    assert "80/tcp" in config and "A=1" in config
    assert onode("run", "--rm", "-N", "none", "built:1").out == read(onode, "p", "/f", tmp_path)
    onode("rmi", "built:1")


def test_flavour_of_a_context_is_hostile(onode, tmp_path):
    """A flavour that comes with a build context takes nothing of the host, by no way."""
    context = tmp_path / "context"
    (context / "flavours").mkdir(parents=True)
    (tmp_path / "secret").write_text("secret\n")
    (context / "Potfile").write_text("FROM base:box\nFLAVOUR evil\n")
    (context / "flavours" / "beside").write_text("beside\n")
    os.symlink(tmp_path / "secret", context / "flavours" / "link")
    os.symlink("/etc", context / "flavours" / "etc")
    for line in (f"copy-in -s {tmp_path}/secret -d /s", "mount-in -d /etc -m /e",
                 f"copy-in-flv -s {tmp_path}/secret -d /s"):
        (context / "flavours" / "evil").write_text(line + "\n")
        result = onode.call("build", "-t", "built:1", context)
        assert result.status == 1 and ("of the host" in result.err or "host's" in result.err), result
    for line in ("copy-in-flv -s link -d /s", "copy-in-flv -s ../../secret -d /s", "copy-in-flv -s etc/passwd -d /s"):
        (context / "flavours" / "evil").write_text(line + "\n")
        result = onode.call("build", "-t", "built:1", context)
        if result.status == 0:
            out = onode.call("run", "--rm", "-N", "none", "built:1", "cat", "/s").out
            assert "secret" not in out and "root" not in out, (line, out)
            onode("rmi", "built:1")
    (context / "flavours" / "evil").write_text("copy-in-flv -s beside -d /s\n")
    build(onode, context)
    assert onode("run", "--rm", "-N", "none", "built:1", "cat", "/s").out == "beside\n"
    onode("rmi", "built:1")


# ---- looking --------------------------------------------------------------------------------


def test_shipped_flavours_are_clean(onode):
    """All that come with pot are described, lint finds nothing, and shellcheck neither."""
    shipped = sorted({f.split(".")[0] for f in os.listdir(SHIPPED)})
    listed = onode("--format", "json", "flavours", "ls").json()
    assert [f["name"] for f in listed] == shipped == onode("list", "-F", "-q").out.split()
    assert {"update", "fbsd-update", "slim", "nginx", "nginx-cmd", "dns", "debug-tools", "example"} <= set(shipped)
    for flavour in listed:
        assert flavour["here"] and flavour["systems"] == ["linux", "freebsd"] and flavour["licence"], flavour
    assert onode("flavours", "lint").out == ""
    scripts = [os.path.join(SHIPPED, f) for f in os.listdir(SHIPPED) if f.endswith(".sh")]
    subprocess.run(["shellcheck", "-s", "sh", *scripts], check=True)


def test_show_and_lint(onode, recipe):
    """show tells parameters with their defaults; lint finds what would fail, with file and line, and runs nothing."""
    shown = onode("flavours", "show", "nginx").out
    assert re.search(r"port: .*\[80\]", shown) and "nginx.sh" in shown
    onode.fails("flavours", "show", "ngnix", says="did you mean nginx?")
    onode.fails("flavours", "frob", status=2, says="ls, show or lint")
    bad = recipe("bad", "copy-in-flv -s none -d /x\nset-env -E A=${typo}\n", "#!/bin/sh\ntouch /tmp/ran-by-lint\nif\n",
                 "title=x\nflavour=nowhere\n")
    result = onode.call("--format", "json", "flavours", "lint", bad)
    found = {(os.path.basename(f["file"]), f["line"], f["severity"]) for f in json.loads(result.out)}
    assert result.status == 1
    assert {("bad", 1, "fail"), ("bad", 2, "warn"), ("bad.meta", None, "fail")} <= found
    assert any(name == "bad.sh" and severity == "fail" for name, _, severity in found)
    assert not os.path.exists("/tmp/ran-by-lint")
    for text in ("title=\n", "title=x\nsystems=dos\n", "nothing\n"):
        recipe("bad", "", None, text)
        assert onode.call("flavours", "lint", bad).status == 1
