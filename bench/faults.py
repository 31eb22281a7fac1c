"""Two hundred kills at random moments: nothing half written is read, what goes on ends like what never stopped.

    python -m bench.faults                 all cases; writes results/faults.json
    python -m bench.faults --kills 20 --cases training

A case is a job that writes: a download, a training with a checkpoint, a stored model, a result, an index, predictions,
prepared data. For each kill a process starts the job in a folder, and gets SIGKILL after a random part of the time that
the whole job takes. Then what lies there is read: it must be nothing, the state before or the state after. Then the job
runs again to its end, and what it leaves must equal, byte for byte, what an unbroken job leaves.
"""

from __future__ import annotations

import argparse
import hashlib
import http.server
import multiprocessing
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from bench.fuzz_targets import PREPARED_SCHEMA, small
from recsys_lite.data import fetch, prepared, table
from recsys_lite.data.prepare import prepare
from recsys_lite.models import DeepFM
from recsys_lite.retrieval import ExactIndex
from recsys_lite.retrieval.index import load_index
from recsys_lite.store import RESULTS, load_model, read_json, save_model, write_json
from recsys_lite.store.predictions import add_predictions, load_predictions, stored_seeds
from recsys_lite.training import fit_in_steps

FILE = RESULTS / "faults.json"
KILLS, SEED = 200, 0
LONGEST = 600  # seconds
#: a process without threads from which others are split off, with everything imported
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["bench.fuzz_targets"])
PAYLOAD = np.random.default_rng(0).bytes(4_000_000)


@dataclass(frozen=True)
class Case:
    """A job that writes.

    Args:
        work: does the whole job in a folder; goes on where something lies there.
        read: reads what lies there after a kill; raises for anything half written.
        left: the bytes that count at the end, for the comparison with an unbroken job.
    """

    work: Callable[[Path], None]
    read: Callable[[Path], None]
    left: Callable[[Path], bytes]


# --- jobs


