"""Tasks of Nomad with classic images on ZFS: the files where the server has them, else the OCI image of the same server."""

import os

import pytest

from classic_lab import partial
from registry_lab import Registry
from test_nomad_tasks import Agent


@pytest.fixture
def zagent(znode):
    place = os.path.join(os.path.dirname(znode.program), "nomad-zfs")
    os.makedirs(place, exist_ok=True)
    a = Agent(znode, place)
    yield a
    a.leave()


def classic(agent, url, pot, tag, command, *args, **config):
    return agent.task(image=url, config={"pot": pot, "tag": tag, "command": command, "args": list(args), **config})


def test_files_of_a_server(zagent, sets, serve):
    """They are brought once, with what they stand on, and become the pots that tasks are clones of."""
    sets.give(serve.directory)
    zagent.start()
    events = zagent.client("TaskEvents")
    task = classic(zagent, serve.url + "/", "top", "2", "sh -c", "'cat /below", "/above;", "exit 3'")
    assert task.run() == 3 and task.output() == "b\nt\n"
    assert next(e.message for e in events if e.message.startswith("Pulling")) == f"Pulling image {serve.url}/"
    assert zagent.node.states() == {"base_1": "created", "top_2": "created"} and partial(zagent.node) == []
    asked = len(serve.asked)
    for force in (False, True):
        assert classic(zagent, serve.url + "/", "top", "2", "true", force_pull=force).run() == 0
    assert len(serve.asked) == asked


def test_signed_files(zagent, sets, serve):
    """With the agent's key none but that one's are taken, whatever else the server has."""
    sets.give(serve.directory)
    zagent.start(pubkey=sets.key + "2.pub")
    status, text, again = classic(zagent, serve.url, "base", "1", "true").fails()
    assert "base_1.xz.skein.sig" in text and not again, (status, text)
    status, text, again = classic(zagent, serve.url, "none", "1", "true").fails()
    assert "neither the classic files" in text and "none_1.xz.skein" in text, (status, text)
    assert zagent.node.states() == {}
    zagent.leave()
    # Where a job wants what is signed, files that no key is named for are not even asked for.
    zagent.start(verify=True)
    asked = len(serve.asked)
    status, text, again = classic(zagent, serve.url, "base", "1", "true").fails()
    assert "/base:1" in text and not any("skein" in name for name, _ in serve.asked[asked:]), (status, text)
    status, text, again = classic(zagent, "file://" + serve.directory, "base", "1", "true").fails()
    assert "pubkey" in text and not again, (status, text)
    zagent.leave()
    zagent.start(pubkey=sets.key + ".pub")
    for verify in (False, True):
        assert classic(zagent, serve.url, "base", "1", "true", verify=verify).run() == 0


def test_server_with_oci_only(zagent, tmp_path):
    """The image of that name is pulled; where there is neither, the error tells of both."""
    node = zagent.node
    registry = Registry(node.program, str(tmp_path)).start()
    url, name = f"http://127.0.0.1:{registry.port}/classic/", f"127.0.0.1:{registry.port}/web:1.0"
    node.make("seed")
    node("commit", "-p", "seed", "-t", "seed:1")
    node("destroy", "seed")
    node("tag", "seed:1", name)
    assert node.call("push", name).status == 0
    node("rmi", name)
    node("rmi", "seed:1")
    zagent.start()
    task = classic(zagent, url, "web", "1.0", "echo", "from", "the", "image")
    assert task.run() == 0 and task.output() == "from the image\n"
    assert node.states() == {} and partial(node) == []
    status, text, again = classic(zagent, url, "web", "2.0", "true").fails()
    assert "web_2.0.xz.skein" in text and "web:2.0" in text and not again, (status, text)
    zagent.leave()
    node("rmi", name)
    registry.stop()
