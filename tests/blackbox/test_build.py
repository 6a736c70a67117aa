"""Building images of Potfiles: instructions, cache, stages, secrets, failures. COPY in depth is test_build_buildah.py's."""

import json
import os
import re
import signal
import subprocess
import threading

import pytest

import lab

PLAIN = ("--network", "none", "--progress", "plain")


def context(place, name, potfile, files=None):
    """A build context of its own below the session's directory."""
    directory = os.path.join(place, "build-" + name)
    subprocess.run(["rm", "-rf", directory], check=True)
    os.makedirs(directory)
    for path, text in {"Potfile": potfile, **(files or {})}.items():
        os.makedirs(os.path.dirname(os.path.join(directory, path)), exist_ok=True)
        with open(os.path.join(directory, path), "w", encoding="utf-8") as f:
            f.write(text)
    return directory


def build(node, directory, *args, env=None, status=0):
    run = node.call("build", *PLAIN, *args, directory, env=env)
    assert run.status == status, run
    return run


def steps(run):
    """The steps told, in order: (text, cached)."""
    lines = re.findall(r"^\[[^\]]*\] (.*?)  (CACHED|FAILED|[0-9.hms]+)(?:  .*)?$", run.err, re.M)
    return [(text, how == "CACHED") for text, how in lines]


def uncached(run):
    return [text for text, cached in steps(run) if not cached]


def config(node, name):
    return node("--format", "json", "inspect", "--image", name).json()["config"]["config"]


def look(node, image, script):
    """stdout of a shell script in a pot of the image."""
    return node("run", "--rm", "-N", "none", image, "sh", "-c", script).out


def clean(node):
    """Nothing half-made: no pot of a builder, no tree in the making, no private directory."""
    left = [n for n in os.listdir(os.path.join(node.root, "pots")) if n.startswith(("build-", ".removed"))]
    left += [n for n in os.listdir(os.path.join(node.root, "images/layers")) if "build-" in n]
    left += os.listdir(os.path.join(node.root, "build/tmp"))
    left += [n for n in os.listdir(os.path.join(node.root, "build/cache")) if n.startswith(".")]
    return left


POTFILE = """\
FROM base:box
ARG WHO=world
ENV GREETING="hello $WHO" EMPTY=
LABEL org.example.a="one two"
WORKDIR /srv/app
COPY data.txt ./
RUN echo "$GREETING" > greeting && cat data.txt >> greeting
USER alice:staff
RUN id -un > /tmp/who && id -gn >> /tmp/who
USER root
RUN <<END
set -e
cp /tmp/who who
END
RUN ["/bin/sh", "-c", "echo exec > form"]
EXPOSE 80 8000-8002/udp
VOLUME /data
STOPSIGNAL SIGINT
HEALTHCHECK --interval=5s --retries=2 CMD true
ENTRYPOINT ["/bin/sh"]
CMD ["-c", "cat greeting"]
"""


def test_instructions(node, place):
    """Each instruction has its effect on the tree or the image, on every storage; the second time nothing is done."""
    directory = context(place, "all-" + node.storage, POTFILE, {"data.txt": "data\n"})
    first = build(node, directory, "-t", "all:1", "--build-arg", "WHO=you")
    assert node("run", "--rm", "-N", "none", "all:1").out == "hello you\ndata\n"
    c = config(node, "all:1")
    assert "GREETING=hello you" in c["Env"] and "EMPTY=" in c["Env"]
    assert c["Labels"] == {"org.example.a": "one two"}
    assert c["WorkingDir"] == "/srv/app" and c["User"] == "root" and c["StopSignal"] == "SIGINT"
    assert sorted(c["ExposedPorts"]) == ["80/tcp", "8000/udp", "8001/udp", "8002/udp"]
    assert c["Volumes"] == {"/data": {}} and c["Entrypoint"] == ["/bin/sh"] and c["Cmd"] == ["-c", "cat greeting"]
    assert c["Healthcheck"]["Test"] == ["CMD-SHELL", "true"] and c["Healthcheck"]["Retries"] == 2
    node("create", "-p", "p", "--image", "all:1", "-N", "none")
    node("set-cmd", "-p", "p", "-c", "sleep 100000")
    node("start", "p")
    assert node.sh("p", "cat /srv/app/who /srv/app/form") == "alice\nstaff\nexec\n"
    again = build(node, directory, "-t", "all:1", "--build-arg", "WHO=you")
    assert again.out == first.out
    assert uncached(again) == [] and len(steps(again)) == len(steps(first))
    assert clean(node) == []


