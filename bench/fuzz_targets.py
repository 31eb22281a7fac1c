"""What :mod:`bench.fuzz` feeds: everything that reads what somebody else wrote, with inputs that are right."""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qsl

import torch

from app.core import address
from recsys_lite import score
from recsys_lite.data import (
    criteo,
    fetch,
    frappe,
    libfm,
    movielens_files,
    movielens_larger,
    open_bandit,
    prepared,
    table,
)
from recsys_lite.data.interactions import load_lightgcn_files
from recsys_lite.data.leave_one_out import KINDS, load_ncf_files
from recsys_lite.data.prepare import prepare
from recsys_lite.data.table_schema import guess
from recsys_lite.data.table_text import Limits, read
from recsys_lite.fields import Dataset
from recsys_lite.models import FM
from recsys_lite.retrieval import ExactIndex
from recsys_lite.retrieval.index import load_index
from recsys_lite.store import load_model, read_json, save_model
from recsys_lite.training import fit_in_steps

Parts = list[bytes]
SCHEMA = {"taken": "label", "drink": "categorical", "age": "numeric", "tags": "bag"}
LIMITS = Limits(1, 5_000, 40)


@dataclass(frozen=True)
class Target:
    """Something that reads.

    Args:
        right: the right inputs, each as parts: the bytes of its files, or of its cells.
        read: parts, a folder of its own -> whatever; raises what is documented for a wrong input.
    """

    right: Callable[[], Sequence[Parts]]
    read: Callable[[Parts, Path], Any]


def files(folder: Path, names: Sequence[str], parts: Parts) -> Path:
    """The parts as files of a folder."""
    for name, part in zip(names, parts, strict=True):
        (folder / name).write_bytes(part)
    return folder


# --- tables


def tables() -> list[Parts]:
    """Small files of the reader's own."""
    tabs = table.example(210).replace(b"\t", b" ").replace(b",", b"\t")
    return [[table.example(220)], [tabs], [b"taken,drink,age,tags\n" + b'1,"a, b",,x|y\n0,"c ""d""",2.5,\n' * 110]]


def guessed(data: bytes) -> Any:
    """A file with the kinds of its columns guessed, as the explorer takes it."""
    frame = read(data, limits=LIMITS)
    return table.encode(frame, guess(frame))


@functools.cache
def small() -> Dataset:
    """A small table, encoded."""
    return table.read_csv(table.example(220), SCHEMA)


@functools.cache
def model() -> FM:
    """A model that raw rows are scored by."""
    return FM(small().fields, dim=2)


# --- public formats


def criteo_lines() -> list[Parts]:
    numbers, ids = "\t".join(str(k % 7) for k in range(13)), "\t".join(f"{k * 7919:08x}" for k in range(26))
    return [["".join(f"{k % 2}\t{numbers if k % 3 else chr(9) * 12}\t{ids}\n" for k in range(12)).encode()]]


def libfm_files() -> list[Parts]:
    lines = [f"{1 if k % 2 else -1} {k % 5}:1 {5 + k % 3}:1\n" for k in range(24)]
    return [["".join(lines[i::3]).encode() for i in range(3)]]


def frappe_files() -> list[Parts]:
    rows = [f"{k % 4}\t{k % 6}\t{k}\tmorning\tmonday\tweekday\thome\tfree\tsunny\tSpain\t7" for k in range(30)]
    return [["\n".join(["\t".join(frappe.HEADER), *rows, ""]).encode()]]


def official() -> list[Parts]:
    flags = "|".join("1" if k == 5 else "0" for k in range(19))
    ratings = "".join(f"{k % 4 + 1}\t{k % 5 + 1}\t{k % 5 + 1}\t{880000000 + k}\n" for k in range(20))
    users = "".join(f"{k}|{20 + k}|M|student|12345\n" for k in range(1, 5))
    items = "".join(f"{k}|Film {k} (199{k})|01-Jan-1995||http://x|{flags}\n" for k in range(1, 6))
    return [[ratings.encode(), users.encode(), items.encode()]]


def mirror() -> list[Parts]:
    ratings = "user\titem\trating\ttime\n" + "".join(f"{k % 4 + 1}\t{k % 5 + 1}\t3\t{88000 + k}\n" for k in range(20))
    users = "user\tage\tgender\toccupation\tzip\n" + "".join(f"{k}\t2{k}\tM\tstudent\t12345\n" for k in range(1, 5))
    items = "item\ttitle\tyear\tclass\n" + "".join(f"{k}\tFilm {k}\t199{k}\tComedy Drama\n" for k in range(1, 6))
    return [[ratings.encode(), users.encode(), items.encode()]]


def of_1m() -> list[Parts]:
    ratings = "".join(f"{k % 4 + 1}::{k % 5 + 1}::4::{97830 + k}\n" for k in range(20))
    users = "".join(f"{k}::M::25::4::12345\n" for k in range(1, 5))
    movies = "".join(f"{k}::Film {k} (199{k})::Comedy|Drama\n" for k in range(1, 6))
    return [[ratings.encode(), users.encode(), movies.encode()]]


