"""A training in a process of its own: whoever started it goes on, sees how far it is, and can end it at any time.

A job is a generator function of this package. Its process trains on one thread, after all others that want to run,
makes a step for each one that is asked for, and ends when it is told to, when its owner is gone, when nobody has asked
for ten minutes, or with its last step. Numbers are those of the same training in one's own process.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import pickle
import queue
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Generator
from typing import Any, BinaryIO

IDLE = 600.0  # seconds without being asked, after which a process ends by itself
PACKAGE = __name__.partition(".")[0]


class Worker:
    """A process that makes the steps of one job.

    Args:
        job: ``module:function`` of this package; the function is a generator, what it returns is the job's result.
        arguments, options: of the function; they and all that it yields must be such as ``pickle`` takes.
        idle: seconds without being asked after which the process ends. Default ten minutes.

    Raises:
        ValueError: for a job that is not one of this package.

    Example:
        >>> with Worker("recsys_lite.lab.worker:counted", 2) as worker:
        ...     steps = []
        ...     result = worker.run(steps.append)
        >>> steps, result
        ([1, 2], 'counted to 2')
    """

    def __init__(self, job: str, *arguments: Any, idle: float = IDLE, **options: Any):
        if not job.startswith(f"{PACKAGE}.") or ":" not in job:
            raise ValueError(f"Worker: expected '{PACKAGE}.module:function', got {job!r}")
        paths = os.pathsep.join(p or os.getcwd() for p in sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        self._messages: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._asked = False
        self._end = weakref.finalize(self, _end, self._process)
        threading.Thread(target=_listen, args=(self._process.stdout, self._messages), daemon=True).start()
        self._send((job, arguments, options, idle))

    def ask(self) -> None:
        """Ask for one more step, unless one is under way."""
        if not self._asked:
            self._asked = True
            self._send("next")

    def take(self, seconds: float = 0.0) -> tuple[str, Any] | None:
        """What the step came to: ``("item", what the job yielded)``, ``("done", its result)``, or nothing yet.

        Args:
            seconds: how long to wait.

        Raises:
            ValueError: as raised by the job.
            RuntimeError: for any other end of the process.
        """
        try:
            kind, value = self._messages.get(timeout=seconds) if seconds > 0 else self._messages.get_nowait()
        except queue.Empty:
            return None
        self._asked = False
        if kind == "item":
            return kind, value
        self.close()
        if kind == "done":
            return kind, value
        raise (ValueError if kind == "wrong" else RuntimeError)(value)

    def run(self, told: Callable[[Any], None], waiting: Callable[[], None] = lambda: None, every: float = 0.2) -> Any:
        """All steps, and the result.

        Args:
            told: called with what each step yields.
            waiting: called while a step takes its time; what it raises ends the process, too.
            every: seconds between two of these calls. Default 0.2.
        """
        try:
            while True:
                self.ask()
                while (got := self.take(every)) is None:
                    waiting()
                if got[0] == "done":
                    return got[1]
                told(got[1])
        finally:
            self.close()

    @property
    def alive(self) -> bool:
        """Whether the process is there."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def close(self) -> None:
        """End the process, whatever it does."""
        self._end()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _send(self, message: Any) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError):  # its end is told by what it wrote last
            self._process.stdin.write(pickle.dumps(message))
            self._process.stdin.flush()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    with contextlib.suppress(OSError, ValueError):
        if process.stdin is not None:
            process.stdin.close()
    process.wait()


def _listen(pipe: BinaryIO, messages: queue.SimpleQueue[tuple[str, Any]]) -> None:
    """Put what the process writes into a queue, and its end."""
    try:
        while True:
            messages.put(pickle.load(pipe))
    except (EOFError, OSError, ValueError, pickle.UnpicklingError):
        messages.put(("gone", "The process of this training has ended before its time."))
    finally:
        pipe.close()


def counted(count: int) -> Generator[int, None, str]:
    """A job to try workers with: it counts."""
    yield from range(1, count + 1)
    return f"counted to {count}"


def _serve(commands: BinaryIO, out: BinaryIO) -> None:
    """What the process does: one job, step by step."""
    job, arguments, options, idle = pickle.load(commands)

    def tell(kind: str, value: Any) -> None:
        out.write(pickle.dumps((kind, value)))
        out.flush()

    try:
        module, _, function = job.partition(":")
        steps = getattr(importlib.import_module(module), function)(*arguments, **options)
        while True:
            watch = threading.Timer(idle, os._exit, (0,))
            watch.daemon = True
            watch.start()
            pickle.load(commands)  # there is only one: next
            watch.cancel()
            try:
                tell("item", next(steps))
            except StopIteration as stop:
                tell("done", stop.value)
                return
    except (EOFError, BrokenPipeError):  # the owner is gone
        return
    except ValueError as error:
        tell("wrong", str(error))
    except Exception as error:
        tell("broken", f"{type(error).__name__}: {error}")


def _main() -> None:
    out = io.BufferedWriter(io.FileIO(os.dup(1), "wb"))
    os.dup2(2, 1)  # what a library prints is no message
    if hasattr(os, "nice"):
        os.nice(5)
    import torch

    torch.set_num_threads(1)
    _serve(sys.stdin.buffer, out)
    os._exit(0)


if __name__ == "__main__":
    _main()
