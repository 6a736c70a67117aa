#!/usr/bin/env python3
"""Builds with sanitizers and runs every test: unit tests and fuzz corpora,
the conformance suite of each storage, unpacking, and the black-box tests.
--strict (what .ci/run asks for) adds: gcc and clang with -Werror, the build
without newer system calls, format, layers, documentation and FreeBSD checks.

Works as root in a mount namespace of its own and looks before and after at
what a test could leave on the host. The last line is
"N passed, N failed, N skipped"; exit status 1 when anything failed.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree

TOOLS = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(TOOLS)
sys.path.insert(0, TOOLS)

import host_state  # noqa: E402 (the directory is known only now)

DEBUG = ["--buildtype=debug", "-Doptimization=1", "-Db_sanitize=address,undefined", "-Db_lundef=false"]
ENVIRONMENT = {
    "ASAN_OPTIONS": "abort_on_error=0:detect_leaks=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    "LC_ALL": "C.UTF-8",
    "POT_TEST_CACHE": os.path.join(ROOT, "build", "cache"),
}


STARTED = time.monotonic()


class Counts:
    """What passed, failed and was skipped, over all suites."""

    def __init__(self):
        self.passed = 0
        self.failures = []
        self.skips = []

    def add_pass(self, number=1):
        self.passed += number

    def fail(self, name, why=""):
        self.failures.append((name, why))

    def skip(self, name, why):
        self.skips.append((name, why or "no reason given"))

    def line(self):
        return f"{self.passed} passed, {len(self.failures)} failed, {len(self.skips)} skipped"


def say(text):
    print(f"\n== {text} (after {time.monotonic() - STARTED:.0f} seconds)", flush=True)


def run(argv, **options):
    """Runs in the source tree, output to ours. True when it ended with 0."""
    return subprocess.run(argv, cwd=ROOT, check=False, **options).returncode == 0


def build(counts, directory, options, env=None):
    """Configures (once) and builds; counts as one test. True when it did."""
    name = f"build {directory}"
    environment = {**os.environ, **(env or {})}
    if not os.path.exists(os.path.join(ROOT, directory, "build.ninja")):
        if not run(["meson", "setup", directory] + options, env=environment, stdout=subprocess.DEVNULL):
            counts.fail(name, "meson setup")
            return False
    if not run(["ninja", "-C", directory, "--quiet"], env=environment):
        counts.fail(name, "ninja")
        return False
    counts.add_pass()
    return True


# What a test program prints about its tests: TAP, or cmocka's own format.
TAP = re.compile(r"^\s*(not )?ok\b(?:\s+\d+)?[\s-]*([^#\n]*)(?:#\s*(skip|todo)\S*\s*(.*))?$", re.I | re.M)
CMOCKA = {
    "passed": re.compile(r"^\[  PASSED  \] (\d+) test", re.M),
    "failed": re.compile(r"^\[  FAILED  \] (\S+)$", re.M),
    "skipped": re.compile(r"^\[  SKIPPED \] (\S+)$", re.M),
}


def count_program(counts, name, result, output):
    """One program of meson's log: as many tests as it says it ran, else one."""
    points = TAP.findall(output)
    failures = len(counts.failures)
    if points:
        for bad, text, directive, reason in points:
            if directive.lower() == "skip":
                counts.skip(f"{name}: {text.strip()}", reason)
            elif bad and directive.lower() != "todo":
                counts.fail(f"{name}: {text.strip()}")
            else:
                counts.add_pass()
    elif CMOCKA["passed"].search(output):
        counts.add_pass(sum(int(n) for n in CMOCKA["passed"].findall(output)))
        for test in sorted(set(CMOCKA["failed"].findall(output))):
            if not test.isdigit():
                counts.fail(f"{name}: {test}")
        for test in sorted(set(CMOCKA["skipped"].findall(output))):
            if not test.isdigit():
                counts.skip(f"{name}: {test}", reason_in(output, test))
    elif result == "SKIP":
        counts.skip(name, output.strip().splitlines()[-1] if output.strip() else "")
    elif result == "OK":
        counts.add_pass()
    if result not in ("OK", "SKIP", "EXPECTEDFAIL") and len(counts.failures) == failures:
        counts.fail(name, result)


