"""Trainings of the pages run within the test's own process; a test that is about processes asks for a real one."""

import pytest
from explorer import Inside

from app.core import run


@pytest.fixture
def real_worker():
    """Trainings are processes, as on a server; they end with the test."""
    yield
    for worker in list(run._live()):
        worker.close()


@pytest.fixture(autouse=True)
def inside(request, monkeypatch):
    """A training makes its steps here when it is asked for them: starting a process takes seconds."""
    if "real_worker" not in request.fixturenames:
        monkeypatch.setattr(run, "Worker", Inside)
    run._live().clear()
