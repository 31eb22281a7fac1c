"""Shared fixtures."""

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
