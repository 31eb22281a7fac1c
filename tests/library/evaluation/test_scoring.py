"""Serving: a new table is encoded as training encoded its own, whatever its form, or refused by row and column."""

import gzip
import io

import numpy as np
import pandas as pd
import pytest
from small import small

import recsys_lite
from recsys_lite import store
from recsys_lite.data import table
from recsys_lite.evaluation import predict, score
from recsys_lite.fields import Encoder, Field, TableError, concatenate
from recsys_lite.models import DLRM, FM, DeepFM, LightGCN, LogisticRegression
from recsys_lite.training import fit, seed_everything

TABLE = table.example(600).replace(b"iced tea", b"007")  # a value that looks like a number, and is none
SCHEMA = {k: v for k, v in table.EXAMPLE.items() if v != "leave out"}
ROW = {"weather": "sunny", "drink": "cocoa", "tags": ["hot", "milk"], "age": 30.0, "weekday": "Mon"}


@pytest.fixture(scope="module")
def data():
    return table.read_csv(TABLE, SCHEMA, split="file")


@pytest.fixture(scope="module")
def model(data):
    seed_everything(0)
    made = DeepFM(data.fields, dim=4, hidden=(8,))
    fit(made, data, epochs=2, progress=False)
    return made


def forms(frame):
    """The same rows as bytes, as compressed ones, as DataFrames of other types and as dicts."""
    raw = frame.to_csv(index=False).encode()
    typed = pd.read_csv(io.BytesIO(raw))
    lists = frame.assign(tags=[[t for t in c.split("|") if t] for c in frame["tags"]])
    return {
        "bytes": raw, "gzip": gzip.compress(raw), "semicolons": frame.to_csv(index=False, sep=";").encode(),
        "text": frame, "typed": typed, "nullable": typed.convert_dtypes(),
        "categories": typed.assign(drink=typed["drink"].astype("category")),
        "index": typed.set_index(pd.Index(range(len(typed), 0, -1))),
        "lists": lists, "dicts": lists.to_dict("records"),
        "None": lists.replace({"": None}).to_dict("records"),
        "another order": typed[typed.columns[::-1]],
    }  # fmt: skip


def test_rows_of_the_table_get_what_their_tensors_get(data, model):
    frame = table.read(TABLE)
    parts = [data.train, data.validation, data.test]
    expected = predict(model, concatenate(parts)).numpy()
    for name, form in forms(frame).items():
        got = score(model, form)
        assert got.dtype == np.float64 and (got == expected).all(), name
    np.testing.assert_allclose(score(model, frame[:7].drop(columns=["taken", "day"])), expected[:7], rtol=1e-6)


def test_a_path(tmp_path, data, model):
    (tmp_path / "new.csv").write_bytes(TABLE)
    (tmp_path / "new.csv.gz").write_bytes(gzip.compress(TABLE))
    for name in ("new.csv", "new.csv.gz"):
        assert (score(model, tmp_path / name) == score(model, TABLE)).all()
        assert (score(model, str(tmp_path / name)) == score(model, TABLE)).all()
    assert table.read_csv(tmp_path / "new.csv.gz", SCHEMA).name == "new"


def test_a_stored_model_needs_nothing_else(tmp_path, data, model):
    store.save_model(model, tmp_path / "m")
    again = recsys_lite.load_model(tmp_path / "m")
    assert (recsys_lite.score(again, TABLE) == score(model, TABLE)).all()
    assert [vars(f).keys() for f in again.fields] == [vars(f).keys() for f in data.fields]
    for a, b in zip(again.fields, data.fields, strict=True):
        assert (a.scale, a.fill, a.length, a.separator) == (b.scale, b.fill, b.length, b.separator)
        assert a.vocabulary is None or list(a.vocabulary.values) == list(b.vocabulary.values)
    record = store.read_json(tmp_path / "m.json")
    for spoilt in ([{"name": "x"}], 7, [{"name": "x", "kind": "categorical", "vocabulary": {}}], None):
        store.write_json(tmp_path / "m.json", record | {"encoder": spoilt})
        with pytest.raises(ValueError, match=r"m\.json: not an encoder of this version|trained on other fields"):
            recsys_lite.load_model(tmp_path / "m")


