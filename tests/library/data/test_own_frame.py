"""A DataFrame of one's own is the same data set as its CSV file, whatever the types of its columns."""

import datetime
import decimal
import gzip
import time
from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch

from recsys_lite.data import table
from recsys_lite.data.table_text import as_cells, read
from recsys_lite.fields import Dataset, Field, Rows, TableError, Vocabulary

SCHEMA = {"item": "categorical", "x": "numeric", "tags": "bag", "label": "label"}
G = np.random.default_rng(0)
PLAIN = pd.DataFrame(
    {
        "item": G.integers(1, 9, 400), "x": G.normal(size=400).round(3),
        "tags": [["a", "b"], ["a"], [], ["c", "a"]] * 100, "label": G.integers(0, 2, 400),
    }
)  # fmt: skip
HOLES = PLAIN.assign(item=PLAIN["item"].where(PLAIN.index % 7 > 0), x=PLAIN["x"].where(PLAIN.index % 9 > 0))


def same(a: Dataset, b: Dataset) -> bool:
    tensors = lambda d: [t for p in (d.train, d.test) for t in (p.ids, p.numeric, p.label, *p.bags.values())]  # noqa: E731
    known = lambda d: [list(f.vocabulary.values) if f.vocabulary else f.scale for f in d.fields]  # noqa: E731
    return known(a) == known(b) and all(map(torch.equal, tensors(a), tensors(b)))


def as_csv(frame: pd.DataFrame) -> Dataset:
    text = frame.assign(
        item=[("" if pd.isna(v) else str(int(v))) for v in frame["item"]],
        tags=["|".join(t) for t in frame["tags"]],
    )
    return table.read_csv(text.to_csv(index=False).encode(), SCHEMA)


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f,  # ids that a hole made float
        lambda f: f.assign(item=f["item"].astype("Int64"), x=f["x"].astype("Float64")),
        lambda f: f.assign(item=f["item"].astype("Int64").astype("category")),
        lambda f: f.assign(item=f["item"].astype(object).where(f["item"].notna(), None)),
        lambda f: f.assign(item=f["item"].astype("Int64").astype("string"), x=f["x"].astype(object)),
        lambda f: f.assign(tags=[set(t) for t in f["tags"]]).assign(tags=f["tags"]),
        lambda f: f.assign(tags=["|".join(t) or None for t in f["tags"]]),
        lambda f: f.assign(tags=[np.array(t) for t in f["tags"]]),
        lambda f: f.assign(label=f["label"].astype(float)),
        lambda f: f.set_index(pd.Index([5] * len(f))),  # labels of rows that repeat
        lambda f: f.assign(x=[None if pd.isna(v) else decimal.Decimal(str(v)) for v in f["x"]]),
    ],
)
def test_types_of_columns_change_nothing(change):
    assert same(table.encode(change(HOLES), SCHEMA), as_csv(HOLES))


def test_bools_and_moments_are_text():
    cells = as_cells(
        pd.DataFrame(
            {
                "b": [True, False, None],
                "day": pd.to_datetime(["2024-05-31 00:00", None, "2024-06-01 17:30"]),
                "date": [datetime.date(2024, 5, 31), pd.NaT, None],
                5: pd.Series([0.1, np.nan, 7], dtype="float32"),
                "c": pd.Categorical([1.0, None, 2.0]),
            }
        )
    )
    assert cells.to_dict("list") == {
        "b": ["True", "False", ""], "day": ["2024-05-31", "", "2024-06-01 17:30:00"], "date": ["2024-05-31", "", ""],
        "5": ["0.1", "", "7"], "c": ["1", "", "2"],
    }  # fmt: skip
    flags = PLAIN.assign(label=PLAIN["label"] == 1)
    assert table.encode(flags, SCHEMA, split="file").train.label.tolist() == PLAIN["label"][:240].tolist()
    days = PLAIN.assign(day=pd.date_range("2024-01-01", periods=400)[::-1])
    assert table.guess(days)["day"] == "leave out"
    late = table.encode(days, SCHEMA, split="time", time="day")
    assert late.test.label.tolist() == PLAIN["label"][::-1][320:].tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"item": [{"a": 1}] + [1] * 399}, "row 0, column 'item': expected one value or a list, got"),
        ({"item": [b"x"] + [1] * 399}, "row 0, column 'item': expected one value or a list"),
        ({"tags": [["a"], ["b|c"]] + [[]] * 398}, r"row 1, column 'tags': the value 'b\|c' holds '\|'"),
        ({"x": [1.0] * 399 + [np.inf]}, "row 399, column 'x': 'inf' is not a finite number"),
        ({"x": [True] * 400}, "column 'x': the column holds no number; the first cell is 'True'"),
        ({"x": [1.0] * 399 + [1e39]}, "row 399, column 'x': .* is too large; numbers up to 1e"),
    ],
)
def test_cells_that_have_no_text_are_named(change, message):
    with pytest.raises(TableError, match=message):
        table.encode(PLAIN.assign(**change), SCHEMA)


