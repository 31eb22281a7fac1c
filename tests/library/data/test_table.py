"""A reader's own table: reading, what is wrong with it in words, and the data set that it becomes."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from recsys_lite.data import table
from recsys_lite.data.table import Limits, TableError, check, encode, guess, label_values, read, read_csv
from recsys_lite.data.table_schema import SHOWN


def refused(data, *given):
    with pytest.raises(TableError) as error:
        read(data, *given)
    return [str(f) for f in error.value.findings]


def frame(rows=200, **columns):
    """A table whose label is 0, 1, 0, 1, …, and columns that are given by their first cells, then empty."""
    made = {"y": [str(k % 2) for k in range(rows)], "c": ["a", "b"] * (rows // 2)}
    made |= {name: [*cells, *[""] * (rows - len(cells))] for name, cells in columns.items()}
    return pd.DataFrame(made, dtype=str, index=pd.Index(range(2, rows + 2), name="line"))


def said(cells, kind):
    given = frame(x=cells)
    return [str(f) for f in check(given, {"y": "label", "c": "categorical", "x": kind}) if f.column == "x"]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_separators_line_ends_and_the_byte_order_mark_are_recognised(separator, mark, end):
    lines = [["café", "n"], [" é ", "1"], ["", "2.5"]]
    data = mark + end.join(separator.join(line) for line in lines).encode()
    made = read(data)
    assert list(made) == ["café", "n"] and made.to_numpy().tolist() == [["é", "1"], ["", "2.5"]]
    assert made.index.tolist() == [2, 3]
    pd.testing.assert_frame_equal(made, read(data, separator))


def test_lines_are_those_of_the_file_with_quotes_and_empty_lines():
    made = read(b'\na,"b,c"\n\n1,"x\ny"\n2,"say ""z"", please"\n,\n')
    assert list(made) == ["a", "b,c"]
    assert made.to_dict("index") == {
        4: {"a": "1", "b,c": "x\ny"}, 6: {"a": "2", "b,c": 'say "z", please'}, 7: {"a": "", "b,c": ""},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"\xef\xbb\xbf \n\n", "the file is empty"),
        (b"a,b\n1,2\n3,\xe4\n", "line 3: byte 11 of the file (0xe4) is not UTF-8; save the file as CSV in UTF-8"),
        (b"\xef\xbb\xbfa,b\n\xff", "line 2: byte 8 of the file (0xff) is not UTF-8; save the file as CSV in UTF-8"),
        (b"a,b\n1,\0", "line 2: a byte 0: this is no text file; save it as CSV in UTF-8"),
        (b"a\n1\n", "line 1: only one column, 'a'; the columns should be separated by commas"),
        (b"1,2\n3,4\n", "line 1: only numbers; the first line should name the columns"),
        (b"a,b\n\n", "line 1: there is a header, but no row below it"),
        (b'a,b\n1,2\n3,"4\n5,6\n', "line 3: a quotation mark is not closed, or text follows the closing one"),
        (b'a,b\n1,"2"x\n', "line 2: a quotation mark is not closed, or text follows the closing one"),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_words(data, message):
    assert refused(data) == [message]


def test_all_that_is_wrong_with_header_and_rows_is_said_at_once():
    assert refused(b"a,b,,a\n1,2,3,4\n1,2\n\n1,2,3,4,5\n1\n") == [
        "line 1: column 3 has no name",
        "line 1: the name 'a' stands on columns 1 and 4",
        "line 3: 2 cells, but the header has 4",
        "line 5: 5 cells, but the header has 4",
        "line 6: 1 cell, but the header has 4",
    ]


def test_a_message_lists_ten_and_counts_the_rest():
    with pytest.raises(TableError) as error:
        read(b"a,b\n" + b"1\n" * 14)
    lines = str(error.value).split("\n")
    assert lines[0] == "14 things are wrong:" and lines[10] == "line 11: 1 cell, but the header has 2"
    assert lines[11:] == ["and 4 more"] and isinstance(error.value, ValueError)


def test_limits_are_kept_and_named():
    limits = Limits(megabytes=0.00003, rows=2, columns=3)
    assert str(limits) == "3e-05 MB, 2 rows and 3 columns"
    assert len(read(b"a,b,c\n1,2,3\n1,2,3\n", "", limits)) == 2
    assert refused(b"a,b\n" + b"1,2\n" * 3, "", limits) == ["more than 2 rows; at most these are taken"]
    assert refused(b"a,b,c,d\n1,2,3,4\n", "", limits) == ["line 1: 4 columns; at most 3 are taken"]
    assert refused(b"a,b\n" + b"1,2\n" * 9, "", limits) == ["the file has 0.0 MB; at most 3e-05 MB are taken"]
    assert len(read(b"a,b\n" + b"1,2\n" * 9)) == 9
    with pytest.raises(ValueError, match="separator must be one of"):
        read(b"a,b\n1,2", ":")


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("abc", "'abc' is not a number"),
        ("1_000", "'1_000' is not a number"),
        ("0x10", "'0x10' is not a number"),
        ("3,5", "'3,5' is not a number; write the decimal comma as a point"),
        ("nan", "'nan' is not a finite number; leave the cell empty where the number is not known"),
        ("-Inf", "'-Inf' is not a finite number; leave the cell empty where the number is not known"),
        ("1e400", "'1e400' is too large; numbers up to 1e+30 are taken"),
        ("-2e30", "'-2e30' is too large; numbers up to 1e+30 are taken"),
        ("x" * 50, f"'{'x' * 40}…' is not a number"),
    ],
)
def test_a_cell_that_is_no_number_is_named(cell, message):
    assert said(["1", " .5".strip(), "+2.e3", cell], "numeric") == [f"line 5, column 'x': {message}"]


def test_many_wrong_cells_of_a_column_are_counted():
    found = said(["1", *["?"] * (SHOWN + 3)], "numeric")
    assert found[0] == "line 3, column 'x': '?' is not a number" and len(found) == SHOWN + 1
    assert found[-1] == "line 13, column 'x': this and 2 more of this kind"
    assert said(["1", *["?"] * (SHOWN + 1)], "numeric")[-1] == "line 13, column 'x': one more of this kind"
    assert said(["Paris"], "numeric") == ["column 'x': the column holds no number; the first cell is 'Paris'"]
    assert said([], "numeric") == ["column 'x': the column holds no number: all cells are empty"]
    assert said(["|".join("a" * 51), "|".join("a" * 50)], "bag") == [
        "line 2, column 'x': more than 50 values: '" + "a|" * 20 + "…'"
    ]


def labels(cells):
    given = pd.DataFrame({"y": cells, "c": "a"}, dtype=str, index=pd.Index(range(2, len(cells) + 2), name="line"))
    return [str(f) for f in check(given, {"y": "label", "c": "categorical"})]


def test_a_label_needs_two_values_often_enough():
    assert labels(["0", "1"] * 100) == []
    assert labels(["1"] * 200) == ["column 'y': the column holds only '1'; a label needs two values"]
    assert labels([""] * 5 + ["no", "yes"] * 100) == [f"line {k}, column 'y': the label is empty" for k in range(2, 7)]
    assert labels(["no", "yes"] * 100 + ["maybe"]) == [
        "line 202, column 'y': 'maybe' is neither of the label's two values, 'no' and 'yes'"
    ]
    assert labels(["a", "b", "c", "d", "e"] * 40) == ["column 'y': 5 values ('a', 'b', 'c', 'd', …); a label has two"]
    assert labels(["0"] * 191 + ["1"] * 9) == ["column 'y': '1' occurs 9 times; at least 10 are needed"]
    assert labels(["0", "1"] * 50) == ["100 rows; at least 200 are needed"]


def test_a_schema_needs_one_label_and_something_to_read():
    given = frame()
    assert [str(f) for f in check(given, {"y": "leave out", "c": "categorical"})] == [
        "no column is the label; one must be"
    ]
    assert [str(f) for f in check(given, {"y": "label", "c": "label"})] == [
        "2 columns are labels ('y', 'c'); one must be", "no column is left for the models to read",
    ]  # fmt: skip
    with pytest.raises(ValueError, match="there is no column 'z'; there are \\['y', 'c'\\]"):
        check(given, {"z": "label"})
    with pytest.raises(ValueError, match="column 'c' has the unknown kind 'text'; there are"):
        check(given, {"c": "text"})


def test_what_should_be_known_is_remarked():
    given = frame(x=[str(k) for k in range(195)], same=["s"] * 200, n=["1"] * 199, gap=["u", "v"] * 95)
    kinds = {"x": "categorical", "same": "categorical", "n": "numeric", "gap": "categorical", "y": "label"}
    assert [str(f) for f in table.remarks(given, kinds)] == [
        "column 'x': 195 different values in 195 rows, like a number of the row: leave it out?",
        "column 'x': 5 empty cells taken as one more value, 'missing'",
        "column 'same': the same value in every row: nothing to learn from",
        "column 'n': 1 empty cell taken as the median of the training part",
        "column 'gap': 10 empty cells taken as one more value, 'missing'",
    ]
    assert table.remarks(given, {"x": "leave out", "y": "label"}) == []


def test_kinds_are_guessed_and_wrong_cells_looked_past():
    n = 200
    given = frame(
        id=[f"r{k}" for k in range(n)], number=[str(k) for k in range(n)], age=[str(20 + k % 50) for k in range(n)],
        price=[f"{k % 30}.5" for k in range(n)], hour=[str(k % 20) for k in range(n)],
        city=["Rome", "Oslo", "Bern", "Nice"] * 50, day=[f"2024-01-{1 + k % 28:02d}" for k in range(n)],
        tags=["a|b", "a"] * 100, same=["s"] * n, nothing=[],
    )  # fmt: skip
    given.loc[5, "age"] = given.loc[9, "price"] = "?"
    given.loc[7, "day"] = "soon"
    assert guess(given) == {
        "y": "label", "c": "categorical", "id": "leave out", "number": "leave out", "age": "numeric",
        "price": "numeric", "hour": "categorical", "city": "categorical", "day": "leave out", "tags": "bag",
        "same": "leave out", "nothing": "leave out",
    }  # fmt: skip
    assert guess(given.rename(columns={"y": "seen"}).assign(Clicked=["no", "yes"] * 100))["Clicked"] == "label"
    assert guess(given[["c", "city"]].assign(z=["u", "v"] * 100))["z"] == "label"  # the last of two values
    given.loc[4, "y"] = "2"
    assert guess(given)["y"] == "label"


def test_numbers_and_categories_are_encoded_with_what_training_knows():
    given = frame(
        x=["1", "", "4"], city=["Rome", "Rome", "Oslo", "Oslo", "once"], tags=["b|a|b", " a | ", "", "a", "b|new"]
    )
    given.loc[200:, "x"] = "1000"
    given.loc[200:, "city"] = "Nice"
    data = encode(given, {"y": "label", "x": "numeric", "city": "categorical", "tags": "bag"}, split="file")
    assert (len(data.train), len(data.validation), len(data.test)) == (120, 40, 40)
    known = np.array([1, 2.5, 4] + [2.5] * 117)  # 2.5 is the median of 1 and 4
    assert_allclose(data.train.numeric[:, 0], (known - known.mean()) / known.std(), rtol=1e-5, atol=1e-6)
    assert data.extras["numeric"]["x"] == pytest.approx((known.mean(), known.std()))
    assert_allclose(data.test.numeric[-1, 0], (1000 - known.mean()) / known.std(), rtol=1e-5)
    cities = data.field("city").vocabulary
    assert cities.values.tolist() == ["", "Oslo", "Rome"] and cities.label(1) == "missing"
    assert data.train.ids[:6, 0].tolist() == [3, 3, 2, 2, 0, 1]  # "once" is too rare
    assert data.test.ids[-2:, 0].tolist() == [0, 0]  # "Nice" was never shown
    assert data.field("tags").vocabulary.values.tolist() == ["a", "b"] and data.field("tags").length == 2
    assert data.train.bags["tags"][:5].tolist() == [[2, 1], [1, -1], [-1, -1], [1, -1], [2, 0]]
    assert data.train.label[:4].tolist() == [0, 1, 0, 1] and data.task == "y" and (data.train.group == -1).all()


def test_every_value_is_kept_with_a_count_of_one():
    data = encode(frame(city=["Rome", "Oslo"]), {"y": "label", "city": "categorical"}, split="file", min_count=1)
    assert data.field("city").vocabulary.values.tolist() == ["", "Oslo", "Rome"]


def test_a_constant_number_and_one_that_training_lacks_become_zero():
    given = frame(same=["0.1"] * 200, late=[])
    given.loc[200:, "late"] = "7"
    data = encode(given, {"y": "label", "same": "numeric", "late": "numeric"}, split="file")
    assert_allclose(data.train.numeric, 0, atol=1e-6)
    assert (data.test.numeric[:, 1] == 0).all() and data.extras["numeric"]["late"] == (0.0, 1.0)


def test_a_split_by_time_puts_the_latest_rows_last_and_keeps_the_order_of_equal_times():
    days = [f"2024-{12 - k // 20:02d}-01" for k in range(200)]  # ten months, the latest first
    given = frame(row=[str(k) for k in range(200)], day=days)
    data = encode(given, {"y": "label", "row": "numeric"}, split="time", time="day")
    mean, sd = data.extras["numeric"]["row"]
    number = lambda rows: (rows.numeric[:, 0] * sd + mean).round().int().tolist()  # noqa: E731
    expected = [20 * month + k for month in range(9, -1, -1) for k in range(20)]
    assert number(data.train) + number(data.validation) + number(data.test) == expected
    assert data.about["split"] == "in the order of a column of time, day"
    given.loc[9, "day"] = "yesterday"
    with pytest.raises(TableError, match="line 9, column 'day': 'yesterday' is no time; write dates as 2024-05-31"):
        encode(given, {"y": "label", "row": "numeric"}, split="time", time="day")


def test_times_may_be_numbers():
    assert table.moments(pd.Series(["10", "9.5", "-1"])).tolist() == [10, 9.5, -1]
    assert table.moments(pd.Series(["2024-01-02", "2024-01-01 17:30", "no"])).isna().tolist() == [False, False, True]


def test_a_split_by_chance_follows_its_seed_and_loses_no_row():
    given = frame(row=[str(k) for k in range(200)])
    runs = [encode(given, {"y": "label", "row": "categorical"}, seed=s, min_count=1) for s in (3, 3, 4)]

    def rows(data):
        vocabulary = data.field("row").vocabulary
        return [vocabulary.decode(int(i)) for i in data.train.ids[:, 0]]

    assert rows(runs[0]) == rows(runs[1]) != rows(runs[2])
    order = np.random.default_rng(3).permutation(200)
    assert rows(runs[0]) == [str(k) for k in order[:120]]
    assert runs[0].test.label.tolist() == [k % 2 for k in order[160:]]


def test_the_value_that_counts_as_one_can_be_chosen():
    for cells, expected in (
        ("1 0", ["0", "1"]),
        ("1 -1", ["-1", "1"]),
        ("10 9", ["9", "10"]),
        ("Yes no", ["no", "Yes"]),
    ):
        assert label_values(pd.Series(cells.split())) == expected
    given = frame().assign(y=["no", "yes"] * 100)
    schema = {"y": "label", "c": "categorical"}
    assert encode(given, schema, split="file").train.label[:2].tolist() == [0, 1]
    assert encode(given, schema, split="file", positive="no").train.label[:2].tolist() == [1, 0]
    with pytest.raises(ValueError, match="there is no value 'maybe'; there are \\['no', 'yes'\\]"):
        encode(given, schema, positive="maybe")


def test_a_part_with_one_class_is_refused():
    given = frame().assign(y=["0", "1"] * 80 + ["0"] * 40)
    with pytest.raises(TableError, match=r"0 of 40 rows of the test part have label 1; .* try the split by chance"):
        encode(given, {"y": "label", "c": "categorical"}, split="file")
    assert encode(given, {"y": "label", "c": "categorical"}).test.label.sum() > 2


@pytest.mark.parametrize("given", [{"split": "half"}, {"split": "time"}, {"split": "file", "time": "c"}])
def test_an_unknown_split_is_refused(given):
    with pytest.raises(ValueError, match="split must be one of"):
        encode(frame(), {"y": "label", "c": "categorical"}, **given)


def test_a_file_and_its_bytes_make_the_same_data_set(tmp_path):
    (tmp_path / "cafe.csv").write_bytes(table.example())
    a, b = read_csv(tmp_path / "cafe.csv", table.EXAMPLE, seed=1), read_csv(table.example(), table.EXAMPLE, seed=1)
    assert a.name == "cafe" and (a.test.ids == b.test.ids).all() and (a.test.numeric == b.test.numeric).all()


def test_the_example_is_what_it_says():
    given = read(table.example())
    assert guess(given) == table.EXAMPLE and check(given, table.EXAMPLE) == []
    assert given["day"].is_monotonic_increasing
    taken = (given["taken"] == "1").astype(float)
    cold, warm = given["tags"].str.contains("cold"), given["weather"].isin(["sunny", "cloudy"])
    known = given["weather"] != ""
    for one in (cold, warm):  # neither tells much alone
        assert abs(taken[known & one].mean() - taken[known & ~one].mean()) < 0.06
    fits = cold == warm
    assert taken[known & fits].mean() - taken[known & ~fits].mean() > 0.4
