"""The examples, built and run as they stand in examples/, on a real Debian with its packages."""

import os
import shutil
import subprocess

import pytest

import lab

EXAMPLES = os.path.join(lab.TREE, "examples")


def outside():
    """Where package mirrors are."""
    lab.enter(lab.OUTER_NETWORK)


@pytest.fixture(scope="module", autouse=True)
def nothing_left(overlay_installation):
    """Images and steps of these tests go with them; in between they share what they built."""
    yield
    node = overlay_installation
    for image in node("images", "-q").out.split():
        node("rmi", image)
    node("build", "prune", "-a")
    node("image", "prune", "-a")


def build(node, name, directory=None, *words):
    result = node.call("build", "--network", "host", "-t", name, *words, directory or os.path.join(EXAMPLES, name.split(":")[0]),
                       preexec=outside)
    assert result.status == 0, result
    return result


def fetch(url, *words):
    run = subprocess.run(["curl", "-sS", "--fail", "--retry", "50", "--retry-connrefused", "--retry-delay", "1", *words, url],
                         capture_output=True, text=True, check=False)
    assert run.returncode == 0, run
    return run.stdout


def test_nginx(debian, tmp_path):
    """examples/nginx serves its page; after a change of the page only that step is done again."""
    context = tmp_path / "nginx"
    shutil.copytree(os.path.join(EXAMPLES, "nginx"), context)
    build(debian, "nginx:1", context)
    debian("run", "-d", "-p", "web", "--publish", "8080:80", "nginx:1")
    assert "It works" in fetch("http://127.0.0.1:8080/")
    page = context / "site" / "index.html"
    page.write_text(page.read_text().replace("It works", "It is newer"))
    told = [line for line in build(debian, "nginx:2", context).err.splitlines() if "] RUN " in line or "] COPY " in line]
    assert ["CACHED" in line for line in told] == [True, True, False], told
    debian("destroy", "-F", "web")
    debian("run", "-d", "-p", "web", "--publish", "8080:80", "nginx:2")
    assert "It is newer" in fetch("http://127.0.0.1:8080/")


def test_static_c(debian):
    """examples/static-c is one program in an image with nothing else in it."""
    build(debian, "hello:1", os.path.join(EXAMPLES, "static-c"))
    assert debian("run", "--rm", "-N", "none", "hello:1").out == "hello, world (from process 2 of user 65534)\n"
    assert debian("run", "--rm", "-N", "none", "hello:1", "a", "b").out.count("hello, ") == 2
    image = [i for i in debian("--format", "json", "images").json() if i["name"].endswith("hello:1")][0]
    assert image["layers"] == 1 and image["unpacked_bytes"] < 2 << 20


def test_batch(debian, tmp_path):
    """examples/batch gives its status to whoever starts it, and leaves no pot."""
    build(debian, "report:1", os.path.join(EXAMPLES, "batch"))
    data = tmp_path / "in"
    data.mkdir()
    os.chmod(tmp_path, 0o755)
    run = ("-q", "run", "--rm", "-N", "none", "--mount", f"{data}:/in:ro", "report:1")
    assert debian.call(*run).status == 2
    (data / "a.txt").write_text("1\n2\n")
    (data / "b.txt").write_text("40\n")
    assert debian(*run).out == "2 files, sum 43\n"
    (data / "c.txt").write_text("x\n")
    failed = debian.call(*run)
    assert failed.status == 3 and "c.txt: 'x' is not a number" in failed.err
    assert debian.states() == {}


def test_python(debian):
    """examples/python keeps what it is sent, as the user that it is to run as."""
    build(debian, "notes:1", os.path.join(EXAMPLES, "python"))
    debian("run", "-d", "-p", "notes", "--publish", "8000:8000", "notes:1")
    assert fetch("http://127.0.0.1:8000/") == "[]\n"
    assert fetch("http://127.0.0.1:8000/", "--data", "buy milk") == '["buy milk"]\n'
    assert debian("exec", "notes", "stat", "-c", "%U", "/var/lib/notes/notes.json").out == "nobody\n"
    debian("stop", "notes")
    assert debian("wait", "notes").out.strip().endswith("0")


def test_postgresql(debian, tmp_path):
    """examples/postgresql makes its cluster in the volume on the first start and finds it again on the second."""
    build(debian, "postgresql:15")
    data = tmp_path / "db"
    data.mkdir()
    debian("run", "-d", "-p", "db", "-N", "none", "--mount", f"{data}:/var/lib/postgresql/data:idmap", "postgresql:15")

    def ready():
        return debian.call("exec", "db", "pg_isready", "-q").status == 0

    def sql(text):
        return debian("exec", "-u", "postgres", "db", "psql", "-qAtc", text).out

    lab.wait_until(ready, "the database answers")
    sql("create table t (a int); insert into t values (42)")
    # The fast shutdown, with the status of one that went well.
    debian("stop", "-t", "60", "db")
    assert debian("wait", "db").out.strip().endswith("0")
    debian("start", "db")
    lab.wait_until(ready, "the database answers again")
    assert sql("select a from t") == "42\n"
    config = debian("inspect", "--image", "postgresql:15").out
    assert "pg_isready" in config and "/var/lib/postgresql/data" in config


def test_three_flavours(debian):
    """examples/three-flavours: shipped flavours and one of its own make a shop that runs after slim, at less than half
    the size of what it was made from; packages can still be added."""
    create = ["create", "-p", "shop", "-b", "bookworm", "--flavour-network", "host", "--publish", "8080:80"]
    flavours = ["update", "nginx", os.path.join(EXAMPLES, "three-flavours", "site?name=Corner"), "slim", "nginx-cmd"]
    words = [word for flavour in flavours for word in ("-f", flavour)]
    result = debian.call(*create[:-2], *words, preexec=outside)
    assert result.status == 0, result
    debian("export-ports", "-p", "shop", "-e", "80:8080")
    debian("start", "shop")
    assert "Welcome to Corner" in fetch("http://127.0.0.1:8080/")
    size = int(debian("exec", "shop", "du", "-xsk", "/").out.split()[0]) << 10
    base = [b for b in debian("--format", "json", "list", "-b", "-v").json() if b["name"] == "bookworm"][0]
    assert size < base["size_bytes"] / 2, (size, base)
    assert debian("exec", "shop", "dpkg", "--audit").out == ""
    assert debian("exec", "shop", "apt-get", "check").status == 0