def test_what_is_new_or_missing_has_its_place(data, model):
    median = float(data.field("age").fill)
    assert median == np.median([float(a) for a in table.read(TABLE)["age"][:360] if a])
    ages = (None, float("nan"), "", pd.NA, median)
    missing = Encoder(data.fields).rows(pd.DataFrame([ROW | {"age": age} for age in ages], dtype=object)).numeric
    assert len(set(missing[:, 0].tolist())) == 1
    encoded = Encoder(data.fields).rows(pd.DataFrame([ROW | {"drink": "water", "tags": ["hot", "new"]}]))
    assert encoded.ids[0, 1] == 0 and sorted(encoded.bags["tags"][0, :2].tolist())[0] == 0
    drinks = pd.DataFrame([ROW | {"drink": drink} for drink in ("007", 7, "7", "water")], dtype=object)
    ids = Encoder(data.fields).rows(drinks).ids[:, 1].tolist()
    assert ids[0] > 0 and ids[1:] == [0, 0, 0]  # a code of figures is text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"age": "old"}, "row 1, column 'age': expected a number, got 'old'"),
        ({"age": float("inf")}, "row 1, column 'age': expected a finite number, got inf"),
        ({"age": "nan"}, "row 1, column 'age': expected a finite number, got 'nan'"),
        ({"age": True}, "row 1, column 'age': expected a number, got True"),
        ({"age": 1e39}, "row 1, column 'age': 1e\\+39 is too large"),
        ({"age": [3]}, "row 1, column 'age': expected"),
        ({"drink": ["tea"]}, r"row 1, column 'drink': expected one value, got \['tea'\]"),
        ({"drink": {"a": 1}}, "row 1, column 'drink': expected one value"),
        ({"drink": b"tea"}, "row 1, column 'drink': expected one value"),
        ({"tags": ["a", "b", "c", "d"]}, "row 1, column 'tags': 4 values, expected at most 3"),
        ({"tags": {"a": 1}}, "row 1, column 'tags': expected a list of values"),
    ],
)
def test_anything_else_is_named_with_row_and_column(model, change, message):
    with pytest.raises(TableError, match=message):
        score(model, [ROW, ROW | change])
    with pytest.raises(TableError, match=message):
        score(model, pd.DataFrame([ROW, ROW | change]).astype(object))


def test_lines_of_a_file_are_named(model):
    lines = TABLE.decode().splitlines()
    at = lines[0].split(",").index("age")
    cells = lines[5].split(",")
    cells[at] = "old"
    with pytest.raises(TableError, match="line 6, column 'age': expected a number, got 'old'"):
        score(model, "\n".join([*lines[:5], ",".join(cells)]).encode())


def test_missing_columns_and_other_things_are_named(model):
    with pytest.raises(TableError, match="row 1, column 'age': there is no value"):
        score(model, [ROW, {k: v for k, v in ROW.items() if k != "age"}])
    with pytest.raises(ValueError, match="there is no column 'age'"):
        score(model, pd.DataFrame([ROW]).drop(columns="age"))
    with pytest.raises(ValueError, match="expected a file, a DataFrame or a list of dicts, got dict"):
        score(model, ROW)
    with pytest.raises(ValueError, match="row 0 is a list, expected a dict"):
        score(model, [[1, 2]])
    with pytest.raises(ValueError, match="LightGCN reads no fields"):
        score(LightGCN(small()), [ROW])
    with pytest.raises(ValueError, match="2 columns are called 'age'"):
        score(model, pd.DataFrame([ROW]).assign(x=1).rename(columns={"x": "age"}))
    log = LogisticRegression([Field("n", "numeric", transform="log(1 + x)")])
    with pytest.raises(ValueError, match=r"field 'n': raw numbers cannot be encoded; the scale of 'log\(1 \+ x\)'"):
        score(log, [{"n": 1}])


def test_no_rows_give_no_numbers(model):
    assert score(model, []).shape == (0,) == score(model, pd.DataFrame(columns=list(ROW))).shape


def test_one_column_is_enough():
    data = table.read_csv(TABLE, {"drink": "categorical", "taken": "label"})
    assert score(FM(data.fields), b"drink\ncocoa\nchai\n").shape == (2,)
    assert score(FM(data.fields), b"cocoa\nchai\n", names=["drink"]).shape == (2,)


def test_a_column_without_a_number_in_training_stays_zero():
    lines = ["n,c,label"] + [f"{k if k >= 150 else ''},{'ab'[k % 2]},{k // 3 % 2}" for k in range(200)]
    data = table.read_csv(
        "\n".join(lines).encode(), {"n": "numeric", "c": "categorical", "label": "label"}, split="file"
    )
    assert (data.test.numeric == 0).all()
    model = DLRM(data.fields)
    assert len(set(score(model, [{"n": n, "c": "a"} for n in (None, 7, "160")]))) == 1
