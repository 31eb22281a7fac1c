"""Shared fixtures."""

import sys

import pytest
import torch

from recsys_lite import data

torch.set_num_threads(1)
MAIN = sys.modules["__main__"]


@pytest.fixture(scope="session")
def movielens():
    return data.load("movielens-100k")


@pytest.fixture(scope="session")
def criteo():
    return data.load("criteo-sample")


@pytest.fixture(autouse=True)
def own_main():
    """AppTest leaves the script it ran as ``__main__``, and a process spawned later would run that script again.

    Not what stands there when a test starts: a fixture of its module may have opened a page before.
    """
    sys.modules["__main__"] = MAIN
    yield
    sys.modules["__main__"] = MAIN


def pytest_collection_modifyitems(items):
    """A slow test says why it is slow."""
    for item in items:
        for mark in item.iter_markers("slow"):
            if not mark.args:
                raise pytest.UsageError(f'{item.nodeid}: mark it slow with the reason, @pytest.mark.slow("why")')