def test_history_and_layers(onode, place):
    """One layer for each step that changed files, the others are empty in the history, the base's layers are shared."""
    directory = context(place, "history", """\
FROM base:box
RUN echo a > /a
ENV X=1
RUN true
COPY f /f
""", {"f": "f"})
    build(onode, directory, "-t", "history:1")
    steps_ = onode("--format", "json", "history", "history:1").json()
    assert [s["created_by"] for s in steps_][:4] == ["COPY f /f", "RUN true", "ENV X=1", "RUN echo a > /a"]
    assert [bool(s["layer"]) for s in steps_] == [True, False, False, True, True]
    other = context(place, "history2", "FROM history:1\nRUN echo b > /b\n")
    build(onode, other, "-t", "history:2")
    below = [s["layer"] for s in steps_ if s["layer"]]
    above = [s["layer"] for s in onode("--format", "json", "history", "history:2").json() if s["layer"]]
    assert above[1:] == below


def test_cache_follows_what_a_step_depends_on(onode, place):
    """A change of the text, of an argument that is seen, of the environment or of a copied file re-runs from there on;
    nothing before it. An argument is in the environment of the RUNs behind it, and of no other step."""
    text = """\
FROM base:box
RUN echo one
COPY early /early
ARG LATE=1
RUN echo two $LATE
COPY late /late
RUN echo three
"""
    directory = context(place, "cache", text, {"early": "1", "late": "1"})
    assert len(uncached(build(onode, directory))) == 5
    assert uncached(build(onode, directory)) == []
    assert uncached(build(onode, directory, "--build-arg", "LATE=2")) == [
        "RUN echo two $LATE", "RUN echo three"]
    context(place, "cache", text, {"early": "1", "late": "2"})
    assert uncached(build(onode, directory)) == ["COPY late /late", "RUN echo three"]
    context(place, "cache", text, {"early": "2", "late": "2"})
    assert "RUN echo one" not in uncached(build(onode, directory))
    # The time of a file is no content.
    os.utime(os.path.join(directory, "early"), (1, 1))
    os.utime(os.path.join(directory, "late"), (2, 2))
    run = build(onode, directory, "--no-cache")
    assert len(uncached(run)) == 5


def test_cached_steps_make_no_process(onode, place, tmp_path):
    """A build of cached steps makes no worker, no pot and no tree."""
    directory = context(place, "noop", "FROM base:box\n" + "".join(f"RUN echo {i} > /{i}\n" for i in range(10)))
    build(onode, directory, "-t", "noop")
    log = tmp_path / "points"
    run = build(onode, directory, "-t", "noop", env={"POT_FAULT_LOG": str(log)})
    assert uncached(run) == []
    points = log.read_text().split() if log.exists() else []
    if "build.walked" not in points:
        pytest.fail("this build of pot has no fault points: -Dfaults=true")
    assert [p for p in points if p.startswith(("build.worker", "build.half", "create.", "start."))] == []


def test_stages(onode, place):
    """Stages by name and number, FROM a stage, --target, COPY --from of a stage, and what is not needed is not built."""
    directory = context(place, "stages", """\
ARG BASE=box
FROM base:$BASE AS build
RUN echo built > /out
FROM build AS more
ENV FROM_BUILD=1
RUN echo more > /more
FROM base:box AS unneeded
RUN false
FROM scratch AS last
COPY --from=build /out /from-name
COPY --from=1 /more /from-number
COPY --from=base:box /bin /bin
""")
    run = build(onode, directory, "-t", "stages:last")
    assert "RUN false" not in [text for text, _ in steps(run)]
    assert look(onode, "stages:last", "/bin/busybox cat /from-name /from-number") == "built\nmore\n"
    build(onode, directory, "-t", "stages:more", "--target", "more")
    assert "FROM_BUILD=1" in config(onode, "stages:more")["Env"]
    onode.fails("build", "--target", "mor", directory, says=("no stage 'mor'", "did you mean more?"))


