"""The benchmarks' pool of processes, replaced by calls in this process."""

from concurrent.futures import Future

from bench import pool


def here(monkeypatch, instead=None):
    """Let jobs run at once; ``instead`` takes the place of their function."""

    class Here:
        def __init__(self, *_):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def submit(self, _, work, job):
            future = Future()
            future.set_result((instead or work)(*job))
            return future

        def shutdown(self, **_):
            pass

    monkeypatch.setattr(pool, "ProcessPoolExecutor", Here)
