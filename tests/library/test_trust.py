"""No silent wrong answer: ids of other types, rows that do not fit, other data under an old name, metrics undefined."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pandas as pd
import pytest
import tiny
import torch
from small import of_pairs

from recsys_lite import store
from recsys_lite.data import table
from recsys_lite.evaluation import evaluate, per_user, predict
from recsys_lite.fields import Dataset, Field, HashedVocabulary, Rows, Vocabulary
from recsys_lite.models import FM
from recsys_lite.training import fit, fit_in_steps, seed_everything

NAN = float("nan")


@pytest.mark.parametrize(
    ("values", "raw", "rows"),
    [
        (["7", "x", ""], [7, 7.0, "7", "7.0", NAN, None, " x "], [2, 2, 2, 2, 1, 1, 3]),
        (["007"], ["7", 7], [0, 0]),  # text stays text: a code is no number
        (np.array([1, 2, 3]), np.array([2.7, 2.0, NAN]), [0, 2, 0]),
        (np.array([1, 2, 3]), ["x", "2", "3.0", ""], [0, 2, 3, 0]),
        (np.array([1, 2, 3], dtype=np.int8), [2**40 + 2, -(2**70), 3], [0, 0, 3]),
        (np.array([5, 9148955329465708066]), ["9148955329465708066"], [2]),
        (np.array([1, 2**40]), np.array([2**32 + 1, 2**40, 2**63], dtype=np.uint64), [0, 2, 0]),
        (np.array([1, 7], dtype=np.uint64), [7, -1], [2, 0]),
        (np.array([0.1, 0.2]), ["0.1", 0.2, "x"], [1, 2, 0]),
        (np.array([0.1, 0.2]), np.array([2], dtype=np.int64), [0]),
        (["a", "b"], np.array([["a", "c"], ["b", "a"]]), [[1, 0], [2, 1]]),
    ],
)
def test_equal_values_are_equal_ids_whatever_their_type(values, raw, rows):
    assert Vocabulary(values).encode(raw).tolist() == rows


def test_a_hash_does_not_hang_on_the_type():
    assert len({int(HashedVocabulary(1000).encode([value])[0]) for value in (7, 7.0, "7")}) == 1


@pytest.mark.parametrize("row", [-1, 4, 99])
def test_only_rows_are_decoded(row):
    with pytest.raises(ValueError, match=f"no row {row}; rows are numbered from 0 to 3"):
        Vocabulary(["a", "b", "c"]).decode(row)


def test_a_set_is_encoded_as_in_training():
    text = "tags,n,label\n" + "".join(f"{'p|p|q' if k == 1 else 'r'},{k},{k % 2}\n" for k in range(240))
    data = table.read_csv(text.encode(), {"tags": "bag", "n": "numeric", "label": "label"}, split="file", min_count=1)
    assert data.encode({"tags": ["p", "p", "q"], "n": 0.0}).bags["tags"].tolist() == data.train[1].bags["tags"].tolist()


def changed(**parts: object) -> Dataset:
    return dataclasses.replace(tiny.dataset(), train=dataclasses.replace(tiny.rows(30), **parts))


def spoilt(tensor, value, place=(4, 0)):
    tensor = tensor.clone()
    tensor[place] = value
    return tensor


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (lambda r: {"ids": spoilt(r.ids, 99)}, r"train, row 4: 'user' holds 99, expected numbers from 0 to"),
        (lambda r: {"ids": spoilt(r.ids, -1)}, r"train, row 4: 'user' holds -1"),
        (lambda r: {"ids": r.ids.float()}, "ids is torch.float32, expected whole numbers"),
        (lambda r: {"bags": r.bags | {"genres": spoilt(r.bags["genres"], -2)}}, r"row 4: 'genres' holds \[-2"),
        (lambda r: {"bags": r.bags | {"history": r.bags["history"][:9]}}, "history has 9 rows, ids have 30"),
        (lambda r: {"label": torch.cat([r.label, r.label])}, "label has 60 rows, ids have 30"),
        (lambda r: {"label": r.label.long()}, "label is torch.int64, expected torch.float32"),
        (lambda r: {"numeric": r.numeric.double()}, "numeric is torch.float64, expected torch.float32"),
        (lambda r: {"numeric": spoilt(r.numeric, math.inf)}, "row 4: the number of 'price' is inf"),
        (lambda r: {"group": torch.zeros(3, dtype=torch.int32)}, "group has 3 rows, ids have 30"),
    ],
)
def test_rows_that_do_not_fit_their_fields_are_named(parts, message):
    with pytest.raises(ValueError, match=message):
        changed(**parts(tiny.rows(30)))


def test_metrics_that_are_not_defined_are_left_out():
    assert set(evaluate([1, 1], [0.9, 0.8])) == {"log_loss"}
    assert set(evaluate([1, 0, 1], [0.9, 0.8, 0.1], [0, 1, 2])) == {"auc", "log_loss", "normalized_entropy"}
    data = tiny.dataset()
    none = dataclasses.replace(data, test=data.test[:0])
    assert fit(FM(tiny.FIELDS), none, epochs=1, progress=False).test == {}
    one = dataclasses.replace(data, validation=dataclasses.replace(data.validation, label=data.validation.label * 0))
    assert set(fit(FM(tiny.FIELDS), one, epochs=1, progress=False).validation) == {"log_loss"}
    with pytest.raises(ValueError, match="'auc', or one that the validation part does not define"):
        fit_in_steps(FM(tiny.FIELDS), one, monitor="auc")  # before an epoch was trained
    assert predict(FM(tiny.FIELDS), data.test[:0]).shape == (0,)


def signed(sign: int) -> Dataset:
    g = np.random.default_rng(0)
    x = g.normal(size=300)
    frame = pd.DataFrame({"x": x.round(3), "z": 1.0, "label": (sign * x > 0).astype(int)})
    frame.loc[::2, "z"] = 0.0
    return table.read_csv(frame.to_csv(index=False).encode(), {"x": "numeric", "z": "numeric", "label": "label"})


def test_a_checkpoint_of_other_rows_is_refused(tmp_path):
    run = lambda d: fit(FM(d.fields, dim=2), d, epochs=1, progress=False, checkpoint=tmp_path / "run")  # noqa: E731
    run(signed(1))
    with pytest.raises(ValueError, match="another run: the rows of 'table' differ"):
        run(signed(-1))
    assert run(signed(1)).curve  # the same rows go on
    record = json.loads((tmp_path / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps({k: v for k, v in record.items() if k != "data"}))
    with pytest.raises(ValueError, match="no checkpoint of this version"):
        run(signed(1))


@pytest.mark.parametrize("neighbour", ["run*", "run.epoch-long", "run.epoch1"])
def test_a_checkpoint_leaves_its_neighbours_alone(tmp_path, neighbour):
    for name in (neighbour, "run", neighbour):
        fit(FM(tiny.FIELDS), tiny.dataset(), epochs=1, progress=False, checkpoint=tmp_path / name)
        fit(FM(tiny.FIELDS), tiny.dataset(), epochs=2, progress=False, checkpoint=tmp_path / name)
    for name in (neighbour, "run"):
        kept = json.loads((tmp_path / f"{name}.json").read_text())["tensors"]
        assert (tmp_path / kept).exists()


def test_weights_of_other_scales_are_refused(tmp_path):
    data = signed(1)
    store.save_model(FM(data.fields, dim=2), tmp_path / "m")
    assert isinstance(store.load_model(tmp_path / "m", data.fields), FM)
    moved = [dataclasses.replace(f, scale=(f.scale[0] + 20, f.scale[1])) for f in data.fields]
    with pytest.raises(ValueError, match="trained on other fields"):
        store.load_model(tmp_path / "m", moved)


@pytest.mark.parametrize(
    "change",
    [
        lambda r: {k: v for k, v in r.items() if k != "model"},
        lambda r: {k: v for k, v in r.items() if k != "config"},
        lambda r: {k: v for k, v in r.items() if k != "fields"},
        lambda r: r | {"config": r["config"] | {"new": 1}},
        lambda r: [1],
    ],
)
def test_a_record_of_another_version_is_named(tmp_path, change):
    store.save_model(FM(tiny.FIELDS), tmp_path / "m")
    record = json.loads((tmp_path / "m.json").read_text())
    (tmp_path / "m.json").write_text(json.dumps(change(record)))
    with pytest.raises(ValueError, match=r"m(\.json)?: (not a record of save_model|written by another version)"):
        store.load_model(tmp_path / "m", tiny.FIELDS)


def test_numbers_as_numpy_gives_them(tmp_path):
    seed_everything(np.int64(3))
    one, two = np.int64(1), np.int64(16)
    options = {"epochs": one, "batch_size": two, "lr": np.float32(0.01), "seed": np.int64(1732960000123456789)}
    result = fit(FM(tiny.FIELDS, dim=np.int64(4)), tiny.dataset(), progress=False, checkpoint=tmp_path / "a", **options)
    assert type(result.settings["lr"]) is float and type(result.seed) is int
    store.save_model(FM(tiny.FIELDS, dim=np.int64(4)), tmp_path / "m", auc=np.float64(0.5))
    assert store.load_model(tmp_path / "m", tiny.FIELDS).config["dim"] == 4


def test_nothing_is_left_of_a_model_that_cannot_be_saved(tmp_path):
    with pytest.raises(TypeError, match="JSON has no form for object"):
        store.save_model(FM(tiny.FIELDS), tmp_path / "m", about_it=object())
    assert not list(tmp_path.iterdir())


def test_items_that_a_user_already_has_are_not_asked_for():
    train = torch.tensor([[0, 0], [1, 1], [2, 2]])
    test = torch.tensor([[0, 0], [0, 3], [1, 3], [2, 2]])  # users 0 and 2 meet an item again
    data = of_pairs(train, [[0, 1]], test, users=3, items=4)

    class Oracle:
        def scores(self, users):
            return torch.tensor([0.0, 0.0, 0.0, 1.0]).expand(len(users), -1)

    found = per_user(Oracle(), data)
    assert found[["user", "items", "recall", "ndcg"]].to_numpy().tolist() == [[0, 1, 1, 1], [1, 1, 1, 1]]


def test_a_field_tells_its_scale():
    mean, sd = signed(1).extras["numeric"]["x"]
    assert signed(1).field("x").scale == (mean, sd) and Field("n", "numeric").scale is None
    assert Rows(torch.zeros(1, 0), torch.zeros(1, 1)).numeric.shape == (1, 1)
