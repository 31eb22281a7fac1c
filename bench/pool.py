"""What all benchmarks share: runs in a pool of processes, progress, every result kept at once, resumed when asked."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any

import torch
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from recsys_lite.store import read_json, write_json

Job = tuple[Any, ...]  # the arguments of one run


def alone(work: Callable[..., Any], job: Job) -> Any:
    """One run in a process of the pool, on one thread: the models are too small to share out."""
    torch.set_num_threads(1)
    with threadpool_limits(1):
        return work(*job)


def run(
    work: Callable[..., Any],
    wanted: Callable[[], Iterable[Job]],
    keep: Callable[[Job, Any], None],
    processes: int,
    total: int | None = None,
) -> None:
    """Do all that is wanted, and what becomes wanted by it.

    Args:
        work: a run; a function of a module, since it is called in other processes.
        wanted: the runs that are missing and can be made now. Asked again whenever the pool is about to run dry, so a
            run may wait for the results of others. Two jobs with the same text are the same job.
        keep: puts a job's result into the record and saves it, in this process.
        processes: of the pool.
        total: how many runs there will be, for the bar; default: as many as are wanted at the start.

    An interrupt, or the signal to terminate, ends the processes of the pool; what they had begun is lost.
    """
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # else the pool's processes would go on alone
    started: set[str] = set()
    pending: dict[Future[Any], Job] = {}
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:

        def refill() -> None:
            for job in wanted():
                if repr(job) not in started:
                    started.add(repr(job))
                    pending[pool.submit(alone, work, job)] = job

        try:
            refill()
            with tqdm(total=total or len(pending), unit="run") as bar:
                while pending:
                    for future in wait(pending, return_when=FIRST_COMPLETED).done:
                        keep(pending.pop(future), future.result())
                        bar.update()
                    if len(pending) <= processes:
                        refill()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise
        finally:
            signal.signal(signal.SIGTERM, before)


def into_lists(
    record: dict[str, Any], save: Callable[[], None], place: Callable[[dict[str, Any]], Any], name: str = ""
) -> Callable[[Job, dict[str, Any]], None]:
    """A ``keep`` of :func:`run` that puts results into lists of the record: that of ``name``, or else that which a
    job's first argument names.

    Each list stays in the order of ``place`` however the runs finish, so that the same runs give the same file.
    """

    def keep(job: Job, result: dict[str, Any]) -> None:
        record[name or job[0]].append(result)
        record[name or job[0]].sort(key=place)
        save()

    return keep


def command(
    doc: str,
    file: Path,
    empty: dict[str, Any],
    fill: Callable[[dict[str, Any], Callable[[], None], argparse.Namespace], None],
    options: Callable[[argparse.ArgumentParser], None] = lambda parser: None,
) -> None:
    """A benchmark as a command: ``--fresh`` forgets the stored runs, ``--processes`` says how many at a time.

    Args:
        doc: what the command is for; its first line is shown.
        file: where the record is kept; it is read first, and written whole after each run.
        empty: the record of a fresh start.
        fill: given the record, what saves it, and the arguments.
        options: adds more arguments.
    """
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--fresh", action="store_true", help="forget the stored runs")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="default: one per core")
    options(parser)
    arguments = parser.parse_args()
    record = read_json(file) if file.exists() and not arguments.fresh else empty
    started = time.time()
    fill(record, lambda: write_json(file, record), arguments)
    runs = sum(isinstance(run, dict) for part in record.values() if isinstance(part, list) for run in part)
    print(f"{runs} runs in {file.name}, {time.time() - started:.0f} s this time")
