"""Embedding tables in fewer bits: what is rounded, what it takes, and the stored measurement."""

import numpy as np
import pytest
import tiny
import torch
from torch.testing import assert_close

import bench.cost.quantise as bench
from recsys_lite import store
from recsys_lite.evaluation import auc, predict
from recsys_lite.models import FM, LogisticRegression
from recsys_lite.retrieval.quantise import BITS, quantised, rounded, shared, table_bytes, tables
from recsys_lite.store import RESULTS, read_json


def test_int8_by_hand():
    table = torch.tensor([[1.27, -0.634, 0.0], [0.0, 0.0, 0.0], [-12.7, 0.04, 0.06]])
    # scales 0.01, 0 and 0.1; -63.4 -> -63, 0.4 -> 0, 0.6 -> 1
    assert_close(rounded(table, "int8"), torch.tensor([[1.27, -0.63, 0.0], [0.0, 0.0, 0.0], [-12.7, 0.0, 0.1]]))


def test_int4_has_seven_levels_on_each_side_of_zero():
    row = torch.linspace(-1, 1, 1001)[None]
    assert sorted(set((rounded(row, "int4") * 7).round().int()[0].tolist())) == list(range(-7, 8))


@pytest.mark.parametrize(("kind", "levels"), [("int8", 127), ("int4", 7)])
def test_no_number_is_off_by_more_than_half_a_step_of_its_own_row(kind, levels):
    torch.manual_seed(0)
    table = torch.randn(200, 16) * torch.logspace(-6, 3, 200)[:, None]
    step = table.abs().amax(1, keepdim=True) / levels
    off = (rounded(table, kind) - table).abs() / step
    assert 0.45 < off.max() <= 0.5 + 1e-4


def test_floats_round_to_the_nearest():
    # 1 + 2^-9: float16 has 10 bits behind the point and keeps it, bfloat16 has 7 and does not
    table = torch.tensor([[1 + 2**-9, 1e30]])
    assert rounded(table, "float32").equal(table)
    assert rounded(table, "bfloat16")[0, 0] == 1 and rounded(table, "bfloat16")[0, 1] == pytest.approx(1e30, rel=2**-8)
    assert rounded(table[:, :1], "float16").equal(table[:, :1])
    with pytest.raises(ValueError, match=r"float16 cannot hold 1e\+30"):
        rounded(table, "float16")


def test_linear_terms_share_one_scale():
    terms = torch.tensor([[0.7], [-0.26], [0.04]])  # a scale of 0.1: 7, -2.6 -> -3, 0.4 -> 0
    assert_close(rounded(terms, "int4"), torch.tensor([[0.7], [-0.3], [0.0]]))
    assert rounded(terms[:1], "int4").equal(terms[:1])


@pytest.mark.parametrize(
    ("table", "kind", "said"),
    [
        (torch.ones(2, 2), "int2", "unknown number format 'int2'; known: float32"),
        (torch.ones(4), "int8", r"expected a table \(V, d\), got shape \(4,\)"),
        (torch.ones(0, 4), "int8", r"got shape \(0, 4\)"),
        (torch.tensor([[1.0, float("nan")]]), "int8", "NaN or infinite"),
    ],
)
def test_what_cannot_be_rounded_is_refused(table, kind, said):
    with pytest.raises(ValueError, match=said):
        rounded(table, kind)


def test_only_the_tables_of_a_copy_change():
    model = tiny.filled(FM(tiny.FIELDS, dim=4)).eval()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    small = quantised(model, "int4")
    assert all(v.equal(before[k]) for k, v in model.state_dict().items())
    changed = {k for k, v in small.state_dict().items() if not v.equal(before[k])}
    assert (
        changed
        == {f"{name}.table.weight" for name in tables(model)}
        == {"weights.table.weight", "embedding.table.weight"}
    )
    assert_close(small.embedding.table.weight, rounded(model.embedding.table.weight, "int4"))
    rows = tiny.rows(50)
    with torch.no_grad():
        assert quantised(model, "float32")(rows).equal(model(rows))
        coarse, fine = (float((quantised(model, kind)(rows) - model(rows)).abs().mean()) for kind in ("int4", "int8"))
    assert 0 < fine < coarse / 5
    with pytest.raises(ValueError, match="Linear has no embedding table"):
        quantised(torch.nn.Linear(2, 2), "int8")


def test_bytes_by_hand():
    assert [table_bytes(10, 6, kind) for kind in BITS] == [240, 120, 120, 100, 70]
    assert table_bytes(10, 5, "int4") == 10 * (3 + 4)  # five halves of a byte fill three
    assert table_bytes(10, 1, "int8") == 14 and table_bytes(9, 1, "int4") == 5 + 4 and table_bytes(10, 1) == 40
    assert table_bytes(10, 6, buckets=4) == 96 and table_bytes(10, 6, buckets=40) == 240
    for wrong in ({"values": 0, "dim": 6}, {"values": 1, "dim": 0}, {"values": 1, "dim": 1, "buckets": 0}):
        with pytest.raises(ValueError, match="must be at least 1, got 0"):
            table_bytes(**wrong)


def test_the_share_of_values_that_share_a_row_is_what_hashing_gives():
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 300, (200, 500))
    own = np.mean([(np.bincount(r, minlength=300) == 1).sum() / 500 for r in rows])
    assert shared(500, 300) == pytest.approx(1 - own, abs=0.005)
    assert shared(7, 1) == 1
    with pytest.raises(ValueError, match="needs at least 1 value"):
        shared(5, 0)


def test_the_benchmark_compares_with_float32_on_the_same_rows():
    dataset = tiny.dataset()
    model = tiny.filled(LogisticRegression(tiny.FIELDS)).eval()
    lines = bench.compared(model, dataset, "logistic_regression", samples=50)
    assert [line["format"] for line in lines] == list(BITS)
    assert lines[0]["difference"] == lines[0]["low"] == lines[0]["high"] == 0
    y = dataset.test.label
    for line in lines:
        own = auc(y, predict(quantised(model, line["format"]), dataset.test))
        assert line["auc"] == pytest.approx(own) and line["difference"] == pytest.approx(own - lines[0]["auc"])
        assert line["low"] <= line["high"]
        assert line["bytes"] == table_bytes(*tables(model)["weights"].shape, line["format"])
    assert lines[-1]["difference"] != 0
    held = sum(v * d for v, d in lines[0]["tables"])
    assert held + lines[0]["other weights"] == sum(p.numel() for p in model.parameters())


def test_the_stored_file_is_complete_and_can_be_made_again(criteo):
    record = read_json(bench.FILE)
    assert bench.FILE == RESULTS / "quantise.json"
    wanted = [(*where, m, kind) for where in bench.DATASETS for m in bench.MODELS for kind in BITS]
    assert [(r["dataset"], r["task"], r["model"], r["format"]) for r in record["runs"]] == wanted
    stored = [r for r in record["runs"] if (r["dataset"], r["model"]) == ("criteo-sample", "dlrm")]
    model = store.load_model(store.weights_path("criteo-sample", "click", "dlrm"), criteo.fields)
    for old, new in zip(stored, bench.compared(model, criteo, "dlrm"), strict=True):
        assert old.keys() == new.keys() and old["bytes"] == new["bytes"] and old["tables"] == new["tables"]
        for key in ("auc", "difference", "low", "high"):
            assert old[key] == pytest.approx(new[key], abs=2e-5)
    assert record["about"]["data_sha256"]["criteo-sample.click"] == criteo.about["data_sha256"]
