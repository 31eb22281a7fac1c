"""What all benchmarks share: each job once, jobs that wait for others, results kept when an interrupt comes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

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


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except OSError:
        return False


@pytest.mark.slow("starts processes")
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="no list of processes here")
@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_leaves_no_process_behind(tmp_path, sign):
    (tmp_path / "endless.py").write_text(
        "import os, pathlib, signal, sys, time\nfrom bench import pool\n\n"
        "def work(k):\n    pathlib.Path(f'{k}.pid').write_text(str(os.getpid()))\n    time.sleep(600)\n\n"
        "if __name__ == '__main__':\n"
        "    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where a shell started us aside\n"
        "    pool.run(work, lambda: [(0,), (1,)], print, processes=2)\n"
    )
    paths = {**os.environ, "PYTHONPATH": f"{Path(pool.__file__).parents[1]}{os.pathsep}{tmp_path}"}
    whole = subprocess.Popen([sys.executable, "endless.py"], cwd=tmp_path, env=paths, stderr=subprocess.DEVNULL)
    files = [tmp_path / f"{k}.pid" for k in range(2)]
    try:
        for _ in range(1200):
            if all(f.exists() and f.read_text() for f in files):
                break
            time.sleep(0.1)
        whole.send_signal(sign)
        assert whole.wait(60) != 0
        for _ in range(100):
            if not any(alive(int(f.read_text())) for f in files):
                break
            time.sleep(0.1)
        assert not any(alive(int(f.read_text())) for f in files)
    finally:
        whole.kill()
        for f in files:
            if f.exists() and alive(int(f.read_text())):
                os.kill(int(f.read_text()), signal.SIGKILL)


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