def reason_in(output, test):
    """A program says why it skips in a line "skip TEST: REASON"."""
    match = re.search(rf"^skip {re.escape(test)}: (.*)$", output, re.M)
    return match.group(1) if match else ""


def meson_tests(counts, directory, *suites):
    """Every test() of a build directory."""
    ok = run(["meson", "test", "-C", directory, "--no-rebuild", "--print-errorlogs", "--timeout-multiplier=4",
              *suites], env={**os.environ, **ENVIRONMENT})
    log = os.path.join(ROOT, directory, "meson-logs", "testlog.json")
    failures = len(counts.failures)
    seen = 0
    with open(log, encoding="utf-8") as f:
        for line in f:
            entry = json.loads(line)
            seen += 1
            count_program(counts, f"{directory}: {entry['name']}", entry["result"],
                          (entry.get("stdout") or "") + "\n" + (entry.get("stderr") or ""))
    if seen == 0:
        counts.fail(f"{directory}: meson test", "no tests were found")
    if not ok and len(counts.failures) == failures:
        counts.fail(f"{directory}: meson test", "failed as a whole")


def python_with_pytest():
    for python in ("/usr/bin/python3", sys.executable, "python3"):
        if subprocess.run([python, "-c", "import pytest"], check=False, capture_output=True).returncode == 0:
            return python
    return None


def blackbox(counts, suite, arguments):
    """The tests of a folder below tests/; arguments are pytest's."""
    python = python_with_pytest()
    if python is None:
        counts.fail(f"{suite} tests", "pytest is missing")
        return
    report = os.path.join(ROOT, "build", f"{suite}.xml")
    if os.path.exists(report):
        os.unlink(report)
    run([python, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", f"--junitxml={report}", f"tests/{suite}",
         *arguments], env={**os.environ, **ENVIRONMENT, "PYTHONDONTWRITEBYTECODE": "1"})
    if not os.path.exists(report):
        counts.fail(f"{suite} tests", "pytest ended without a report")
        return
    cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    if not cases and not arguments:
        counts.fail(f"{suite} tests", "none were found")
    for case in cases:
        name = f"{case.get('classname', '').replace(f'tests.{suite}.', '')}: {case.get('name')}"
        skipped = case.find("skipped")
        bad = case.find("failure") if case.find("failure") is not None else case.find("error")
        if bad is not None:
            counts.fail(name, (bad.get("message") or "").splitlines()[0] if bad.get("message") else "")
        elif skipped is not None:
            counts.skip(name, skipped.get("message"))
        else:
            counts.add_pass()


def check(counts, name, argv):
    say(name)
    if run(argv):
        counts.add_pass()
    else:
        counts.fail(name)


