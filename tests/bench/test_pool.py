"""What all benchmarks share: each job once, jobs that wait for others, results kept when an interrupt comes."""

import json
import sys

import pytest
from bench_pool import here

from bench import pool


def double(x):
    return 2 * x


def test_every_job_is_done_once_and_results_can_make_new_ones(monkeypatch):
    here(monkeypatch)
    record = {}

    def wanted():
        yield from ((x,) for x in (1, 2, 3) if x not in record)
        if len(record) == 3:
            yield (10,)

    pool.run(double, wanted, lambda job, result: record.__setitem__(job[0], result), processes=1)
    assert record == {1: 2, 2: 4, 3: 6, 10: 20}


@pytest.mark.slow("starts processes")
def test_processes_are_started_and_give_what_the_function_gives():
    record = []
    pool.run(json.dumps, lambda: [({"a": 1},), ([1, 2],)], lambda job, text: record.append(text), processes=2)
    assert sorted(record) == ["[1, 2]", '{"a": 1}']


def test_an_interrupt_keeps_what_was_done(monkeypatch):
    here(monkeypatch)
    kept = []

    def keep(job, result):
        kept.append(result)
        if len(kept) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pool.run(double, lambda: [(x,) for x in range(5)], keep, processes=1)
    assert len(kept) == 2


def test_the_command_resumes_and_forgets_when_asked(tmp_path, monkeypatch, capsys):
    file = tmp_path / "x.json"

    def fill(record, save, arguments):
        record["runs"].append({"number": len(record["runs"])})
        save()

    for options, count in ([], 1), ([], 2), (["--fresh", "--processes", "1"], 1):
        monkeypatch.setattr(sys, "argv", ["x", *options])
        pool.command("What it does.", file, {"runs": []}, fill)
        assert json.loads(file.read_text()) == {"runs": [{"number": k} for k in range(count)]}
        assert f"{count} runs in x.json" in capsys.readouterr().out
