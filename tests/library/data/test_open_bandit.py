"""The Open Bandit loader: the sample, the published folder layout, and every damaged thing named."""

import numpy as np
import pytest

from recsys_lite.data import fetch
from recsys_lite.data import open_bandit as ob
from recsys_lite.models import PAL, LogisticRegression

ITEMS = ",item_id,item_feature_0,item_feature_1,item_feature_2,item_feature_3\n0,0,-0.5,aa,bb,cc\n1,1,0.25,ab,bb,cd\n"
HEADER = (
    ",timestamp,item_id,position,click,propensity_score,user_feature_0,user_feature_1,user_feature_2,"
    "user_feature_3,user-item_affinity_0,user-item_affinity_1"
)
LINES = [
    f"{k},2019-11-24 00:00:{59 - k:02d}.5+00:00,{k % 2},{k % 3 + 1},{int(k == 4)},0.5,u{k % 2},v,w,x,{k % 3}.0,0.0"
    for k in range(30)
]


def write(folder, items=ITEMS, header=HEADER, lines=LINES, policy="random", campaign="men"):
    place = folder / policy / campaign
    place.mkdir(parents=True, exist_ok=True)
    (place / "item_context.csv").write_bytes(items.encode("latin-1"))
    (place / f"{campaign}.csv").write_bytes("\n".join([header, *lines, ""]).encode("latin-1"))
    return folder


def changed(line, column, value):
    lines = [x.split(",") for x in LINES]
    lines[line - 2][HEADER.split(",").index(column)] = value
    return [",".join(x) for x in lines]


def test_the_published_layout_is_read_in_the_order_of_time(tmp_path):
    bandit = ob.load("random", "men", write(tmp_path))
    assert (bandit.policy, bandit.campaign, bandit.source) == ("random", "men", f"folder {tmp_path.name}")
    assert list(bandit.log.columns) == ob.LOG and len(bandit.log) == 30
    assert bandit.log["timestamp"].is_monotonic_increasing and bandit.log["item_id"].iloc[0] == 29 % 2
    assert bandit.affinity.shape == (30, 2) and bandit.affinity[0, 0] == 29 % 3
    assert bandit.items["item_feature_0"].tolist() == [-0.5, 0.25] and bandit.items["item_feature_3"][1] == "cd"
    assert bandit.log["click"].sum() == 1 and bandit.log["click"].dtype.kind == "i"


