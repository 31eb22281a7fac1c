"""What it costs to prepare a text for training beyond memory, beside reading it into memory.

    python -m bench.cost.prepare                     what is missing of 1, 5 and 20 million rows
    python -m bench.cost.prepare --rows 1000000      other sizes
    python -m bench.cost.prepare --fresh             everything again

Invented rows in Criteo's format: as many categories as the challenge's columns have, at most a million each, often used
ones and a long tail. Each run is a process of its own, so that its processor seconds and its largest memory are its
own: ``prepare`` writes the folder, ``open`` opens it and gathers 100 shuffled batches of 1,000 rows, ``memory`` is
``data.load("criteo", path=...)``, which holds all rows (up to 5 million). The peak of ``open`` counts the pages of
files that were looked at, which the system may drop at any time; "own MB" is the rest at its end (Linux only).
20 million rows need 12 GB of disk for a while.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow.csv import CSVWriter, WriteOptions
from tqdm import tqdm

from bench import pool
from recsys_lite.data import criteo
from recsys_lite.store import RESULTS

FILE = RESULTS / "prepare.json"
ROWS = [1_000_000, 5_000_000, 20_000_000]
MOST_IN_MEMORY = 5_000_000
KINDS = ["prepare", "open", "memory"]
#: categories of the challenge's columns C1 to C26
SIZES = [
    1460, 583, 10131227, 2202608, 305, 24, 12517, 633, 3, 93145, 5683, 8351593, 3194, 27, 14992, 5461306, 10, 5652,
    2173, 4, 7046547, 18, 15, 286181, 105, 142572,
]  # fmt: skip
MOST, STEP = 1_000_000, 100_000

OPEN = """
import sys, time, torch
from recsys_lite import data
start = time.perf_counter()
rows = data.load(path=sys.argv[1]).train
print(time.perf_counter() - start)
batches = rows.batches(1000, generator=torch.Generator().manual_seed(0))
for _ in zip(range(100), batches):
    pass
status = open("/proc/self/status").read() if sys.platform == "linux" else ""
print(next((line.split()[1] for line in status.splitlines() if line.startswith("RssAnon")), 0))
"""
MEMORY = "import sys; from recsys_lite import data; print(len(data.load('criteo', path=sys.argv[1]).train))"


def write_rows(path: Path, rows: int, most: int = MOST, seed: int = 0) -> None:
    """Invented rows in Criteo's format, the same for the same rows and seed."""
    g, step = np.random.default_rng(seed), min(STEP, rows)
    sizes = [min(size, most) for size in SIZES]
    # An odd factor makes the codes of a column different from each other; the first category is the empty one.
    values = [
        pa.array(["", *(f"{(r * 2654435761 + k) % 2**32:08x}" for r in range(1, n))]) for k, n in enumerate(sizes)
    ]
    schema = pa.schema([(n, "string" if n in criteo.CATEGORICAL else "int64") for n in criteo.COLUMNS])
    how = WriteOptions(include_header=False, delimiter="\t", quoting_style="none")
    with CSVWriter(path, schema, write_options=how) as writer, tqdm(total=rows, unit=" rows", unit_scale=True) as bar:
        for start in range(0, rows, step):
            counts = (np.expm1(g.exponential(2, step)).astype(int) for _ in criteo.NUMERIC)
            columns = [pa.array((g.random(step) < 0.25).astype(int))]
            columns += [pa.array(x, mask=g.random(step) < 0.2) for x in counts]
            columns += [v.take(pa.array((len(v) * g.random(step) ** 4).astype(int))) for v in values]
            writer.write(pa.table(columns, schema=schema).slice(0, rows - start))
            bar.update(min(step, rows - start))


def usage(*command: str) -> tuple[dict[str, Any], str]:
    """What a process used: processor seconds, largest memory in MB; and what it printed."""
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen([sys.executable, *command], stdout=said)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"{command} ended with {process.returncode}")
        said.seek(0)
        return {"cpu seconds": round(used.ru_utime + used.ru_stime, 1), "peak MB": used.ru_maxrss // 1024}, said.read()


def measure(rows: int, folder: Path, kinds: list[str]) -> Iterator[dict[str, Any]]:
    """The runs of one size, each as soon as it is done."""
    text, out = folder / "train.txt", folder / "out"
    write_rows(text, rows)
    for kind in kinds:
        line: dict[str, Any] = {"rows": rows, "kind": kind, "text MB": text.stat().st_size // 1_000_000}
        if kind == "prepare":
            used, _ = usage("-m", "recsys_lite.data.prepare", str(text), str(out))
            parquet = sum(p.stat().st_size for p in out.glob("chunks/*"))
            others = sum(p.stat().st_size for p in out.iterdir() if p.is_file())
            line |= used | {"parquet MB": parquet // 1_000_000, "tensors and vocabularies MB": others // 1_000_000}
        elif kind == "open":
            used, said = usage("-c", OPEN, str(out))
            seconds, own = said.split()
            line |= used | {"open seconds": round(float(seconds), 3), "own MB": int(own) // 1024}
        else:
            line |= usage("-c", MEMORY, str(text))[0]
        if kind != "open":
            line["rows per cpu second"] = round(rows / line["cpu seconds"])
        yield line


def run(record: dict[str, Any], save: Callable[[], None], arguments: argparse.Namespace) -> None:
    """Fill what is missing, saving after each run; a size of which a run is missing is measured again."""
    done = {(line["rows"], line["kind"]) for line in record["runs"]}
    for rows in arguments.rows:
        kinds = [k for k in KINDS if (k != "memory" or rows <= MOST_IN_MEMORY)]
        if all((rows, kind) in done for kind in kinds):
            continue
        record["runs"] = [line for line in record["runs"] if line["rows"] != rows]
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            for line in measure(rows, Path(folder), kinds):
                record["runs"].append(line)
                record["runs"].sort(key=lambda line: (line["rows"], KINDS.index(line["kind"])))
                save()


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS, help="sizes; default 1, 5 and 20 million")
    parser.add_argument("--folder", type=Path, help="where the text is written and removed; default: the system's")


def main() -> None:
    about = {"format": "criteo, invented", "most categories": MOST, "cores": os.cpu_count(), "seed": 0}
    pool.command(__doc__, FILE, {"about": about, "runs": []}, run, options)


if __name__ == "__main__":
    main()
