"""A real agent of Nomad with the driver, on loopback in namespaces of their own. Only with NOMAD_BIN=/path/of/nomad."""

import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "blackbox"))

import agent_lab  # noqa: E402
import lab  # noqa: E402


def pytest_collection_modifyitems(items):
    if "NOMAD_BIN" not in os.environ:
        for item in (i for i in items if str(i.path).startswith(HERE)):
            item.add_marker(pytest.mark.skip(reason="NOMAD_BIN names no Nomad"))


@pytest.fixture(scope="session")
def world():
    """A node with an image, a registry and the path of the programs."""
    w = agent_lab.World(lab)
    yield w
    w.end()


@pytest.fixture(scope="session", params=("dev", "data"))
def agent(request, world):
    """The agent, as -dev and with a data directory."""
    a = agent_lab.Agent(world, request.param)
    a.start()
    yield a
    a.end()
