"""The Open Bandit data: impressions of fashion items at three places, some of them shown entirely at random.

Published by ZOZO with Saito et al., Open Bandit Dataset and Pipeline: Towards Realistic and Reproducible Off-Policy
Evaluation, NeurIPS Datasets and Benchmarks 2021 (arXiv 2008.07146); cite them when you use it. The full data is
fetched from research.zozo.com/data.html and given by ``path=``. A sample of 10,000 rows for each policy and campaign
lies in the authors' package; it is read from there and never passed on.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from ..fields import Dataset, Field, Rows, Vocabulary
from . import fetch

POLICIES = ("random", "bts")  # uniform, Bernoulli Thompson sampling
CAMPAIGNS = ("all", "men", "women")
PLACES = 3  # left, centre, right
WHEEL = "obp==0.4.1"
WHEEL_NAME = "obp-0.4.1-py3-none-any.whl"
WHEEL_HASH = "87dec9caf4283c25ab13036532e0a24566f1c7bdcad1653a8ded43b2f5ef8208"
ADVICE = "Fetch the data from research.zozo.com/data.html, unzip it, and give its folder as load(..., path=...)."
USER = [f"user_feature_{k}" for k in range(4)]
ITEM = [f"item_feature_{k}" for k in range(4)]
LOG = ["timestamp", "item_id", "position", "click", "propensity_score", *USER]
CHUNK = 50_000  # rows that are checked at a time


@dataclass
class OpenBandit:
    """One policy's log of one campaign.

    Args:
        log: in the order of time: timestamp, item_id, position (1 to 3), click (0, 1), propensity_score (chance that
            the policy shows this item at this place), user_feature_0..3 (hashed).
        affinity: (rows, items) float32: past clicks of this user on each item.
        items: by item_id: item_feature_0 (a number), item_feature_1..3 (hashed).
        policy, campaign: as given to :func:`load`.
        source: where it came from.
    """

    log: pd.DataFrame
    affinity: np.ndarray
    items: pd.DataFrame
    policy: str
    campaign: str
    source: str


def load(policy: str = "random", campaign: str = "all", path: str | os.PathLike[str] | None = None) -> OpenBandit:
    """One policy's log of one campaign.

    Args:
        policy: ``"random"`` or ``"bts"``.
        campaign: ``"all"``, ``"men"`` or ``"women"``.
        path: the unzipped folder of the full data, which holds ``<policy>/<campaign>/``. By default the authors'
            sample of 10,000 rows, fetched at first use.

    Raises:
        ValueError: for an unknown policy or campaign; for a damaged file, naming file, line and column.
        DataUnavailable: if a file is missing or no source works.
    """
    for what, got, known in (("policy", policy, POLICIES), ("campaign", campaign, CAMPAIGNS)):
        if got not in known:
            raise ValueError(f"open bandit: unknown {what} {got!r}; there are {list(known)}")
    names = [f"{policy}/{campaign}/{name}.csv" for name in (campaign, "item_context")]
    if path is None:
        file = _cached(fetch.cache_path()) or _fetched()
        with zipfile.ZipFile(file) as archive:
            sample = [archive.read(f"obp/dataset/obd/{name}") for name in names]
        return parse(lambda k: io.BytesIO(sample[k]), names, policy, campaign, f"sample in {WHEEL}")
    folder = Path(path)
    if absent := [name for name in names if not (folder / name).is_file()]:
        raise fetch.DataUnavailable(f"{folder} holds no {absent[0]}; expected the unzipped Open Bandit data")
    return parse(lambda k: (folder / names[k]).open("rb"), names, policy, campaign, f"folder {folder.name}")


def _cached(cache: Path) -> Path | None:
    """The package fetched before; one whose hash is wrong, or that cannot be read, counts as absent."""
    return cache / WHEEL_NAME if fetch.is_whole(cache / WHEEL_NAME, f"sha256:{WHEEL_HASH}") else None


def _fetched() -> Path:
    cache = fetch.cache_folder()
    with fetch.locked(cache, "open-bandit"):
        if file := _cached(cache):  # another process was faster
            return file
        source = (f"sample in the package index ({WHEEL})", lambda: fetch.wheel(WHEEL, WHEEL_HASH, cache))
        return fetch.first_that_works("The Open Bandit sample", [source], ADVICE)


def parse(
    read: Callable[[int], io.IOBase | io.BufferedReader], names: list[str], policy: str, campaign: str, source: str
) -> OpenBandit:
    """The two files, checked. ``read(0)`` opens the log, ``read(1)`` the items; ``names`` are for messages."""
    items = pd.concat(_chunks(read(1), names[1], ["item_id", *ITEM]))
    ids = _numbers(items, "item_id", names[1], 0, len(items) - 1)
    if (repeated := ids.duplicated().to_numpy()).any():
        line = int(repeated.argmax()) + 2
        raise ValueError(f"{names[1]}, line {line}: item_id {ids.iloc[line - 2]} occurs twice")
    features = items.assign(item_id=ids, item_feature_0=_numbers(items, ITEM[0], names[1], whole=False))
    affinity = [f"user-item_affinity_{k}" for k in range(len(items))]
    logs, affinities = [], []
    for chunk in _chunks(read(0), names[0], [*LOG, *affinity]):
        time = pd.to_datetime(chunk["timestamp"], utc=True, errors="coerce", format="ISO8601")
        _refuse(time.isna(), chunk["timestamp"], names[0], "a time as 2019-11-24 00:00:34+00:00")
        checked = {
            "timestamp": time,
            "item_id": _numbers(chunk, "item_id", names[0], 0, len(items) - 1),
            "position": _numbers(chunk, "position", names[0], 1, PLACES),
            "click": _numbers(chunk, "click", names[0], 0, 1),
            "propensity_score": _numbers(chunk, "propensity_score", names[0], 0, 1, whole=False),
        }
        _refuse(checked["propensity_score"] == 0, chunk["propensity_score"], names[0], "a chance above 0")
        logs.append(chunk[LOG].assign(**checked))
        columns = [_numbers(chunk, name, names[0], 0, whole=False).to_numpy(np.float32) for name in affinity]
        affinities.append(np.stack(columns, 1))
    log, past = pd.concat(logs), np.concatenate(affinities)
    order = np.argsort(log["timestamp"].to_numpy(), kind="stable")
    log = log.iloc[order].reset_index(drop=True)
    return OpenBandit(log, past[order], features.set_index("item_id").sort_index()[ITEM], policy, campaign, source)


def _chunks(file: io.IOBase | io.BufferedReader, name: str, columns: list[str]) -> Iterator[pd.DataFrame]:
    """The file as text, some rows at a time, its index the line minus 2; the first column has no name in the header."""
    rows = 0
    try:
        with file, pd.read_csv(file, dtype=str, keep_default_na=False, chunksize=CHUNK, quoting=3) as reader:  # type: ignore[call-overload]
            for chunk in reader:
                _header(list(chunk.columns), ["Unnamed: 0", *columns], name)
                if not isinstance(chunk.index, pd.RangeIndex):  # pandas takes what is too much for names of rows
                    raise ValueError(f"{name}, line 2: expected {len(columns) + 1} columns, got more")
                for column in columns:
                    _refuse(chunk[column].isna() | (chunk[column] == ""), chunk[column], name, "a value")
                rows += len(chunk)
                yield chunk
    except UnicodeDecodeError as error:
        raise ValueError(f"{name}: not a text in UTF-8: {error}") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ValueError(f"{name}: {str(error).strip().removeprefix('Error tokenizing data. C error: ')}") from None
    if not rows:
        raise ValueError(f"{name}: holds no rows")


def _header(got: list[str], expected: list[str], name: str) -> None:
    for k in range(max(len(got), len(expected))):
        a, b = (repr(x[k]) if k < len(x) else "nothing" for x in (expected, got))
        if a != b:
            raise ValueError(f"{name}, line 1: expected {a} as column {k + 1}, got {b}")


def _refuse(wrong: pd.Series, column: pd.Series, file: str, expected: str) -> None:
    if wrong.any():
        row = wrong.idxmax()
        got = "nothing" if pd.isna(column[row]) or column[row] == "" else repr(column[row])
        raise ValueError(f"{file}, line {row + 2}, column {column.name}: got {got}, expected {expected}")


def _numbers(
    table: pd.DataFrame, column: str, file: str, low: float = -np.inf, high: float = np.inf, whole: bool = True
) -> pd.Series:
    values = pd.to_numeric(table[column], errors="coerce")
    wrong = ~np.isfinite(values.astype(float)) | ~values.between(low, high) | (whole & (values % 1 != 0))
    _refuse(wrong, table[column], file, f"a {'whole ' * whole}number in [{low:g}, {high:g}]")
    return values.astype(int) if whole else values.astype(float)


def to_dataset(bandit: OpenBandit) -> Dataset:
    """The log as rows for any model: by time 80 % training, 10 % validation, 10 % test; label click.

    Fields: item, the item's and the user's features, how often this user clicked this item before (log(1 + n)), and
    position, whose row number 0 means: not known. Vocabularies hold what the training rows show.
    """
    log, items = bandit.log, bandit.items.loc[bandit.log["item_id"]]
    cut = [len(log) * 8 // 10, len(log) * 9 // 10]
    text = {"item": log["item_id"].astype(str).to_numpy(), **{name: log[name].to_numpy(str) for name in USER}}
    text |= {name: items[name].to_numpy(str) for name in ITEM[1:]} | {"position": log["position"].to_numpy(str)}
    fields = [Field(name, "categorical", Vocabulary(np.unique(values[: cut[0]]))) for name, values in text.items()]
    fields += [Field(ITEM[0], "numeric"), Field("affinity", "numeric", transform="log(1 + x)")]
    ids = np.stack([f.vocabulary.encode(text[f.name]) for f in fields if f.vocabulary is not None], 1)
    own = bandit.affinity[np.arange(len(log)), log["item_id"]]
    numeric = np.stack([items[ITEM[0]].to_numpy(), np.log1p(own)], 1).astype(np.float32)
    label = torch.from_numpy(log["click"].to_numpy(np.float32))
    nobody = torch.full((len(log),), -1, dtype=torch.int32)
    rows = Rows(torch.from_numpy(ids), torch.from_numpy(numeric), {}, label, nobody)
    parts = rows[: cut[0]], rows[cut[0] : cut[1]], rows[cut[1] :]
    about = {"source": bandit.source, "policy": bandit.policy, "campaign": bandit.campaign, "split": "by time, 8:1:1"}
    return Dataset("open-bandit", "click", tuple(fields), *parts, about=about)
