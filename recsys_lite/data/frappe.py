"""Frappe: 96,203 logs of which app was used in which context, by 957 people, with two apps drawn beside each.

Published with Baltrunas et al., Frappe: Understanding the Usage and Perception of Mobile App Recommendations
In-The-Wild, 2015 (arXiv 1505.03014); cite it when you use the data. The data is for research, may not be passed on and
not be used commercially without permission; so it is fetched at first use.
"""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from ..fields import Dataset, Field, Rows, Vocabulary
from . import fetch
from .delimited import read_table, whole_numbers
from .negatives import draw_negatives

ADDRESS = (
    "https://raw.githubusercontent.com/irecsys/CARSKit/4ea12feb209ac7f0638af0375c75888178354978/"
    "context-aware_data_sets/Mobile_Frappe.zip"
)
ZIP, ZIP_HASH = "Mobile_Frappe.zip", "4adc616de57170f282397f6e6e30215f97fa7ad1b7f40bd12ef5dceaaf3e9b4e"
HASHES = {
    "frappe.csv": "409edc12f4e2153c5dd58ae171938735911d9b0f70961d5f1086b241656b2cb5",
    "meta.csv": "de87f6b2e7cd0428f9179167e2e7826b5dd3bf490d5af680261b685763ac214f",
}
ADVICE = (
    "Fetch Mobile_Frappe.zip from the CARSKit repository, or the data from the author's page "
    "(https://www.baltrunas.info/context-aware), by another way, and give the file or its unzipped folder as "
    "load(..., path=...) or in the environment variable RECSYS_LITE_FRAPPE."
)
ABOUT = {
    "user": "who", "item": "the app", "daytime": "of the use, in seven parts of the day", "weekday": "of the use",
    "isweekend": "whether it was the weekend", "homework": "at home or at work", "cost": "whether the app is paid",
    "weather": "at the place of the use", "country": "of the use", "city": "of the use, as a number; 0 if unknown",
}  # fmt: skip
FIELDS = list(ABOUT)
HEADER = ["user", "item", "cnt", *FIELDS[2:]]
META = ["item", "package", "category", "downloads", "developer", "icon", "language", "description", "name", "price",
        "rating", "short desc"]  # fmt: skip
NEGATIVES = 2
PROTOCOLS = ("open", "published")


