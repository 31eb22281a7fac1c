"""Data made poorer on purpose, the crossing of learning curves, and the benchmark behind the chapter."""

import pandas as pd
import pytest
import tiny
import torch

from bench.ranking import when_not
from recsys_lite.data.simulated.regimes import homogeneous, rank_within, sparsen, subsample
from recsys_lite.evaluation import interval
from recsys_lite.evaluation.regimes import crossing_point, gaps
from recsys_lite.fields import Dataset
from recsys_lite.store import RESULTS, read_json


def raw(data: Dataset, part: str) -> list[tuple]:
    """Rows as a person reads them, unseen values by name, in no order."""
    rows = getattr(data, part)
    records = [data.decode(rows, k) | {"label": rows.label[k].item()} for k in range(len(rows))]
    return sorted(tuple(sorted((k, str(v)) for k, v in r.items())) for r in records)


def test_a_subsample_holds_rows_of_the_whole_and_all_rows_are_the_whole():
    data = tiny.dataset(300)
    whole = raw(data, "train")
    part = raw(subsample(data, 40, seed=3), "train")
    assert len(part) == 40 and all(part.count(r) <= whole.count(r) for r in part)
    assert raw(subsample(data, 300, seed=3), "train") == whole


def test_a_subsample_keeps_the_test_rows_and_shrinks_validation_in_proportion():
    data = tiny.dataset(300)
    small = subsample(data, 200, seed=0)
    assert len(small.test) == len(data.test) and torch.equal(small.test.label, data.test.label)
    assert torch.equal(small.test.group, data.test.group) and (small.validation.group == -1).all()
    assert len(small.validation) == round(200 * 2 / 3)
    assert len(subsample(data, 3, seed=0).validation) == 100  # never fewer, where there are as many
    assert len(data.train) == 300 and len(data.fields[0].vocabulary) == 9  # the whole stays as it was


def test_the_seed_draws_the_rows():
    data = tiny.dataset(300)
    assert raw(subsample(data, 30, 1), "train") == raw(subsample(data, 30, 1), "train")
    assert raw(subsample(data, 30, 1), "train") != raw(subsample(data, 30, 2), "train")


def test_values_that_the_drawn_rows_do_not_show_are_unseen():
    data = tiny.dataset(300)
    small = subsample(data, 4, seed=0)
    users = {small.decode(small.train, k)["user"] for k in range(4)}
    assert set(small.field("user").vocabulary.values) == users - {"<unseen>"}
    for k in range(len(data.test)):
        before, after = data.decode(data.test, k), small.decode(small.test, k)
        assert after["user"] == (before["user"] if before["user"] in users else "<unseen>")
        assert after["price"] == before["price"] and len(after["history"]) == len(before["history"])
    assert small.field("history").vocabulary.values.tolist() == small.field("item").vocabulary.values.tolist()
    shown = {
        v for k in range(4) for v in (small.decode(small.train, k)["item"], *small.decode(small.train, k)["history"])
    }
    assert set(small.field("item").vocabulary.values) == shown - {"<unseen>"}  # one table: candidates and histories


@pytest.mark.parametrize("rows", [0, 301])
def test_a_subsample_of_impossible_size_is_refused(rows):
    with pytest.raises(ValueError, match=f"within 1 and 300, got {rows}"):
        subsample(tiny.dataset(300), rows, 0)


@pytest.mark.parametrize("by", ["user", "item"])
def test_sparse_data_have_at_most_so_many_rows_a_value(by):
    data = tiny.dataset(300)
    thin = sparsen(data, 5, seed=0, by=by)
    place = ["user", "item"].index(by)
    before, after = (torch.bincount(d.train.ids[:, place]) for d in (data, thin))
    assert torch.equal(after, before.clamp(max=5)) and len(thin.test) == len(data.test)
    assert raw(sparsen(data, 300, seed=0, by=by), "train") == raw(data, "train")
    assert raw(sparsen(data, 5, 1, by), "train") != raw(thin, "train")


def test_sparse_data_refuse_what_does_not_fit():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        sparsen(tiny.dataset(60), 0, 0)
    with pytest.raises(ValueError, match="unknown categorical field 'price'"):
        sparsen(tiny.dataset(60), 3, 0, by="price")


def test_rank_within_counts_equal_values_before():
    value = torch.randint(0, 5, (200,), generator=torch.Generator().manual_seed(0))
    slow = [int((value[:k] == value[k]).sum()) for k in range(200)]
    assert rank_within(value).tolist() == slow


def test_homogeneous_data_keep_columns_or_a_segment_of_all_parts():
    data = tiny.dataset(300)
    few = homogeneous(data, ["item", "history"])
    assert [f.name for f in few.fields] == ["item", "history"] and len(few.train) == 300
    segment = homogeneous(data, where={"user": ["u1", "u2"]})
    for part in ("train", "validation", "test"):
        rows, kept = getattr(data, part), getattr(segment, part)
        assert len(kept) == torch.isin(rows.ids[:, 0], torch.tensor([2, 3])).sum() > 0
    assert segment.field("user").vocabulary.values.tolist() == ["u1", "u2"]
    both = homogeneous(data, ["item"], {"user": ["u1"]})
    assert [f.name for f in both.fields] == ["item"] and 0 < len(both.train) < len(segment.train)