def of_10m() -> list[Parts]:
    return [[parts[0], parts[2]] for parts in of_1m()]


def latest() -> list[Parts]:
    ratings = "userId,movieId,rating,timestamp\n" + "".join(f"{k % 4},{k % 5},3.5,{97830 + k}\n" for k in range(20))
    movies = "movieId,title,genres\n" + "".join(f'{k},"Film {k}, The (199{k})",Comedy|Drama\n' for k in range(5))
    return [[ratings.encode(), movies.encode()]]


def lightgcn_files() -> list[Parts]:
    return [[b"0 1 2 3\n1 2 4\n2 0 5 6 7\n", b"0 4\n1 5\n2 1\n"]]


def ncf_files() -> list[Parts]:
    train = "".join(f"{u}\t{i}\t5\t{10 * u + i}\n" for u in range(3) for i in range(3)).encode()
    test = "".join(f"{u}\t{3 + u}\t4\t99\n" for u in range(3)).encode()
    return [[train, test, "".join(f"({u},{3 + u})\t6\t7\n" for u in range(3)).encode()]]


def bandit() -> list[Parts]:
    affinity = [f"user-item_affinity_{k}" for k in range(3)]
    head = ",".join(["", *open_bandit.LOG, *affinity])
    cells = {"timestamp": "2019-11-24 00:00:34+00:00", "item_id": "1", "position": "2", "click": "0",
             "propensity_score": "0.1"}  # fmt: skip
    row = ",".join([*(cells.get(name, "a") for name in open_bandit.LOG), "0.0", "1.0", "2.0"])
    items = ",item_id," + ",".join(open_bandit.ITEM) + "\n"
    items += "".join(f"{k},{k},{0.5 * k}," + ",".join("a" * (len(open_bandit.ITEM) - 1)) + "\n" for k in range(3))
    return [["\n".join([head, *(f"{k},{row}" for k in range(6)), ""]).encode(), items.encode()]]


# --- what the library wrote itself


PREPARED_SCHEMA = {"drink": "categorical", "age": "numeric", "taken": "label"}


def prepare_table(parts: Parts, folder: Path) -> Any:
    """A table prepared and opened."""
    (folder / "in.csv").write_bytes(parts[0])
    prepare(folder / "in.csv", folder / "out", schema=PREPARED_SCHEMA, progress=False)
    return prepared.load(folder / "out", verify=True)


def prepare_libfm(parts: Parts, folder: Path) -> Any:
    """libFM lines prepared and opened."""
    (folder / "in.libfm").write_bytes(b"".join(parts))
    prepare(folder / "in.libfm", folder / "out", format="libfm", progress=False)
    return prepared.load(folder / "out")


@functools.cache
def prepared_folder() -> tuple[tuple[str, ...], Parts]:
    """Names and bytes of the files of a prepared folder."""
    with TemporaryDirectory() as place:
        prepare_table([table.example(40)], Path(place))
        found = sorted(p for p in (Path(place) / "out").rglob("*") if p.is_file())
        return tuple(str(p.relative_to(Path(place) / "out")) for p in found), [p.read_bytes() for p in found]


