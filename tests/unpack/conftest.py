"""Fixtures for pot-unpack: a root with a canary beside it that no archive may touch.

POT_UNPACK names the program, POT_UNPACK_PLAIN the same without sanitizers (for what is measured).
"""

import os
import shutil
import subprocess
import sys
import tempfile

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ.get("POT_BUILD", os.path.join(os.path.dirname(os.path.dirname(HERE)), "build", "debug"))
PROGRAM = os.environ.get("POT_UNPACK", os.path.join(BUILD, "src", "unpack", "pot-unpack"))
PLAIN = os.environ.get("POT_UNPACK_PLAIN", os.path.join(BUILD, "tests", "unpack", "pot-unpack-plain"))
HANG = 300


class Result:
    def __init__(self, status, err, rss=0):
        self.status, self.err, self.rss = status, err, rss

    def __repr__(self):
        return f"status {self.status}, {self.rss} kB: {self.err}"


def look(path):
    """Everything that can be seen of a file without opening what blocks."""
    st = os.lstat(path)
    content = open(path, "rb").read() if os.path.isfile(path) and not os.path.islink(path) else None
    return (st.st_mode, st.st_uid, st.st_gid, st.st_mtime_ns, st.st_ctime_ns, st.st_nlink, st.st_ino, content)


class Cage:
    """A directory with `root` to unpack into and `host`, the canaries that must stay as they are."""

    def __init__(self, directory):
        self.directory = directory
        self.root = os.path.join(directory, "root")
        self.host = os.path.join(directory, "host")
        os.mkdir(self.root)
        os.mkdir(self.host)
        self.canary = os.path.join(self.host, "canary")
        with open(self.canary, "w", encoding="ascii") as f:
            f.write("sing")
        os.chmod(self.canary, 0o640)
        self.before = self.outside()

    def outside(self):
        seen = {self.directory: sorted(os.listdir(self.directory))}
        for top, dirs, files in os.walk(self.host):
            for name in dirs + files:
                path = os.path.join(top, name)
                seen[path] = look(path)
        return seen

    def check(self):
        assert self.outside() == self.before, "something outside the root was touched"

    def path(self, name):
        return os.path.join(self.root, name)

    def unpack(self, archive, *options, program=PROGRAM):
        """archive: bytes or an open file."""
        given = {"input": archive} if isinstance(archive, bytes) else {"stdin": archive}
        run = subprocess.run([program, *options, self.root], capture_output=True, timeout=HANG, check=False, **given)
        return self.judge(run.returncode, run.stderr.decode("utf-8"))

    def judge(self, status, err, rss=0):
        assert "Sanitizer" not in err and "runtime error" not in err, err
        assert status >= 0, f"killed by signal {-status}: {err}"
        if status != 0:
            assert err.count("\n") == 1 and err.endswith("\n"), f"not one line: {err!r}"
        self.check()
        return Result(status, err, rss)

    def measure(self, archive, *options):
        """With the plain program; .rss in kB."""
        with tempfile.TemporaryFile(dir=self.directory) as f, tempfile.TemporaryFile(dir=self.directory) as err:
            f.write(archive)
            f.seek(0)
            run = subprocess.run([sys.executable, "-S", os.path.join(HERE, "measure.py"), PLAIN, *options, self.root],
                                 stdin=f, stdout=subprocess.PIPE, stderr=err, timeout=HANG, check=True)
            err.seek(0)
            text = err.read().decode("utf-8")
        status, rss = map(int, run.stdout.split())
        assert status < 128, f"killed: {status} {text}"
        return self.judge(status, text, rss)

    def names(self):
        found = set()
        for top, dirs, files in os.walk(self.root):
            for name in dirs + files:
                found.add(os.path.relpath(os.path.join(top, name), self.root))
        return found

    def read(self, name):
        path = self.path(name)
        assert not os.path.islink(path)
        with open(path, "rb") as f:
            return f.read()


@pytest.fixture
def cage():
    # Not /tmp: tmpfs takes fewer kinds of extended attributes than file systems that hold bases.
    directory = tempfile.mkdtemp(prefix="pot-unpack-", dir="/var/tmp")
    yield Cage(directory)
    shutil.rmtree(directory)