def test_stages_build_at_the_same_time(onode, place):
    """Two stages that wait for each other's sign end only when both run at the same time."""
    wait = "RUN --mount=type=cache,target=/s touch /s/{0}; until test -e /s/{1}; do usleep 10000; done; echo {0} > /{0}"
    directory = context(place, "parallel", f"""\
FROM base:box AS a
{wait.format("a", "b")}
FROM base:box AS b
{wait.format("b", "a")}
FROM scratch
COPY --from=a /a /
COPY --from=b /b /
""")
    build(onode, directory, "--jobs", "2", "-t", "parallel")
    assert onode("build", "prune", "-a", "-q").err == ""


def everything(root):
    """All bytes below a directory, of files and of names."""
    for directory, _, files in os.walk(root):
        for name in files:
            path = os.path.join(directory, name)
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as f:
                    yield path, f.read()


def test_secrets_stay_secret(onode, place, tmp_path):
    """A secret is seen by its RUN only: in no layer, log, record or history, and another value re-runs nothing."""
    directory = context(place, "secret", """\
FROM base:box
RUN --mount=type=secret,id=token test "$(cat /run/secrets/token)" = "$(echo s3cr3t-t0k3n)" && stat -c %a /run/secrets/token
RUN --mount=type=secret,id=token,env=TOKEN test -n "$TOKEN" && echo "${#TOKEN}" > /length
RUN --mount=type=secret,id=token,target=/etc/app/token,mode=0440 wc -c < /etc/app/token
RUN test ! -e /run/secrets && test ! -e /etc/app && echo gone
""")
    secret = tmp_path / "token"
    secret.write_text("s3cr3t-t0k3n")
    run = build(onode, directory, "-t", "secret", "--secret", f"id=token,src={secret}")
    assert "400" in run.err.split() and "gone" in run.err.split()
    secret.write_text("0ther-v4lue")
    assert uncached(build(onode, directory, "--secret", f"id=token,src={secret}")) == []
    env_only = context(place, "secret-env", "FROM base:box\nRUN --mount=type=secret,id=t cat /run/secrets/t > /dev/null\n")
    build(onode, env_only, "--secret", "id=t,env=SEEN", env={"SEEN": "hidden-value-77"})
    for path, data in everything(onode.root):
        assert b"hidden-value-77" not in data and b"0ther-v4lue" not in data, path


def test_failing_step(onode, place):
    """A step that fails: its output, its text, file and line, its status; the steps before it stay in the cache."""
    directory = context(place, "fails", "FROM base:box\nRUN echo fine > /fine\nRUN echo oops; exit 7\nRUN echo never\n")
    run = build(onode, directory, status=1)
    assert "oops\n" in run.err and "RUN echo oops; exit 7  FAILED" in run.err
    assert run.err.splitlines()[-1] == "pot: Potfile:3: the command returned 7"
    assert "never" not in run.err and run.out == ""
    again = build(onode, directory, status=1)
    assert steps(again)[0] == ("RUN echo fine > /fine", True)
    assert onode("ps", "-a", "-q").out == "" and clean(onode) == []


def test_wrong_potfile(onode, place):
    """What is wrong in a Potfile is told with file, line, column, the line and a caret, before anything is done."""
    directory = context(place, "wrong", "FROM base:box\nRUM echo\n")
    run = build(onode, directory, status=1)
    assert "RUM echo\n^" in run.err and "Potfile:2:1: " in run.err and "RUN" in run.err
    directory = context(place, "nothing", "FROM nothing:here\n")
    assert "there is no image nothing:here on this node" in build(onode, directory, status=1).err
    onode.fails("build", os.path.join(place, "no-such-directory"), says="no-such-directory")