def load(
    path: str | os.PathLike[str] | None = None, seed: int = 0, protocol: str = "open", verify: bool = True
) -> Dataset:
    """Frappe as a :class:`~recsys_lite.fields.Dataset`: was this app used in this context, or drawn?

    Each log is a positive; ``cnt``, how often the app was used, is left out. Beside it stand two negatives, which have
    another app and all else the same. Ten categorical fields; vocabularies hold what the training part shows; groups
    are users. Drawn are the 4,082 apps of the whole file. Eight logs equal an earlier one in all ten fields; they are
    kept.

    ``"open"`` (default): the logs are split 7:2:1 at random, each with its negatives. A negative is uniform over the
    apps that its user has neither in the log's part nor in an earlier one
    (:func:`~recsys_lite.data.negatives.draw_negatives`).

    ``"published"``: the protocol of the files that accompany NFM and AFM, as those files show it. The negatives of a
    user are different apps, uniform over those that the user has in no log at all; then all 288,609 rows are split one
    by one. That betrays the test part: where training holds both negatives of a log, the row that is missing is its
    positive. So it serves only to compare with published figures. :func:`~recsys_lite.evaluation.counter_auc` (mean of
    seeds 0 to 4; 0.5 betrays nothing):

    ================================= ======== =============
    counter by                        ``open`` ``published``
    ================================= ======== =============
    user and item                     0.499    0.500
    user and context, not the item    0.500    0.319
    ================================= ======== =============

    By user and item ``"published"`` says nothing, because no negative of training comes back in the test part; the apps
    of a user's test logs are spared in training all the same.

    Args:
        path: ``Mobile_Frappe.zip``, or a folder that holds it or ``frappe.csv`` (and, for readable names of the apps,
            ``meta.csv``); by default the environment variable RECSYS_LITE_FRAPPE, then the cache, then the network.
        seed: of split and negatives.
        protocol: ``"open"`` or ``"published"``.
        verify: whether the files must be the published ones, by their hashes. ``False`` takes any in their format.

    Raises:
        ValueError: for an unknown protocol, or damaged files, naming the row. DataUnavailable: if no source works.

    Source: Xiao et al., Attentional Factorization Machines, IJCAI 2017, section 4.1; He and Chua, Neural Factorization
    Machines for Sparse Predictive Analytics, SIGIR 2017, and their files ``frappe.{train,validation,test}.libfm``.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"frappe: unknown protocol {protocol!r}; there are {list(PROTOCOLS)}")
    files, source = _read(path)
    if verify:
        for name, data in files.items():
            if (got := fetch.sha256(data)) != HASHES[name]:
                raise ValueError(
                    f"{name}: wrong hash, expected sha256 {HASHES[name]}, got {got}; this is not the published file. "
                    "verify=False takes it as it is"
                )
    logs, apps = parse(files)
    rng, open_ = np.random.default_rng(seed), protocol == "open"
    place = apps.index.get_indexer(logs["item"])
    part = _split(len(logs), rng) if open_ else np.zeros(len(logs), np.int64)  # published: all are known at once
    negatives = draw_negatives(logs["user"].to_numpy(int), place, part, len(apps), NEGATIVES, rng, replace=open_)
    app = np.concatenate([place[:, None], negatives], 1)  # each log's app, then those drawn
    label = np.zeros(app.shape, np.float32)
    label[:, 0] = 1
    parts = np.repeat(part, app.shape[1]) if open_ else _split(app.size, rng)
    fields, columns = [], []
    for name, text in ABOUT.items():
        if name == "item":
            values, codes, titles = apps.index.to_numpy(str), app.ravel(), dict(apps.get("title", {}))
        else:
            codes, values = pd.factorize(logs[name])
            values, codes, titles = values.to_numpy(str), np.repeat(codes, app.shape[1]), {}
        shown = Vocabulary(values[np.unique(codes[parts == 0])], titles)
        fields.append(Field(name, "categorical", shown, about=text))
        columns.append(shown.encode(values)[codes])
    ids = np.stack(columns, 1)
    user = np.repeat(logs["user"].to_numpy(np.int32), app.shape[1])
    rows = Rows(
        torch.from_numpy(ids), torch.zeros(len(ids), 0), {}, torch.from_numpy(label.ravel()), torch.from_numpy(user)
    )
    train, validation, test = (rows[torch.from_numpy(np.flatnonzero(parts == p))] for p in range(3))
    popularity = np.bincount(app.ravel()[(parts == 0) & (label.ravel() == 1)], minlength=len(apps))
    names = ("train", "validation", "test")
    about: dict[str, object] = {
        "source": f"Frappe (Baltrunas et al. 2015; research use, no redistribution), {source}",
        "data_sha256": fetch.sha256(files["frappe.csv"]),
        "split": f"7:2:1 at random, seed {seed}: "
        + ("logs, each with its negatives" if open_ else "rows one by one, as published; betrays the test part"),
        "label": "1 = the app was used in this context, 0 = an app that was drawn",
        "rows": ", ".join(f"{len(p)} {n}" for n, p in zip(names, (train, validation, test), strict=True)),
        "logs": f"{len(logs)}, of {logs['user'].nunique()} users and {len(apps)} apps; "
        f"{int(logs[FIELDS].duplicated().sum())} equal an earlier one in all fields",
        "negatives": f"{NEGATIVES} per log, with another app: uniform over all apps of the file that "
        + (
            "this user has not in the log's part or an earlier one, with replacement"
            if open_
            else "this user never used, none twice for a user"
        )
        + f", seed {seed}",
        "negatives_sha256": fetch.sha256(negatives.astype("<i4").tobytes()),
    }
    extras = {"items": apps.assign(popularity=popularity)}
    return Dataset("frappe", "click", tuple(fields), train, validation, test, about, extras)


def _split(count: int, rng: np.random.Generator) -> np.ndarray:
    """(count,) 0 train, 1 validation, 2 test at random, 7:2:1, training and validation rounded up."""
    order = rng.permutation(count)
    part = np.zeros(count, np.int64)
    for p, tenths in ((1, 7), (2, 9)):
        part[order[-(-count * tenths // 10) :]] = p
    return part


def parse(files: dict[str, bytes]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The logs in the order of the file, as text; and the apps by number, with title and category if they are known.

    Raises:
        ValueError: naming file, row and column.
    """
    _check_header(files["frappe.csv"], "frappe.csv", HEADER)
    logs = read_table(files["frappe.csv"], "frappe.csv", "\t", HEADER, len(HEADER), header=True, encoding="utf-8")
    last = 2**31 - 1
    for column in ("user", "item"):
        whole_numbers(logs, column, "frappe.csv", 0, last)
    for column in FIELDS:
        if (empty := (logs[column] == "").to_numpy()).any():
            raise ValueError(f"frappe.csv, row {int(empty.argmax()) + 1}: {column} is empty")
    known = sorted(logs["item"].unique(), key=int)
    if "meta.csv" not in files:
        return logs, pd.DataFrame(index=pd.Index(known, name="item"))
    _check_header(files["meta.csv"], "meta.csv", META)
    meta = read_table(files["meta.csv"], "meta.csv", "\t", META, len(META), header=True, encoding="utf-8")
    if (repeated := meta["item"].duplicated()).any():
        raise ValueError(f"meta.csv: item {meta['item'][repeated].iloc[0]!r} occurs twice")
    meta = meta.set_index("item")
    if missing := [i for i in known if i not in meta.index]:
        raise ValueError(f"frappe.csv: item {missing[0]!r} is not in meta.csv")
    meta["title"] = [f"app {i}" if name == "unknown" else name for i, name in meta["name"].items()]
    return logs, meta.loc[known, ["title", "category"]]