def open_prepared(parts: Parts, folder: Path) -> Any:
    for name, part in zip(prepared_folder()[0], parts, strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(part)
    return prepared.load(folder, verify=True)


@functools.cache
def stored_model() -> Parts:
    with TemporaryDirectory() as place:
        save_model(model(), Path(place) / "fm", seed=0)
        return [(Path(place) / f"fm{end}").read_bytes() for end in (".json", ".safetensors")]


def with_its_hash(parts: Parts, folder: Path) -> Any:
    """A stored model whose record names the hash of its spoilt weights, so that they are looked at."""
    record = re.sub(rb'("sha256": ")[0-9a-f]{64}', rb"\g<1>" + fetch.sha256(parts[1]).encode(), parts[0])
    files(folder, ["fm.json", "fm.safetensors"], [record, parts[1]])
    return load_model(folder / "fm")(small().test)


@functools.cache
def stored_index() -> Parts:
    with TemporaryDirectory() as place:
        ExactIndex(torch.eye(4)).save(Path(place) / "index")
        found = sorted(Path(place).iterdir())
        assert [p.name for p in found] == ["index.index", "index.json"]
        return [p.read_bytes() for p in found]


def steps(path: Path) -> Any:
    """A training that goes on from a checkpoint where there is one."""
    torch.manual_seed(0)
    return fit_in_steps(FM(small().fields, dim=2), small(), checkpoint=path, epochs=3, batch_size=16)


@functools.cache
def checkpoint() -> tuple[tuple[str, ...], Parts]:
    with TemporaryDirectory() as place:
        steps(Path(place) / "run").step()
        found = sorted(p for p in Path(place).iterdir() if p.is_file())
        return tuple(p.name for p in found), [p.read_bytes() for p in found]


# --- the explorer's address


def addresses() -> list[Parts]:
    return [
        [b"data=movielens-100k&task=click&models=fm,wide_deep&row=12&seed=3&detail=fine&set.drink=tea&set.age=30"],
        [b"data=planted&task=pairs&models=fm,dhen&row=3&diff=fm,dhen&change=0&metric=auc&epoch=2&set.tags=a|b"],
    ]


def visit(parts: Parts, _: Path) -> Any:
    """An address as the page takes it; everything that is wrong in it comes back in words."""
    query = dict(parse_qsl(parts[0].decode("utf-8", "replace"), keep_blank_values=True))
    known = lambda data, task: ["fm", "wide_deep", "dhen"]  # noqa: E731
    state, problems = address.choose(query, [("movielens-100k", "click"), ("planted", "pairs")], known, ["auc"])
    problems += address.choose_row(state, query, small())
    assert all(isinstance(p, str) for p in problems)
    return state.to_query()


def score_rows(parts: Parts, _: Path) -> Any:
    """A list of dicts whose cells are anything."""
    keys = [("drink", "age", "tags", "taken")[k % 4] for k in range(len(parts))]
    cells: list[Any] = [part.decode("utf-8", "replace") for part in parts]
    kinds = (str, lambda t: float(t), lambda t: None, lambda t: t.split("|"), lambda t: int(t))
    for k, text in enumerate(cells):
        try:
            cells[k] = kinds[len(text) % 5](text)
        except ValueError:
            pass
    return score(model(), [dict(zip(keys[i : i + 4], cells[i : i + 4], strict=True)) for i in range(0, len(parts), 4)])


def in_folder(names: Sequence[str], load: Callable[[Path], Any]) -> Callable[[Parts, Path], Any]:
    return lambda parts, folder: load(files(folder, names, parts))


TARGETS: dict[str, Target] = {
    "csv table": Target(tables, lambda p, _: table.read_csv(p[0], SCHEMA)),
    "guessed table": Target(tables, lambda p, _: guessed(p[0])),
    "criteo": Target(criteo_lines, in_folder(["train.txt"], lambda f: criteo.load(f / "train.txt", min_count=1))),
    "libfm": Target(libfm_files, in_folder(["a.train.libfm", "a.validation.libfm", "a.test.libfm"], libfm.load)),
    "frappe": Target(frappe_files, in_folder(["frappe.csv"], lambda f: frappe.load(f, verify=False))),
    "movielens": Target(official, lambda p, _: movielens_files.parse_official(
        dict(zip(("u.data", "u.user", "u.item"), p, strict=True)).__getitem__, "fuzz")),
    "movielens mirror": Target(mirror, lambda p, _: movielens_files.parse_mirror(
        dict(zip(("inter", "user", "item"), p, strict=True)))),
    "movielens 1m": Target(of_1m, lambda p, _: movielens_larger.parse_1m(p[0], p[1], p[2], "fuzz")),
    "movielens 10m": Target(of_10m, lambda p, _: movielens_larger.parse_10m(p[0], p[1], "fuzz")),
    "movielens latest": Target(latest, lambda p, _: movielens_larger.parse_latest(p[0], p[1], "fuzz")),
    "lightgcn files": Target(lightgcn_files, in_folder(["train.txt", "test.txt"], load_lightgcn_files)),
    "ncf files": Target(ncf_files, in_folder([f"x.{k}" for k in KINDS], lambda f: load_ncf_files(f, "x"))),
    "open bandit": Target(bandit, lambda p, _: open_bandit.parse(
        lambda k: io.BytesIO(p[k]), ["log.csv", "items.csv"], "random", "all", "fuzz")),
    "prepare csv": Target(lambda: [[table.example(40)]], prepare_table),
    "prepare libfm": Target(libfm_files, prepare_libfm),
    "prepared folder": Target(lambda: [prepared_folder()[1]], open_prepared),
    "stored model": Target(lambda: [stored_model()], in_folder(
        ["fm.json", "fm.safetensors"], lambda f: load_model(f / "fm")(small().test))),
    "stored model, true hash": Target(lambda: [stored_model()], with_its_hash),
    "stored index": Target(lambda: [stored_index()], in_folder(
        ["index.index", "index.json"], lambda f: load_index(f / "index").search(torch.ones(1, 4), 2))),
    "checkpoint": Target(lambda: [checkpoint()[1]], lambda p, f: steps(files(f, checkpoint()[0], p) / "run")),
    "json": Target(lambda: [[b'{"runs": [{"model": "fm", "seed": 0, "test": {"auc": 0.8}}], "about": {}}']],
                   in_folder(["a.json"], lambda f: read_json(f / "a.json"))),
    "rows to score": Target(lambda: [[b"cocoa", b"30.50", b"sweet", b"1"] * 3], score_rows),
    "table to score": Target(tables, lambda p, _: score(model(), p[0])),
    "address": Target(addresses, visit),
}  # fmt: skip