class Freebsd:
    """Cross-building for FreeBSD beside all the rest: its libraries take long, and tests wait more than they work."""

    UNFETCHED = 75  # EX_TEMPFAIL

    def __init__(self):
        self.output = tempfile.TemporaryFile()
        self.process = subprocess.Popen(["nice", "-n", "19", "tools/freebsd.sh"], cwd=ROOT, stdin=subprocess.DEVNULL,
                                        stdout=self.output, stderr=subprocess.STDOUT, start_new_session=True)

    def finish(self, counts):
        say("freebsd")
        status = self.process.wait()
        self.output.seek(0)
        said = self.output.read().decode(errors="replace")
        print(said, end="", flush=True)
        if status == self.UNFETCHED:
            counts.skip("freebsd", said.strip().splitlines()[-1])
        elif status != 0:
            counts.fail("freebsd")
        else:
            counts.add_pass()

    def stop(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def strict_checks(counts):
    check(counts, "format", ["tools/format.sh", "--check"])
    check(counts, "layers", [sys.executable, "tools/check_layers.py"])
    say("gcc and clang, release, warnings are errors")
    release = ["--buildtype=release", "--werror"]
    if build(counts, "build/ci-gcc", release + ["-Dstatic_programs=true"], {"CC": "gcc"}):
        check(counts, "documentation", [sys.executable, "tools/check_docs.py", "build/ci-gcc/src/cli/pot"])
        check(counts, "memory", [sys.executable, "tools/check_memory.py", "build/ci-gcc/src/nomad/nomad-pot-driver"])
    build(counts, "build/ci-clang", release, {"CC": "clang"})
    say("without openat2, clone3 and pidfd")
    if build(counts, "build/ci-old", DEBUG + ["--werror", "-Dopenat2=false", "-Dclone3=false", "-Dpidfd=false"]):
        meson_tests(counts, "build/ci-old", "--no-suite", "conformance")


def report(counts, seconds):
    print()
    for name, why in counts.skips:
        print(f"skipped: {name}: {why}")
    for name, why in counts.failures:
        print(f"FAILED: {name}" + (f": {why}" if why else ""))
    print(f"({seconds:.0f} seconds)")
    print(counts.line(), flush=True)


def give_back():
    """What root made in the user's tree belongs to the user again."""
    uid, gid = os.environ.get("SUDO_UID"), os.environ.get("SUDO_GID")
    if uid and gid and uid != "0":
        run(["chown", "-R", "-h", f"{uid}:{gid}", "build"])


def compare(counts, name, before):
    changed = list(host_state.difference(before, host_state.state()))
    if changed:
        print(f"{name}: CHANGED")
        for line in changed:
            print("  " + line)
        counts.fail(name, f"{len(changed)} differences")
    else:
        print(f"{name}: unchanged", flush=True)
        counts.add_pass()


def tests(counts, options):
    if options.strict:
        strict_checks(counts)
    say("build with ASan and UBSan")
    strict = ["--werror"] if options.strict else []
    # A directory of its own when strict: meson does not add --werror to a configured one.
    directory = "build/ci-debug" if options.strict else "build/debug"
    if build(counts, directory, DEBUG + strict + ["-Dfaults=true"]):
        os.environ["POT_BUILD"] = os.path.join(ROOT, directory)
        say("unit tests, fuzz corpora, conformance of each storage, unpacking")
        meson_tests(counts, directory)
        say("black-box tests")
        blackbox(counts, "blackbox", options.pytest)
        say("a real agent of Nomad")
        blackbox(counts, "nomad", options.pytest)


def inside(options):
    """In the namespace: everything but the look at the host's own mounts."""
    counts = Counts()
    start = time.monotonic()
    before = host_state.state()
    os.makedirs(os.path.join(ROOT, "build"), exist_ok=True)
    freebsd = Freebsd() if options.strict else None
    try:
        tests(counts, options)
        if freebsd:
            freebsd.finish(counts)
    finally:
        if freebsd:
            freebsd.stop()
    say("what is left")
    compare(counts, "host", before)
    report(counts, time.monotonic() - start)
    return 1 if counts.failures else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--strict", action="store_true", help="as CI does")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("pytest", nargs="*", help="arguments for pytest (after --)")
    options = parser.parse_args()
    if os.getuid() != 0:
        sys.exit("test_all: pots need root: sudo make test")
    if options.inside:
        return inside(options)
    # Mounts that a test leaves cannot reach the host; that they are none, the look inside proves.
    before = host_state.state()
    with tempfile.TemporaryDirectory(prefix="potcheck-") as scratch:
        status = subprocess.run(
            ["unshare", "--mount", "--propagation", "private", sys.executable, os.path.abspath(__file__), "--inside"]
            + sys.argv[1:], check=False, env={**os.environ, "TMPDIR": scratch}).returncode
    give_back()
    for line in host_state.difference(before, host_state.state()):
        print(f"host: CHANGED outside of the tests' namespace: {line}", file=sys.stderr)
        status = status or 1
    return status


if __name__ == "__main__":
    sys.exit(main())
