"""Pots and signed sets of classic images for the tests of those; the fixture `sets` is in conftest.py."""

import os


def content(node, pot, path, tmp_path):
    target = os.path.join(str(tmp_path), "out")
    node("copy-out", "-p", pot, "-s", path, "-d", target)
    with open(target, encoding="utf-8") as f:
        text = f.read()
    os.unlink(target)
    return text


def clear(node):
    for name in node.states():
        node("destroy", "-F", name)


def put(node, pot, path, text, tmp_path):
    source = tmp_path / "put"
    source.write_text(text)
    node("copy-in", "-p", pot, "-s", str(source), "-d", path)
    source.unlink()


def partial(node):
    directory = os.path.join(node.root, "images", "partial")
    return sorted(os.listdir(directory)) if os.path.isdir(directory) else []


class Sets:
    """base:1 and, layered on it, top:2, signed by .key."""

    def __init__(self, directory):
        self.directory = directory
        self.key = os.path.join(directory, "key")

    def read(self, name):
        with open(os.path.join(self.directory, name), "rb") as f:
            return f.read()

    def give(self, directory):
        for name in os.listdir(self.directory):
            if ".xz" in name:
                os.symlink(os.path.join(self.directory, name), os.path.join(directory, name))


def make_sets(node, directory):
    s = Sets(str(directory))
    node("keygen", "-p", s.key + ".pub", "-s", s.key + ".sec", "-n")
    node("keygen", "-p", s.key + "2.pub", "-s", s.key + "2.sec", "-n")
    export = ("export", "--format", "classic", "-A", "-D", s.directory, "-l", "0", "-S", s.key + ".sec")
    node.make("base")
    put(node, "base", "/below", "b\n", directory)
    put(node, "base", "/fill", os.urandom(200000).hex(), directory)
    node(*export, "-p", "base", "-t", "1")
    node("clone", "-P", "base", "-p", "top")
    put(node, "top", "/above", "t\n", directory)
    node(*export, "-p", "top", "-t", "2")
    return s