def test_cache_mounts(onode, place):
    """What a cache mount holds lasts from build to build and is in no image; locked ones are used by one at a time."""
    directory = context(place, "mount", """\
FROM base:box
ARG N
RUN --mount=type=cache,target=/c,sharing=locked mkdir /c/lock && echo x >> /c/n && usleep 200000 && rmdir /c/lock; wc -l < /c/n > /n
""")
    runs = []
    threads = [threading.Thread(target=lambda i=i: runs.append(
        onode.call("build", *PLAIN, "-t", f"mount:{i}", "--build-arg", f"N={i}", directory))) for i in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert [r.status for r in runs] == [0, 0, 0], runs
    assert sorted(look(onode, f"mount:{i}", "cat /n; ls -d /c 2>/dev/null; true") for i in range(3)) == ["1\n", "2\n", "3\n"]


def test_same_potfile_twice_at_once(onode, place):
    """Builds of one Potfile at the same time share the work: each step is done once, and all give one image."""
    directory = context(place, "same", """\
FROM base:box
RUN --mount=type=cache,id=same,target=/c echo x >> /c/n; usleep 300000; wc -l < /c/n > /n
RUN echo after
""")
    runs = []
    threads = [threading.Thread(target=lambda: runs.append(onode.call("build", *PLAIN, "-t", "same", directory)))
               for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert [r.status for r in runs] == [0] * 4, runs
    assert len({r.out for r in runs}) == 1
    assert look(onode, "same", "cat /n") == "1\n"


def test_onbuild(onode, place):
    """Triggers run in the image built on this one, right behind FROM, and are not handed on."""
    build(onode, context(place, "onbuild1", """\
FROM base:box
ONBUILD ARG WHAT=x
ONBUILD COPY app /app
ONBUILD RUN cat /app > /trigger; echo $WHAT >> /trigger
"""), "-t", "onbuild:1")
    assert len(config(onode, "onbuild:1")["OnBuild"]) == 3
    directory = context(place, "onbuild2", "FROM onbuild:1\nRUN cat /trigger > /seen\n", {"app": "app\n"})
    build(onode, directory, "-t", "onbuild:2", "--build-arg", "WHAT=y")
    assert look(onode, "onbuild:2", "cat /seen") == "app\ny\n"
    assert "OnBuild" not in config(onode, "onbuild:2")


def test_reproducible(onode, place):
    """Two builds with SOURCE_DATE_EPOCH of a copy-only Potfile give one digest, whatever was kept and whenever."""
    text, files = "FROM scratch\nCOPY a b d/ /x/\nENV A=1\nCMD [\"/x/a\"]\n", {"a": "a", "b": "b", "d/c": "c"}
    epoch = {"SOURCE_DATE_EPOCH": "1700000000"}
    one = build(onode, context(place, "rep1", text, files), "--no-cache", env=epoch)
    other = context(place, "rep2", text, files)
    for path in ("a", "b", "d/c"):
        os.utime(os.path.join(other, path), (1_800_000_000, 1_800_000_000))
    assert build(onode, other, "--no-cache", env=epoch).out == one.out


def test_squash(onode, place):
    """--squash: one layer upon those of the base, with the same files and without what was removed on the way."""
    directory = context(place, "squash", """\
FROM base:box
RUN dd if=/dev/urandom of=/big bs=1M count=3 && echo a > /a
RUN rm /big && echo b > /b
""")
    build(onode, directory, "-t", "squash:no")
    build(onode, directory, "-t", "squash:yes", "--squash")
    sizes = {i["name"]: i for i in onode("--format", "json", "images").json()}
    assert sizes["squash:yes"]["layers"] == 2 and sizes["squash:no"]["layers"] == 3
    assert sizes["squash:no"]["size_bytes"] - sizes["squash:yes"]["size_bytes"] > 2 * 1024 * 1024
    assert look(onode, "squash:yes", "cat /a /b; test ! -e /big && echo gone") == "a\nb\ngone\n"
    assert uncached(build(onode, directory, "-t", "squash:yes", "--squash")) == []


def test_json_progress(onode, place):
    """--progress json: an object a line for each step's begin, output and end, and the result."""
    directory = context(place, "json", "FROM base:box\nRUN echo some output; false || true\n")
    run = onode("build", "--network", "none", "--progress", "json", "-t", "json:1", directory)
    events = [json.loads(line) for line in run.out.splitlines()]
    assert [e["event"] for e in events if e["event"] != "output"] == ["step", "end", "result"]
    assert "some output\n" in "".join(e["output"] for e in events if e["event"] == "output")
    end, result = events[-2], events[-1]
    assert end["text"].startswith("RUN echo") and end["where"] == "Potfile:2" and end["cached"] is False
    assert end["size_bytes"] is None and result["size_bytes"] > 0
    assert result["id"].startswith("sha256:") and result["name"] == "json:1"
    assert onode("-q", "build", "--network", "none", directory).out == result["id"] + "\n"


def test_network_and_rights(onode, place):
    """RUN --network=none has loopback only; the host's network and all rights are given only when they are allowed."""
    directory = context(place, "net", "FROM base:box\nRUN --network=none ls /sys/class/net > /nets\n")
    build(onode, directory, "-t", "net:1")
    assert look(onode, "net:1", "cat /nets") == "lo\n"
    host = context(place, "host", "FROM base:box\nRUN --network=host true\n")
    assert "--allow host" in build(onode, host, status=1).err
    build(onode, host, "--allow", "host")
    rights = context(place, "rights", "FROM base:box\nRUN --security=insecure grep CapEff /proc/self/status > /caps\n")
    assert "--allow insecure" in build(onode, rights, status=1).err
    build(onode, rights, "--allow", "insecure", "-t", "rights:1")
    assert int(look(onode, "rights:1", "cat /caps").split()[1], 16) & (1 << 21)  # CAP_SYS_ADMIN


def test_mounts(onode, place):
    """Binds of the context and of a stage, tmpfs, a read-only cache; nothing of them, nor their mount points, stays."""
    directory = context(place, "mounts", """\
FROM base:box AS tools
RUN echo tool > /tool
FROM base:box
RUN --mount=type=bind,target=/ctx cat /ctx/f > /f; echo no 2>/dev/null > /ctx/new && exit 1 || true
RUN --mount=type=bind,from=tools,target=/t cat /t/tool > /tool
RUN --mount=type=bind,from=tools,target=/t,rw echo thrown > /t/away && test -e /t/away
RUN --mount=type=bind,source=f,target=/w,rw echo thrown >> /w && cat /w > /written
RUN --mount=type=tmpfs,target=/deep/tmp,size=1m echo x > /deep/tmp/x
""", {"f": "from the context\n"})
    build(onode, directory, "-t", "mounts:1")
    assert look(onode, "mounts:1", "cat /f /tool; ls -d /ctx /t /w /deep 2>/dev/null; true") == "from the context\ntool\n"
    assert look(onode, "mounts:1", "cat /written") == "from the context\nthrown\n"
    assert open(os.path.join(directory, "f"), encoding="utf-8").read() == "from the context\n"
    assert not os.path.exists(os.path.join(directory, "new"))
    context(place, "mounts", open(os.path.join(directory, "Potfile"), encoding="utf-8").read(), {"f": "changed\n"})
    assert [t.split(" ")[1] for t in uncached(build(onode, directory))][0] == "--mount=type=bind,target=/ctx"


def started(process, sign):
    """Waits for a line of a build's progress."""
    for line in process.stderr:
        if sign in line.decode(errors="replace"):
            return
    raise AssertionError(process.wait())


SLEEPER = "FROM base:box\nRUN echo before > /before\nRUN echo sleeping; sleep 100000\n"


@pytest.mark.parametrize("send", [lambda p: p.send_signal(signal.SIGINT), lambda p: p.send_signal(signal.SIGTERM),
                                  lambda p: os.killpg(p.pid, signal.SIGINT)], ids=["int", "term", "group"])
def test_interrupted(onode, place, send):
    """A signal to the build, or as from a terminal to all its processes: it ends and says so, and no pot, mount, process
    or half tree stays."""
    process = onode.start("build", *PLAIN, context(place, "intr", SLEEPER))
    started(process, "sleeping")
    send(process)
    _, err = process.communicate(timeout=lab.HANG)
    assert process.returncode == 1 and b"interrupted" in err
    assert clean(onode) == [] and onode("ps", "-a", "-q").out == ""


def test_killed(onode, place, cgroups):
    """SIGKILL to the build while a command runs: the command ends by itself, and the next command finds nothing."""
    process = onode.start("build", *PLAIN, context(place, "kill", SLEEPER))
    started(process, "sleeping")
    process.kill()
    process.wait()
    lab.wait_until(lambda: not cgroups.processes(), "the end of the command and its shim")
    process.stderr.close()
    process.stdout.close()
    assert onode("ps", "-a", "-q").out == ""
    assert [n for n in os.listdir(os.path.join(onode.root, "pots")) if n.startswith("build-")] == []
    onode.call("build", "-q", context(place, "next", "FROM base:box\nENV A=1\n"))
    assert clean(onode) == []


def test_debug_shell(onode, place):
    """--debug: a shell on exactly what the failed step left, with its mounts and directory; afterwards all is gone."""
    directory = context(place, "debug", """\
FROM base:box
WORKDIR /w
RUN --mount=type=cache,target=/c echo kept > /w/left; echo in-cache > /c/f; exit 3
""")
    terminal = onode.terminal("build", "--network", "none", "--debug", directory)
    terminal.expect("# ")
    terminal.type("cat left /c/f; echo pwd=$PWD\n")
    terminal.expect("kept")
    terminal.expect("in-cache")
    terminal.expect("pwd=/w")
    terminal.type("exit\n")
    assert terminal.end() == 1
    assert b"the command returned 3" in terminal.seen
    assert clean(onode) == [] and onode("ps", "-a", "-q").out == ""


def test_prune(onode, place):
    """build prune: by time, by size, all; image prune leaves what the cache needs, and an image never loses a layer."""
    directory = context(place, "prune", "FROM base:box\nRUN echo b > /b\nRUN dd if=/dev/zero of=/a bs=1M count=2\n")
    onode("build", "prune", "-a")
    build(onode, directory, "-t", "prune:1")
    onode("rmi", "prune:1")
    onode("image", "prune")
    assert uncached(build(onode, directory)) == []
    assert onode("--format", "json", "build", "prune").json()["steps"] == 0  # used just now
    assert onode("--format", "json", "build", "prune", "--keep-storage", "1m").json()["steps"] == 1
    assert len(uncached(build(onode, directory, "-t", "prune:1"))) == 1
    gone = onode("--format", "json", "build", "prune", "--filter", "until=0s").json()
    assert gone["steps"] == 2 and gone["bytes"] >= 2 * 1024 * 1024
    assert look(onode, "prune:1", "cat /b") == "b\n"
    assert len(uncached(build(onode, directory))) == 2


def test_flavours_and_words_of_pot(onode, place):
    """FLAVOUR, ATTRIBUTE, LIMIT and NAME: steps of a flavour in the context, labels that pots take up, the name."""
    directory = context(place, "words", """\
FROM base:box
FLAVOUR mine
ATTRIBUTE stop_timeout 7
LIMIT memory 64m
NAME words
""", {"flavours/mine": "set-env -E FLAVOURED=1\n", "flavours/mine.sh": "#!/bin/sh\necho by-flavour > /flavour\n"})
    build(onode, directory)
    labels = config(onode, "words")["Labels"]
    assert labels["io.pot.name"] == "words" and labels["io.pot.attr.stop_timeout"] == "7" and labels["io.pot.limit.memory"] == "64m"
    assert "FLAVOURED=1" in config(onode, "words")["Env"]
    assert look(onode, "words", "cat /flavour") == "by-flavour\n"
    # Its pots have the limit, unless they are given another; none can have more than others of the machine.
    build(onode, context(place, "greedy", "FROM words\nLIMIT pids 4000000\n"), "-t", "greedy")
    made = onode.call("create", "-p", "a", "--image", "greedy", "-N", "none")
    assert made.status == 0 and "pids is left out" in made.err and made.err.count("\n") == 1, made
    onode("create", "-p", "b", "--image", "words", "-N", "none", "-M", "32m")
    limits = [onode.info(name)["limits"] for name in ("a", "b")]
    assert [limit["memory"] for limit in limits] == [64 << 20, 32 << 20] and limits[0]["pids"] < 4000000, limits