class Server(http.server.BaseHTTPRequestHandler):
    """Sends the payload slowly enough to be stopped within."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(PAYLOAD)))
        self.end_headers()
        try:
            for k in range(0, len(PAYLOAD), 200_000):
                self.wfile.write(PAYLOAD[k : k + 200_000])
                time.sleep(0.005)
        except OSError:
            pass  # whoever asked was killed

    def log_message(self, format: str, *args: Any) -> None:
        pass


def download(port: int, folder: Path) -> None:
    fetch.retrieve(f"http://127.0.0.1:{port}/data.bin", f"sha256:{fetch.sha256(PAYLOAD)}", folder)


def downloaded(folder: Path) -> None:
    for file in folder.glob("*data.bin"):
        assert file.read_bytes() == PAYLOAD, f"{file.name} is not whole"


def model(seed: int) -> DeepFM:
    torch.manual_seed(seed)
    return DeepFM(small().fields, dim=8, hidden=(64, 64))


def train(folder: Path) -> None:
    steps = fit_in_steps(model(0), small(), checkpoint=folder / "run", epochs=6, patience=6, batch_size=8, lr=1e-3)
    steps.finish()
    torch.save({k: v.numpy().tobytes() for k, v in steps.model.state_dict().items()}, folder / "weights")


def trained(folder: Path) -> None:
    fit_in_steps(model(0), small(), checkpoint=folder / "run", epochs=6, patience=6, batch_size=8, lr=1e-3)


def weights(folder: Path) -> bytes:
    return (folder / "weights").read_bytes()


def store_models(folder: Path) -> None:
    for k in range(20):
        save_model(model(k), folder / "model", number=k)


def stored_model(folder: Path) -> None:
    if not (folder / "model.json").exists():
        return
    found, number = load_model(folder / "model"), read_json(folder / "model.json")["about"]["number"]
    wanted = model(number).state_dict()
    assert all(torch.equal(v, wanted[k]) for k, v in found.state_dict().items()), "weights of another record"


def store_results(folder: Path) -> None:
    for k in range(60):
        write_json(folder / "result.json", {"number": k, "runs": [k] * 5_000})


def stored_result(folder: Path) -> None:
    if (folder / "result.json").exists():
        found = read_json(folder / "result.json")
        assert found["runs"] == [found["number"]] * 5_000


def vectors(k: int) -> torch.Tensor:
    return torch.full((300, 32), float(k))


def store_indexes(folder: Path) -> None:
    for k in range(1, 30):
        ExactIndex(vectors(k)).save(folder / "index")


def stored_index(folder: Path) -> None:
    if (folder / "index.json").exists():
        index = load_index(folder / "index")
        value = float(index.vectors[0, 0])  # type: ignore[union-attr]
        assert torch.equal(index.vectors, vectors(int(value)))  # type: ignore[union-attr]


def logits(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=len(small().test))


def predict(folder: Path) -> None:
    for seed in range(20):
        add_predictions(small(), "deepfm", logits(seed), seed, folder=folder)


def predicted(folder: Path) -> None:
    if not list(folder.glob("*.json")):
        return
    seeds = stored_seeds(small().name, small().task, "deepfm", folder=folder)
    found = load_predictions(small(), ["deepfm"], folder=folder)["deepfm"]
    wanted = 1 / (1 + np.exp(-np.stack([logits(s) for s in seeds])))
    assert np.allclose(found, wanted, atol=1e-3), "lines and seeds do not belong together"


def prepare_rows(folder: Path) -> None:
    source = folder.parent / "rows.csv"
    prepare(source, folder / "out", schema=PREPARED_SCHEMA, chunk=2_000, progress=False)


def prepared_rows(folder: Path) -> None:
    if (folder / "out" / "manifest.json").exists():
        prepared.load(folder / "out", verify=True)


def written(folder: Path, *, but: Sequence[str] = ()) -> bytes:
    """All files with their names."""
    found = sorted(p for p in folder.rglob("*") if p.is_file() and p.name not in but and not p.name.startswith("."))
    return b"".join(str(p.relative_to(folder)).encode() + p.read_bytes() for p in found)


CASES: dict[str, Case] = {
    "training": Case(train, trained, weights),
    "model": Case(store_models, stored_model, written),
    "result": Case(store_results, stored_result, written),
    "index": Case(store_indexes, stored_index, written),
    "predictions": Case(predict, predicted, written),
    "prepared data": Case(prepare_rows, prepared_rows, written),
}


# --- kills


def _run(job: Callable[[Path], Any], folder: Path, told: Path) -> None:
    """A job in a process of its own; an error is left in a file."""
    torch.set_num_threads(1)
    try:
        job(folder)
    except BaseException as error:
        told.write_text(f"{type(error).__name__}: {error}"[:500])
        raise SystemExit(1) from None


def apart(job: Callable[[Path], Any], folder: Path, seconds: float | None = None) -> tuple[bool, str]:
    """Run a job in a process of its own, killed after some seconds: whether it came to its end, and its error.

    Without seconds it has :data:`LONGEST`, and its error is then that it did not end.
    """
    told = folder.parent / "error"
    told.unlink(missing_ok=True)
    process = CONTEXT.Process(target=_run, args=(job, folder, told))
    process.start()
    process.join(LONGEST if seconds is None else seconds)
    late = process.is_alive()
    process.kill()
    process.join()
    if late and seconds is None:
        return False, f"did not end within {LONGEST} seconds"
    return process.exitcode == 0, told.read_text() if told.exists() else ""


def one(case: Case, scratch: Path, number: int, seconds: float, unbroken: str) -> dict[str, Any]:
    """A kill, what could be read then, and what was left in the end."""
    folder = scratch / f"kill{number}"
    folder.mkdir()
    ended, wrong = apart(case.work, folder, seconds)
    wrong = wrong or apart(case.read, folder)[1]
    wrong = wrong or apart(case.work, folder)[1]
    same = not wrong and hashlib.sha256(case.left(folder)).hexdigest() == unbroken
    return {"stopped": not ended, "wrong": wrong, "same": same}


def kills(case: Case, count: int, seed: int, tell: Callable[[], Any]) -> dict[str, Any]:
    """A number of kills of a case."""
    rng = np.random.default_rng(seed)
    with TemporaryDirectory(ignore_cleanup_errors=True) as place:
        scratch, first, whole = Path(place), Path(place) / "first", Path(place) / "whole"
        first.mkdir()
        whole.mkdir()
        (scratch / "rows.csv").write_bytes(table.example(12_000))
        apart(case.work, first)  # imports what a job needs, so that the next one takes as long as all later ones
        started = time.perf_counter()
        ended, wrong = apart(case.work, whole)
        assert ended, wrong
        seconds, unbroken = time.perf_counter() - started, hashlib.sha256(case.left(whole)).hexdigest()
        found = []
        for number in range(count):
            found.append(one(case, scratch, number, float(rng.uniform(0, seconds)), unbroken))
            tell()
    return {
        "kills": count,
        "stopped": sum(r["stopped"] for r in found),
        "half written": sum(bool(r["wrong"]) for r in found),
        "resumed to the same": sum(r["same"] for r in found),
        "errors": sorted({r["wrong"] for r in found if r["wrong"]})[:5],
    }


def run(names: Sequence[str], count: int, seed: int = SEED) -> dict[str, Any]:
    """All cases."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    cases = {**CASES, "download": Case(partial(download, server.server_address[1]), downloaded, written)}
    each = -(-count // len(cases))
    try:
        with tqdm(total=each * len(names), unit="kill") as bar:
            lines = [{"case": name, **kills(cases[name], each, seed, bar.update)} for name in names]
    finally:
        server.shutdown()
    return {"about": {"seed": seed, "kills": each * len(names)}, "cases": lines}


def main(arguments: Sequence[str] | None = None) -> int:
    names = [*CASES, "download"]
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=names, default=names)
    parser.add_argument("--kills", type=int, default=KILLS, help="of all cases together")
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1)
    found = run(asked.cases, asked.kills)
    if set(asked.cases) == set(names):
        write_json(FILE, found)
    for line in found["cases"]:
        print(", ".join(f"{key} {value}" for key, value in line.items()))
    return int(any(c["half written"] or c["resumed to the same"] < c["kills"] for c in found["cases"]))


if __name__ == "__main__":
    sys.exit(main())