def _check_header(data: bytes, file: str, expected: list[str]) -> None:
    got = data.split(b"\n", 1)[0].decode("latin-1").rstrip("\r").split("\t")
    if got != expected:
        raise ValueError(f"{file}: expected the header {', '.join(expected)} with tabs between, got {', '.join(got)}")


# --- sources ---------------------------------------------------------------------------------------------------------


def _read(path: str | os.PathLike[str] | None) -> tuple[dict[str, bytes], str]:
    """The bytes of frappe.csv, and of meta.csv where it is there, and where they come from."""
    path = path or os.environ.get("RECSYS_LITE_FRAPPE")
    if not path:
        return _unzipped(_cached() or _fetched()), "as kept in the CARSKit repository"
    place = Path(path)
    if place.is_file():
        return _unzipped(place), f"file {place.name}"
    for folder in (place, place / "frappe", place / "Mobile_Frappe" / "frappe"):
        if (folder / "frappe.csv").is_file():
            found = [name for name in HASHES if (folder / name).is_file()]
            return {name: (folder / name).read_bytes() for name in found}, f"folder {place.name}"
    if (place / ZIP).is_file():
        return _unzipped(place / ZIP), f"folder {place.name}"
    wrong = "holds no frappe.csv" if place.exists() else "does not exist"
    raise fetch.DataUnavailable(f"{place} {wrong}; expected {ZIP} or its unzipped folder")


def _unzipped(file: Path) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(file.read_bytes())) as archive:
            members = {m.rsplit("/", 1)[-1]: m for m in archive.namelist()}
            if "frappe.csv" not in members:
                raise fetch.DataUnavailable(f"{file} holds no frappe.csv; expected {ZIP}")
            return {name: archive.read(members[name]) for name in HASHES if name in members}
    except zipfile.BadZipFile as error:
        raise ValueError(f"{file.name} is damaged or no zip file: {error}") from None


def _cached() -> Path | None:
    """The file fetched before; one whose hash is wrong, or that cannot be read, counts as absent."""
    file = fetch.cache_path() / ZIP
    return file if fetch.is_whole(file, f"sha256:{ZIP_HASH}") else None


def _fetched() -> Path:
    cache = fetch.cache_folder()
    with fetch.locked(cache, "frappe"):
        if file := _cached():  # another process was faster
            return file
        source = ("CARSKit repository", lambda: fetch.retrieve(ADDRESS, f"sha256:{ZIP_HASH}", cache))
        return fetch.first_that_works("Frappe", [source], ADVICE)
