"""Shared fixtures."""

import sys

import pytest
import torch

from recsys_lite import data

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def movielens():
    return data.load("movielens-100k")


@pytest.fixture(scope="session")
def criteo():
    return data.load("criteo-sample")


@pytest.fixture(autouse=True)
def own_main(monkeypatch):
    """AppTest leaves the script it ran as ``__main__``, and a process spawned later would run that script again."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])


def pytest_collection_modifyitems(items):
    """A slow test says why it is slow."""
    for item in items:
        for mark in item.iter_markers("slow"):
            if not mark.args:
                raise pytest.UsageError(f'{item.nodeid}: mark it slow with the reason, @pytest.mark.slow("why")')