def test_names_of_columns_are_checked():
    with pytest.raises(ValueError, match="2 columns are called 'x'"):
        table.guess(PLAIN.rename(columns={"item": "x"}))
    with pytest.raises(ValueError, match="expected column names of one part"):
        table.guess(pd.DataFrame({("a", "b"): [1]}))
    with pytest.raises(ValueError, match="expected a DataFrame, got dict"):
        table.encode({"a": [1]}, {"a": "label"})


def test_numbers_are_scaled_whatever_their_size():
    for unit, shift in product((1e-200, 1e-30, 1.0, 1e25), (0.0, 3.0)):
        x = np.array([1.0, 2.0] * 200) * unit + shift * unit
        data = table.encode(PLAIN.assign(x=x), SCHEMA, split="file")
        assert data.train.numeric[:4, 0].tolist() == pytest.approx([-1, 1, -1, 1])
        assert data.field("x").scale == pytest.approx(((1.5 + shift) * unit, 0.5 * unit))
    with pytest.raises(TableError, match="row 399, column 'x': 1 is too far from the training part's mean"):
        table.encode(PLAIN.assign(x=[1e-200, 2e-200] * 199 + [1e-200, 1.0]), SCHEMA, split="file")


def test_numbers_beyond_float32_are_refused_in_records():
    rows = Rows(torch.zeros(2, 0, dtype=torch.int32), torch.zeros(2, 1), {}, torch.zeros(2))
    data = Dataset("d", "t", (Field("n", "numeric"),), rows, rows, rows)
    with pytest.raises(ValueError, match="record 0, field 'n': 1e\\+39"):
        data.encode({"n": 1e39})


def test_one_empty_time_is_one_finding():
    times = [str(978300000 + k) for k in range(400)]
    said = lambda times: [  # noqa: E731
        str(f) for f in table.check(PLAIN.assign(t=times), {"x": "numeric", "label": "label"}, "t")
    ]
    assert said([*times[:300], "", *times[301:]]) == ["row 300, column 't': the time is empty"]
    assert said([*times[:300], "soon", *times[301:]]) == [
        "row 300, column 't': 'soon' is no time; write numbers, as most cells of the column are"
    ]
    days = [f"2024-01-{1 + k % 28:02d}" for k in range(400)]
    assert said([*days[:300], "17", *days[301:]]) == [
        "row 300, column 't': '17' is no time; write dates as 2024-05-31 or 2024-05-31 17:30"
    ]


def test_times_in_nanoseconds_keep_their_order():
    t = 1_700_000_000_000_000_000 + np.arange(400)[::-1]
    data = table.encode(PLAIN.assign(t=t), SCHEMA, split="time", time="t")
    assert data.train.label.tolist() == PLAIN["label"][::-1][:240].tolist()


def test_ids_are_no_numbers():
    n = 5000
    frame = pd.DataFrame({"label": G.integers(0, 2, n), "age": G.integers(10, 90, n), "sold": G.integers(0, 900, n)})
    ids = ("user_id", "movieId", "ITEM", "id", "zip code", "productID", "uid", "store")
    frame = frame.assign(**{name: G.integers(1, 900, n) for name in ids}, paid=G.integers(0, 9, n) / 7)
    kinds = table.guess(frame)
    assert {name: kinds[name] for name in ids} == dict.fromkeys(ids, "categorical")
    assert kinds["age"] == kinds["paid"] == kinds["sold"] == "numeric"
    asked = [f.column for f in table.remarks(frame, {**kinds, "id": "numeric"})]
    assert sorted(asked) == ["id", "sold"]  # 900 whole numbers may be codes, 80 ages are none


