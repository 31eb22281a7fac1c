"""libfm files: what stands in them comes back, the errors name file and line."""

import pytest

from recsys_lite import data

TRAIN = "1 0:1 5:1 9:1\r\n-1 1:1 5:1 9:1\r\n-1 0:1 6:1.0 9:1 \r\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "made.train.libfm").write_bytes(TRAIN.encode())
    (tmp_path / "made.validation.libfm").write_text("1 1:1 6:1 9:1\n0 2:1 5:1 9:1\n")
    (tmp_path / "made.test.libfm").write_text("-1 1:1 7:1 9:1\n1 0:1 5:1 10:1\n")
    (tmp_path / "README.txt").write_text("what these are")
    return tmp_path


def test_what_stands_there_comes_back(folder):
    d = data.load("libfm", path=folder)
    assert [(f.name, f.kind, f.size) for f in d.fields] == [
        (f"x{k}", "categorical", n) for k, n in ((1, 3), (2, 3), (3, 2))
    ]
    assert d.train.ids.tolist() == [[1, 1, 1], [2, 1, 1], [1, 2, 1]] and d.train.label.tolist() == [1, 0, 0]
    assert d.validation.ids.tolist() == [[2, 2, 1], [0, 1, 1]] and d.validation.label.tolist() == [1, 0]
    assert d.test.ids.tolist() == [[2, 0, 1], [1, 1, 0]] and d.test.group.tolist() == [-1, -1]
    assert d.decode(d.train, 2) == {"x1": "0", "x2": "6", "x3": "9"}
    assert d.about["rows"] == "3 train, 2 validation, 2 test" and (d.name, d.task) == ("libfm", "click")


def test_names_and_users(folder):
    for part in ("train", "validation", "test"):  # without a name before the part
        (folder / f"made.{part}.libfm").rename(folder / f"{part}.libfm")
    d = data.load("libfm", path=folder, names=["item", "user", "city"])
    assert [f.name for f in d.fields] == ["item", "user", "city"]
    assert d.train.group.tolist() == [5, 5, 6] and d.test.group.tolist() == [7, 5]
    for names in (["user", "item"], ["a", "a", "b"]):
        with pytest.raises(ValueError, match="expected 3 different names"):
            data.load("libfm", path=folder, names=names)


@pytest.mark.parametrize(
    ("part", "text", "message"),
    [
        ("train", "", "made.train.libfm is empty"),
        ("test", "1\n-1\n", "made.test.libfm holds no features"),
        ("train", "1 0:1 5:1 9:1\n2 0:1 5:1 9:1\n", "made.train.libfm, line 2: the label is '2', expected 1, -1 or 0"),
        ("train", "1 0:1 5:1 9:1\n\n", "made.train.libfm, line 2: the label is '', expected"),
        ("validation", "1 0:1 5:1 9:1\n1 0:1 5:1\n", "made.validation.libfm, line 2: got 2 features, line 1 has 3"),
        ("test", "1 0:1 5:1\n", "made.test.libfm, line 1: got 2 features, made.train.libfm has 3"),
        ("train", "1 0:1 5:0.5 9:1\n", "made.train.libfm, line 1: got '5:0.5', expected index:1"),
        ("train", "1 0:1 5:1 9\n", "made.train.libfm, line 1: got '9', expected index:1"),
        ("train", "1 0:1 -5:1 9:1\n", "made.train.libfm, line 1: got '-5:1', expected index:1"),
        ("train", "1 0:1 \u00e9:1 9:1\n", "line 1: got '.+:1', expected index:1"),
        ("train", "1 0:1 5:1 9:1\n1 5:1 0:1 9:1\n", "line 2: index 0 is feature 2 of the line, and feature 1"),
        ("test", "1 5:1 0:1 9:1\n", "test.libfm, line 1: index 5 is feature 1 of the line, and feature 2"),
    ],
)  # fmt: skip
def test_damaged_files_are_named(folder, part, text, message):
    (folder / f"made.{part}.libfm").write_text(text)
    with pytest.raises(ValueError, match=message):
        data.load("libfm", path=folder)


def test_missing_files_are_named(folder, tmp_path):
    with pytest.raises(ValueError, match="libfm: give the folder"):
        data.load("libfm")
    with pytest.raises(ValueError, match="libfm: unknown task 'like'"):
        data.load("libfm", task="like", path=folder)
    with pytest.raises(data.DataUnavailable, match=r"is no folder with a train\.libfm"):
        data.load("libfm", path=tmp_path / "nowhere")
    (folder / "other.test.libfm").write_text("1 0:1 5:1 9:1\n")
    with pytest.raises(ValueError, match=r"holds 2 files of the test part: made\.test\.libfm, other\.test\.libfm"):
        data.load("libfm", path=folder)
    (folder / "made.validation.libfm").unlink()
    with pytest.raises(data.DataUnavailable, match=r"holds no validation\.libfm"):
        data.load("libfm", path=folder)