def test_homogeneous_refuses_what_it_cannot_make():
    data = tiny.dataset(300)
    with pytest.raises(ValueError, match="neither fields nor where"):
        homogeneous(data)
    with pytest.raises(ValueError, match="field 'user' has not all of the values"):
        homogeneous(data, where={"user": ["nobody"]})
    with pytest.raises(ValueError, match="field 'price' has not all"):
        homogeneous(data, where={"price": ["1"]})
    with pytest.raises(ValueError, match="unknown field 'x'"):
        homogeneous(data, ["x"])
    one_class = Dataset("t", "x", data.fields, data.train, data.validation, data.test[data.test.label == 1])
    with pytest.raises(ValueError, match="of the test part, without both labels"):
        homogeneous(one_class, where={"user": ["u1"]})


RUNS = [{"rows": rows, "model": model, "seed": seed, "auc": base + 0.001 * seed + wobble * (-1) ** seed}
        for rows, models in {100: {"lr": (0.60, 0), "trees": (0.62, 0), "net": (0.55, 0.001)},
                             300: {"lr": (0.65, 0), "trees": (0.64, 0), "net": (0.65, 0.004)},
                             900: {"lr": (0.66, 0), "trees": (0.70, 0), "net": (0.75, 0.001)}}.items()
        for model, (base, wobble) in models.items() for seed in range(5)]  # fmt: skip


def test_gaps_compare_with_the_best_shallow_model_seed_by_seed():
    table = gaps(RUNS, "net", ("lr", "trees", "absent"))
    assert table["rows"].tolist() == [100, 300, 900] and table["best"].tolist() == ["trees", "lr", "trees"]
    assert table["verdict"].tolist() == ["shallow", "no difference", "deep"] and (table["seeds"] == 5).all()
    expected = interval([0.05 + 0.001 * (-1) ** s for s in range(5)])  # the seeds' own trend cancels in pairs
    assert table.loc[2, ["gap", "low", "high"]].tolist() == pytest.approx(expected)
    assert crossing_point(table) == 900 and crossing_point(table[:2]) is None
    with pytest.raises(ValueError, match="at 100 rows there are only"):
        gaps(RUNS, "absent", ("lr",))


@pytest.mark.parametrize(
    ("low", "found"),
    [
        ([0.1, 0.1, 0.1], 1),
        ([-0.1, 0.1, 0.1], 10),
        ([0.1, 0.1, -0.1], None),
        ([0.1, -0.1, 0.1], 100),
        ([0, 0, 0], None),
    ],
)
def test_a_crossing_must_hold_at_all_larger_sizes(low, found):
    table = pd.DataFrame({"rows": [1, 10, 100], "low": low})
    assert crossing_point(table) == crossing_point(table[::-1]) == found
    assert crossing_point(table.assign(low=float("nan"))) is None


@pytest.mark.slow("runs a benchmark, small")
def test_the_benchmark_tunes_before_its_seeds_and_ends(monkeypatch):
    data = tiny.dataset(400)
    points = [("criteo-sample.click", "rows", n) for n in (200, 100_000, 100_001)]
    monkeypatch.setattr(when_not, "points", lambda: points)
    monkeypatch.setattr(when_not, "made", lambda point, seed: subsample(data, 200, seed))
    monkeypatch.setattr(when_not, "EPOCHS", 1)
    monkeypatch.setattr(when_not, "SEEDS", range(2))
    monkeypatch.setattr(when_not, "FEW_SEEDS", range(1))
    record = {name: [] for name in when_not.LISTS}
    kinds = []
    while jobs := when_not.wanted(record):
        kinds.append({(job[0], job[1][2]) for job in jobs})
        for job in jobs:
            record[job[0]].append(when_not.work(*job))
            record[job[0]].sort(key=when_not.place)
    assert kinds[0] == {("tuning", 200), ("tuning", 100_000)} and kinds[-1] == {("runs", 100_001)}
    assert len(record["tuning"]) == 2 * 5 * 4 and len(record["runs"]) == 5 * (2 + 2 + 1)
    for r in record["runs"]:
        assert r["setting"] == when_not.chosen(record, when_not.point_of(r), r["model"])


def test_every_point_has_all_models_that_fit_it_and_batches_grow():
    for point in when_not.points():
        assert ("mf" in when_not.models_of(point)) == (
            point[0][0] == "m" and point[1] not in ("no ids", "user and film only")
        )
    assert [when_not.batch_size(n) for n in (300, 3_000, 10_000, 242_424)] == [32, 128, 256, 1024]
    assert len(set(when_not.points())) == len(when_not.points()) == 17 + len(when_not.REGIMES)


FILE = RESULTS / "when_not.json"


@pytest.mark.skipif(not FILE.exists(), reason="the benchmark has not run")
def test_stored_runs_have_the_seeds_they_should():
    record = read_json(FILE)
    for r in record["runs"]:
        assert when_not.point_of(r) in when_not.points() and r["seed"] in when_not.seeds_of(when_not.point_of(r))
        assert r["model"] in when_not.models_of(when_not.point_of(r)) and 0 < r["auc"] < 1
        assert r["setting"] == when_not.chosen(record, when_not.point_of(r), r["model"])
        assert not r["asked"] or r["rows"] == r["asked"]
    keys = [(*when_not.point_of(r), r["model"], r["seed"]) for r in record["runs"]]
    assert len(set(keys)) == len(keys)