def test_a_long_cell_is_read_in_linear_time():
    started = time.process_time()
    for cell in ("9" * 100_000 + "x", "9" * 50_000 + "." + "9" * 50_000 + "e", "." * 100_000):
        frame = read(f"{cell},y\n1,0\n{cell},1\n".encode())
        assert table.guess(frame)
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("values", "raw", "rows"),
    [
        ([True, False], [2, 0.5, "x", 1, "True", None], [0, 0, 0, 2, 2, 0]),
        (["a", None], ["a", None, float("nan"), pd.NA, pd.NaT], [2, 1, 1, 1, 1]),
        (["a", ""], ["a", float("nan")], [2, 1]),  # NumPy alone makes the text "nan" of it
        (["7.0", "8.0"], [7, "8", 7.0], [1, 2, 1]),  # ids that pandas wrote as float
        (np.array([16777216.0, 0.1], np.float32), [16777217, 0.1, 16777216], [0, 1, 2]),
        ([2.0**53], [2**53 + 1, 2**53], [0, 1]),
        ([2**53 + 1, 2**53], [float(2**53), 2**53 + 1], [1, 2]),
        ([0.5, 10.0], ["1_0", "٠.٥", " 0.5"], [0, 0, 1]),
        (pd.to_datetime(["2024-05-31", "2024-06-01"]), ["2024-06-01", pd.Timestamp("2024-05-31")], [2, 1]),
    ],
)
def test_no_type_is_taken_for_another(values, raw, rows):
    assert Vocabulary(values).encode(raw).tolist() == rows


def test_a_vocabulary_holds_no_nan():
    with pytest.raises(ValueError, match="a value is NaN or infinite"):
        Vocabulary([1.0, float("nan")])


def test_ratings_become_a_label_at_a_threshold():
    rated = PLAIN.assign(label=G.integers(1, 6, 400))
    data = table.encode(rated, SCHEMA, split="file", threshold=4)
    assert data.train.label.tolist() == (rated["label"][:240] >= 4).astype(float).tolist()
    assert data.about["label"] == "1 = label is at least 4"
    halves = table.encode(rated.assign(label=rated["label"] / 2), SCHEMA, split="file", threshold=2)
    assert halves.train.label.tolist() == data.train.label.tolist()
    with pytest.raises(TableError, match="row 3, column 'label': expected a number, got 'good'"):
        table.encode(rated.assign(label=[1, 2, 3, "good", *[5] * 396]), SCHEMA, threshold=4)
    with pytest.raises(TableError, match="row 0, column 'label': the label is empty"):
        table.encode(rated.assign(label=[None, *rated["label"][1:]]), SCHEMA, threshold=4)
    with pytest.raises(ValueError, match="expected a number, and no positive value"):
        table.encode(rated, SCHEMA, threshold=4, positive="5")


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("packed", [False, True])
def test_every_separator_header_or_not_compressed_or_not(separator, packed, tmp_path):
    text = PLAIN.assign(tags=["+".join(t) for t in PLAIN["tags"]])
    want = table.encode(PLAIN, SCHEMA)
    for header in (True, False):
        raw = text.to_csv(index=False, sep=separator, header=header).encode()
        file = tmp_path / f"mine.csv{'.gz' * packed}"
        file.write_bytes(gzip.compress(raw) if packed else raw)
        names = [] if header else list(PLAIN)
        got = table.read_csv(file, SCHEMA, names=names, bag_separator={"tags": "+"})
        assert same(got, want) and got.name == "mine" and got.field("tags").separator == "+"
    assert table.guess(read(raw, names=list(PLAIN)), "+")["tags"] == "bag"
    with pytest.raises(ValueError, match="that of column 'item' is empty"):
        table.encode(PLAIN, SCHEMA, bag_separator="")


def test_a_packed_file_is_measured_unpacked_and_named_if_damaged():
    packed = gzip.compress(b"a,b\n" + b"1,2\n" * 100_000)
    with pytest.raises(TableError, match=r"at most 0\.1 MB are taken"):
        read(packed, limits=table.Limits(0.1, 10**6, 9))
    with pytest.raises(TableError, match="the compressed file is damaged or cut off"):
        read(packed[:-20])
    assert len(read(packed)) == 100_000