def test_windows_line_ends_and_chunks_change_nothing(tmp_path, monkeypatch):
    whole = ob.load("random", "men", write(tmp_path))
    monkeypatch.setattr(ob, "CHUNK", 7)
    again = ob.load("random", "men", write(tmp_path, lines=[line + "\r" for line in LINES], header=HEADER + "\r"))
    assert again.log.equals(whole.log) and (again.affinity == whole.affinity).all()
    with pytest.raises(ValueError, match="line 25, column click"):
        ob.load("random", "men", write(tmp_path, lines=changed(25, "click", "2")))


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("timestamp", "yesterday", "got 'yesterday', expected a time"),
        ("item_id", "2", r"got '2', expected a whole number in \[0, 1\]"),
        ("item_id", "0.5", "got '0.5', expected a whole number"),
        ("position", "0", r"got '0', expected a whole number in \[1, 3\]"),
        ("position", "4", r"in \[1, 3\]"),
        ("click", "yes", "got 'yes', expected a whole number"),
        ("propensity_score", "0", "got '0', expected a chance above 0"),
        ("propensity_score", "1.5", r"expected a number in \[0, 1\]"),
        ("propensity_score", "nan", "got 'nan', expected a number"),
        ("user_feature_2", "", "got nothing, expected a value"),
        ("user-item_affinity_1", "-1", r"expected a number in \[0, inf\]"),
        ("user-item_affinity_0", "inf", "got 'inf', expected a number"),
    ],
)
def test_a_wrong_value_is_named_by_file_line_and_column(tmp_path, column, value, expected):
    write(tmp_path, lines=changed(7, column, value))
    with pytest.raises(ValueError, match=rf"random/men/men\.csv, line 7, column {column}: .*{expected}"):
        ob.load("random", "men", tmp_path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"lines": [*LINES[:3], LINES[3] + ",9", *LINES[4:]]}, "men.csv: Expected 12 fields in line 5, saw 13"),
        ({"lines": [*LINES[:3], "3,2019-11-24", *LINES[4:]]}, "men.csv, line 5, column item_id: got nothing"),
        ({"lines": [line + ",9" for line in LINES]}, "men.csv, line 2: expected 12 columns, got more"),
        ({"lines": []}, "men.csv: holds no rows"),
        ({"header": HEADER.replace("click", "clicks")}, "line 1: expected 'click' as column 5, got 'clicks'"),
        ({"header": HEADER.rsplit(",", 1)[0], "lines": [x.rsplit(",", 1)[0] for x in LINES]},
         "expected 'user-item_affinity_1' as column 12, got nothing"),
        ({"header": HEADER + ",more", "lines": [x + ",1" for x in LINES]}, "expected nothing as column 13, got 'more'"),
        ({"lines": changed(9, "user_feature_0", "\xff")}, "men.csv: not a text in UTF-8"),
        ({"items": ""}, "item_context.csv: No columns to parse"),
        ({"items": ITEMS.replace("1,1,0.25", "1,0,0.25")}, "item_context.csv, line 3: item_id 0 occurs twice"),
        ({"items": ITEMS.replace("1,1,0.25", "1,5,0.25")}, "item_context.csv, line 3, column item_id: got '5'"),
        ({"items": ITEMS.replace("0.25", "dear")}, "line 3, column item_feature_0: got 'dear', expected a number"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_named(tmp_path, damage, message):
    with pytest.raises(ValueError, match=message):
        ob.load("random", "men", write(tmp_path, **damage))


def test_unknown_names_and_missing_files_are_named(tmp_path):
    with pytest.raises(ValueError, match="unknown policy 'best'; there are"):
        ob.load("best")
    with pytest.raises(ValueError, match="unknown campaign 'shoes'"):
        ob.load("bts", "shoes")
    with pytest.raises(fetch.DataUnavailable, match=r"holds no random/men/men\.csv"):
        ob.load("random", "men", tmp_path)


def test_a_cached_package_of_another_content_counts_as_absent(tmp_path):
    (tmp_path / ob.WHEEL_NAME).write_bytes(b"something else")
    assert ob._cached(tmp_path) is None and ob._cached(tmp_path / "nowhere") is None


def test_no_source_gives_one_error_with_advice(tmp_path, monkeypatch):
    monkeypatch.setenv("RECSYS_LITE_CACHE", str(tmp_path))

    def fails(*_):
        raise OSError("no network")

    monkeypatch.setattr(fetch, "wheel", fails)
    with pytest.raises(fetch.DataUnavailable, match=r"(?s)no network.*research\.zozo\.com"):
        ob.load()


@pytest.fixture(scope="module")
def sample():
    return ob.load("random", "all")


def test_the_sample_is_uniform_at_random(sample):
    assert len(sample.log) == 10_000 and len(sample.items) == 80 and sample.affinity.shape == (10_000, 80)
    assert np.allclose(sample.log["propensity_score"], 1 / 80)
    assert sample.log.groupby("position")["click"].sum().tolist() == [13, 14, 11]
    assert sample.source == f"sample in {ob.WHEEL}"


def test_the_other_policy_has_other_propensities():
    bandit = ob.load("bts", "men")
    assert len(bandit.items) == 34 and bandit.log["propensity_score"].std() > 0.05


def test_rows_for_models_know_their_position_and_split_by_time(sample):
    rows = ob.to_dataset(sample)
    assert [len(p) for p in (rows.train, rows.validation, rows.test)] == [8000, 1000, 1000]
    position = [f.name for f in rows.fields if f.kind == "categorical"].index("position")
    assert (rows.train.ids[:, position].numpy() == sample.log["position"][:8000]).all()
    assert rows.decode(rows.test, 5)["item"] == str(sample.log["item_id"].iloc[9005])
    plain = [f for f in rows.fields if f.name != "position"]
    assert PAL(rows.fields, LogisticRegression(plain))(rows.test).shape == (1000,)
