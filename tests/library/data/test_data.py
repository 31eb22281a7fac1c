"""MovieLens and Criteo: known answers on files written by hand, promises on the real ones, errors with their place."""

import gzip
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from recsys_lite import data
from recsys_lite.data import criteo as criteo_module
from recsys_lite.data import movielens as movielens_module
from recsys_lite.data import movielens_files
from recsys_lite.evaluation import counter_auc
from recsys_lite.fields import PADDING

PARTS = ("train", "validation", "test")
DATA_HASH = "91841c96b6a374e6fbfef749dcb093be215366e0fbc3724195eb06901e28458f"
NEGATIVES_HASH = (
    "a6ebd1f45b899b4c5f333f8dfebe0f5d848cd65e93e779c8556674ace5e3f570"  # of seed 0: the rows behind the stored results
)


@pytest.fixture
def folder(tmp_path):
    """An ml-100k folder with two people and six films; the second rates two films at the same second."""
    ratings = [(1, i, 5 if i % 2 else 2, 100 * i) for i in range(1, 6)]
    ratings += [(2, 6, 4, 50), (2, 3, 4, 50), (2, 1, 1, 70), (2, 2, 3, 90)]
    (tmp_path / "u.data").write_text("".join(f"{u}\t{i}\t{r}\t{t}\n" for u, i, r, t in ratings))
    (tmp_path / "u.user").write_text("1|24|M|technician|85711\n2|56|F|other|94043\n")
    flags = ["|".join("1" if g in (k, 0 if k == 6 else k + 1) else "0" for g in range(19)) for k in range(1, 7)]
    titles = ["Toy (1995)", "Café (1994)", "Odd (V)", "A (B) (1990)", "E (1991)", "F (1992)"]
    text = "".join(f"{k}|{t}|01-Jan-1995||http|{f}\n" for k, (t, f) in enumerate(zip(titles, flags, strict=True), 1))
    (tmp_path / "u.item").write_text(text, encoding="latin-1")
    return tmp_path


def decode(dataset, part):
    return [dataset.decode(part, i) | {"label": part.label[i].item()} for i in range(len(part))]


def test_like_by_hand(folder):
    d = data.load("movielens-100k", task="like", path=folder, history=2)
    test, validation = decode(d, d.test), decode(d, d.validation)
    assert [(r["user"], r["label"]) for r in test] == [("1", 1.0), ("2", 0.0)]  # film 5 rated 5; film 2 rated 3
    assert [r["user"] for r in validation] == ["1", "2"]
    train = decode(d, d.train)
    assert [r["item"] for r in train] == ["1", "2", "3", "3", "6"]  # each user's by time; a tie by film number
    assert train[0]["history"] == [] and train[2]["history"] == ["2", "1"]
    assert train[3]["history"] == train[4]["history"] == []  # the same second is not before
    assert test[0]["history"] == ["<unseen>", "3"]  # film 4 is in the validation part: unseen in training
    assert train[1]["release_year"] == "1994" and train[3]["release_year"] == "unknown"
    assert (
        train[0]["age"] == "18-24"
        and train[3]["age"] == "56+"
        and train[0]["hour"] == "00"
        and train[0]["weekday"] == "Thu"
    )
    assert train[1]["genres"] == ["Adventure", "Animation"] and d.field("item").vocabulary.label(2) == "Café (1994)"


def test_click_by_hand(folder):
    d = data.load("movielens-100k", path=folder)
    rated = {"1": {"1", "2", "3", "4", "5"}, "2": {"6", "3", "1", "2"}}
    for part in PARTS:
        for k, row in enumerate(decode(d, getattr(d, part))):
            assert row["label"] == (k % 3 == 0)
            if row["label"] == 0 and row["item"] != "<unseen>":
                assert row["item"] not in rated[row["user"]]


@pytest.mark.slow("draws all negatives again")
def test_negatives_were_never_rated_and_are_reproducible(movielens):
    raw = movielens_module.read_raw()
    rated = set(zip(raw.ratings["user"], raw.ratings["item"], strict=True))
    user, item = movielens.field("user").vocabulary, movielens.field("item").vocabulary
    for part in PARTS:
        rows = getattr(movielens, part)
        negative = rows.ids[(rows.label == 0) & (rows.ids[:, 1] > 0)]
        pairs = {(user.decode(u), item.decode(i)) for u, i in negative[:, :2].tolist()}
        assert not pairs & rated
    again, other = data.load("movielens-100k"), data.load("movielens-100k", seed=1)
    assert again.about["negatives_sha256"] == movielens.about["negatives_sha256"] != other.about["negatives_sha256"]
    assert torch.equal(again.test.ids, movielens.test.ids) and not torch.equal(other.test.ids, movielens.test.ids)


def test_movielens_counts_add_up(movielens):
    like = data.load("movielens-100k", task="like")
    assert sum(len(getattr(like, p)) for p in PARTS) == 100_000
    assert sum(len(getattr(movielens, p)) for p in PARTS) == 300_000
    for p in PARTS:
        assert getattr(movielens, p).label.mean().item() == pytest.approx(1 / 3)
        assert len(getattr(movielens, p).group.unique()) == 943
    assert [f.kind for f in movielens.fields].count("multi_hot") == 1
    assert movielens.field("history").table == "item" and len(movielens.extras["items"]) == 1682


def test_each_part_is_later_and_history_is_strictly_before():
    raw = movielens_module.read_raw()
    events = movielens_module.ordered(raw)
    by = events.groupby(["u", "part"])["timestamp"].agg(["min", "max"]).unstack()
    assert (by["max"][0] <= by["min"][1]).all() and (by["max"][1] <= by["min"][2]).all()
    past = movielens_module._past(events, 10)
    time, user = events["timestamp"].to_numpy(), events["u"].to_numpy()
    rows, places = np.nonzero(past >= 0)
    assert (time[past[rows, places]] < time[rows]).all() and (user[past[rows, places]] == user[rows]).all()
    for row in range(0, len(events), 997):  # against the plain definition
        before = np.flatnonzero((user == user[row]) & (time < time[row]))[::-1][:10]
        assert past[row][past[row] >= 0].tolist() == before.tolist()


def test_no_vocabulary_holds_what_only_later_parts_show(movielens):
    for column, field in enumerate(f for f in movielens.fields if f.kind == "categorical"):
        if field.name in ("hour", "weekday"):
            continue
        assert set(movielens.train.ids[:, column].tolist()) == set(range(1, field.size)), field.name
    like = data.load("movielens-100k", task="like")
    assert set(like.train.ids[:, 1].tolist()) == set(range(1, like.field("item").size))
    assert (like.test.ids[:, 1] == 0).any()  # films that training never showed


def test_no_training_row_trains_the_row_of_unseen_values(movielens):
    """A film drawn as a negative has been seen: otherwise all of them would teach the reserved row "not clicked"."""
    assert (movielens.train.ids > 0).all() and all((bag != 0).all() for bag in movielens.train.bags.values())


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("u.data", "", "u.data is empty"),
        ("u.data", "1\t1\t5\t7\n1\t1\t5\n", r"u.data, row 2: expected 4 columns \(user, item, rating, .*got 3"),
        ("u.data", "1\t1\t5\t7\t9\n", "u.data, row 1: expected 4 columns .*got 5"),
        ("u.data", "1\t1\tgood\t5\n", "u.data, row 1: rating is 'good', expected a whole number in 1..5"),
        ("u.data", "1\t1\tnan\t5\n", "u.data, row 1: rating is 'nan'"),
        ("u.data", "1\t1\t3.5\t5\n", "u.data, row 1: rating is '3.5'"),
        ("u.data", "1\t1\t9\t5\n", "u.data, row 1: rating is '9', expected a whole number in 1..5"),
        ("u.data", "1\t1\t3\t\n", "u.data, row 1: timestamp is ''"),
        ("u.data", "7\t1\t3\t5\n", "u.data: user '7' is not in u.user"),
        ("u.user", "1|old|M|x|0\n2|3|F|x|0\n", "u.user, row 1: age is 'old'"),
        ("u.user", "1|3|M|x|0\nb|3|F|x|0\n", "u.user, row 2: user is 'b'"),
        ("u.user", "1|3|M|x|0\n1|3|F|x|0\n", "u.user: user '1' occurs twice"),
        ("u.item", "1|T (1990)|d||u|" + "|".join("2" * 19) + "\n", "u.item, row 1: unknown is '2', expected 0 or 1"),
    ],
)
def test_damaged_movielens_files_are_named(folder, file, text, message):
    (folder / file).write_text(text)
    with pytest.raises(ValueError, match=message):
        data.load("movielens-100k", path=folder)


def test_all_sources_give_the_same_data_set(folder):
    """The mirror's form of the hand-written folder: UTF-8, a header, years and genres apart."""
    official = movielens_files.read_raw(folder)
    head = {"inter": "user_id\titem_id\trating\ttimestamp", "user": "user_id\tage\tgender\toccupation\tzip_code"}
    files = {
        "inter": head["inter"] + "\n" + (folder / "u.data").read_text(),
        "user": head["user"] + "\n" + (folder / "u.user").read_text().replace("|", "\t"),
        "item": "item_id\tmovie_title\trelease_year\tclass\n"
        + "".join(f"{i}\t{t}\t{y}\t{' '.join(g)}\n" for i, t, y, g in official.items.itertuples()),
    }
    mirror = movielens_files.parse_mirror({kind: text.encode() for kind, text in files.items()})
    assert official.items.loc["2", "title"] == mirror.items.loc["2", "title"] == "Café"
    for a, b in zip(official[:3], mirror[:3], strict=True):
        pd.testing.assert_frame_equal(a, b)
    assert official.sha256() == mirror.sha256() and official.source != mirror.source


def test_the_folder_may_be_named_in_the_environment(folder, monkeypatch):
    monkeypatch.setenv("RECSYS_LITE_ML100K", str(folder))
    assert data.load("movielens-100k").about["source"] == f"folder {folder.name}"


def test_a_user_who_rated_everything_has_no_negatives(folder):
    (folder / "u.data").write_text("".join(f"1\t{i}\t3\t{i}\n" for i in range(1, 7)))
    with pytest.raises(ValueError, match="user number 1 has all but 0 items"):
        data.load("movielens-100k", path=folder)


def test_the_real_titles_and_hash(movielens):
    label = movielens.extras["items"]["title"]
    assert label["543"] == "Misérables, Les" and label["50"] == "Star Wars" and label["267"] == "unknown"
    assert not label.str.contains("Ã").any()
    assert movielens.about["data_sha256"] == DATA_HASH and movielens.about["negatives_sha256"] == NEGATIVES_HASH


def test_a_real_row_comes_back_as_it_went_in(movielens, criteo):
    for d in (movielens, criteo):
        for i in range(0, len(d.test), 501):
            again = d.encode(d.decode(d.test, i))
            assert torch.equal(again.ids, d.test.ids[[i]]) and torch.allclose(again.numeric, d.test.numeric[[i]])
            assert all(torch.equal(again.bags[n], d.test.bags[n][[i]]) for n in again.bags)


def test_a_folder_without_the_files_is_named(tmp_path):
    with pytest.raises(data.DataUnavailable, match=r"holds no u\.data; expected an unzipped ml-100k folder"):
        data.load("movielens-100k", path=tmp_path)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"name": "netflix"}, "unknown data set 'netflix'; there are"),
        ({"name": "movielens-100k", "task": "love"}, "unknown task 'love'"),
        ({"name": "movielens-100k", "history": 0}, "history must be at least 1"),
        ({"name": "criteo-sample", "task": "like"}, "unknown task 'like'"),
        ({"name": "criteo"}, "give the challenge's train.txt as path="),
        ({"name": "criteo", "path": "/nowhere/train.txt"}, "/nowhere/train.txt does not exist"),
        ({"name": "criteo", "path": "/"}, "/ is not a file"),
        (
            {"name": "criteo-sample", "path": "/nowhere/train.txt"},
            "criteo-sample lies in the package and takes no path",
        ),
    ],
)
def test_wrong_calls_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        data.load(**call)


# --- Criteo ----------------------------------------------------------------------------------------------------------


def line(label="0", counts=None, categories=None):
    counts = counts or ["1"] * 13
    return "\t".join([label, *counts, *(categories or ["68fd1e64"] * 26)]) + "\n"


def test_criteo_by_hand(tmp_path):
    lines = [
        line(str(k % 2), [str(k)] + [""] * 12, ["aaaaaaaa" if k < 6 else "bbbbbbbb"] + [""] * 25) for k in range(20)
    ]
    (tmp_path / "t.txt").write_text("".join(lines))
    d = data.load("criteo", path=tmp_path / "t.txt")
    assert [len(getattr(d, p)) for p in PARTS] == [16, 2, 2]
    x = np.log1p(np.arange(20.0))
    expected = (x - x[:16].mean()) / x[:16].std()
    got = torch.cat([d.train.numeric, d.validation.numeric, d.test.numeric])
    np.testing.assert_allclose(got[:, 0], expected, rtol=1e-5)
    assert got[:, 1:].abs().max() == 0  # missing counts are the mean
    c1 = d.field("C1").vocabulary
    assert len(c1) == 3 and c1.decode(d.test.ids[0, 0]) == "bbbbbbbb"
    assert d.field("C2").vocabulary.label(int(d.test.ids[0, 1])) == "missing"


def test_rare_and_unseen_categories_share_the_reserved_row(tmp_path):
    names = ["aaaaaaaa"] * 10 + ["0000000b"] + ["aaaaaaaa"] * 5 + ["cccccccc"] * 4  # b once in training, c never
    (tmp_path / "t.txt").write_text("".join(line(categories=[n] * 26, label=str(k % 2)) for k, n in enumerate(names)))
    d = data.load("criteo", path=tmp_path / "t.txt")
    assert d.field("C3").size == 2 and d.train.ids[10, 2] == 0 and (d.test.ids == 0).all()


def test_log_transform_keeps_sign_and_zero_and_comes_back():
    x = np.array([-3.0, -1.0, 0.0, 5.0, 1e6])
    np.testing.assert_allclose(criteo_module.log_transform(x), [-np.log(4), -np.log(2), 0, np.log(6), np.log1p(1e6)])
    for raw in x:
        assert criteo_module.unscale(criteo_module.scale(raw, 1.5, 0.7), 1.5, 0.7) == pytest.approx(raw)
    assert criteo_module.scale(None, 1.5, 0.7) == criteo_module.scale(float("nan"), 1.5, 0.7) == 0.0


def test_the_sample_is_whole_and_in_order(criteo):
    raw = pd.read_csv(criteo_module.SAMPLE, sep="\t", header=None)
    label = torch.cat([getattr(criteo, p).label for p in PARTS])
    assert label.tolist() == raw[0].tolist() and label.mean().item() == pytest.approx(0.2182)
    mean, sd = criteo.extras["numeric"]["I2"]  # I2 has negatives
    expected = [criteo_module.scale(v, mean, sd) for v in raw[2][:50]]
    np.testing.assert_allclose(criteo.train.numeric[:50, 1], expected, rtol=1e-4, atol=1e-5)
    assert (raw[2] < 0).any() and criteo.train.numeric.isfinite().all()


def test_gzip_and_pieces_give_the_same_rows(tmp_path, criteo, monkeypatch):
    packed = tmp_path / "t.txt.gz"
    packed.write_bytes(gzip.compress(criteo_module.SAMPLE.read_bytes()))
    monkeypatch.setattr(criteo_module, "CHUNK", 777)
    again = data.load("criteo", path=packed)
    for part in PARTS:
        assert torch.equal(getattr(again, part).ids, getattr(criteo, part).ids)
        torch.testing.assert_close(getattr(again, part).numeric, getattr(criteo, part).numeric)


MEASURE = """
import resource, sys
from recsys_lite import data
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
data.criteo.CHUNK = 10_000
data.load("criteo", path=sys.argv[1])
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base) / 1024)
"""


@pytest.mark.slow("reads a large file in processes of its own")
def test_memory_follows_the_tensors_and_not_the_text(tmp_path):
    """300,000 rows: 48 MB of tensors, 76 MB of text, which as Python strings is over 600 MB."""
    text = criteo_module.SAMPLE.read_text()
    with open(tmp_path / "big.txt", "w") as out:
        for _ in range(30):
            out.write(text)
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, tmp_path / "big.txt"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert float(run.stdout) < 3 * 48


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "bad.txt is empty"),
        (line() * 3, "bad.txt has 3 rows; at least 10 are needed"),
        ("1\t2\t3\n" * 12, "bad.txt, row 1: expected 40 tab-separated columns, got 3"),
        (line() * 11 + "0\t1\n", "bad.txt, row 12: expected 40 tab-separated columns, got 2"),
        (line() * 11 + line().rstrip() + "\textra\n", "bad.txt, row 12: expected 40 tab-separated columns, got 41"),
        (line() * 11 + line("2"), "bad.txt, row 12, column label: expected 0 or 1, got '2'"),
        (line() * 11 + line(""), "bad.txt, row 12, column label: expected 0 or 1, got ''"),
        (line() * 11 + line("nan"), "bad.txt, row 12, column label: expected a whole number, got 'nan'"),
        (
            line() * 11 + line(counts=["1"] * 4 + ["many"] + ["1"] * 8),
            "row 12, column I5: expected a whole number, got 'many'",
        ),
        (line(counts=["1.5"] + ["1"] * 12) * 11, "row 1, column I1: expected a whole number, got '1.5'"),
        (line(counts=["inf"] + ["1"] * 12) * 11, "row 1, column I1: expected a whole number, got 'inf'"),
        (line() * 11 + line(categories=["68fd1e64"] * 25 + ["68fd1e64a"]), "row 12, column C26: expected 8 hexa"),
        (line() * 11 + line(categories=["68fd1e6é"] * 26), "row 12, column C1: expected 8 hexadecimal digits"),
    ],
)
def test_damaged_criteo_files_are_named(tmp_path, text, message):
    (tmp_path / "bad.txt").write_text(text)
    with pytest.raises(ValueError, match=message):
        data.load("criteo", path=tmp_path / "bad.txt")


def test_a_cut_off_gzip_file_is_named(tmp_path):
    packed = gzip.compress(criteo_module.SAMPLE.read_bytes())
    for content in (packed[: len(packed) // 2], b"no gzip at all"):
        (tmp_path / "t.txt.gz").write_bytes(content)
        with pytest.raises(ValueError, match=r"t\.txt\.gz is damaged or cut off after row"):
            data.load("criteo", path=tmp_path / "t.txt.gz")


def test_empty_lines_and_carriage_returns_do_not_matter(tmp_path):
    plain = "".join(line(str(k % 2), [str(k)] * 13) for k in range(20))
    (tmp_path / "a.txt").write_text(plain)
    (tmp_path / "b.txt").write_bytes(plain.replace("\n", "\r\n\r\n").encode())
    a, b = (data.load("criteo", path=tmp_path / f"{n}.txt") for n in "ab")
    assert torch.equal(a.train.numeric, b.train.numeric) and torch.equal(a.train.ids, b.train.ids)


def test_counting_in_pieces_is_counting(monkeypatch):
    monkeypatch.setattr(criteo_module, "CHUNK", 5)
    codes = np.random.default_rng(0).integers(0, 60, 500).astype(np.uint64)
    counter = criteo_module._Counter()
    for piece in np.array_split(codes, 50):
        counter.add(piece)
    values, counts = np.unique(codes, return_counts=True)
    assert counter.frequent(8).tolist() == values[counts >= 8].tolist()


def test_codes_give_the_rows_of_the_vocabulary(criteo):
    raw = pd.read_csv(criteo_module.SAMPLE, sep="\t", header=None, dtype=str, keep_default_na=False)
    for k, name in enumerate(criteo_module.CATEGORICAL):
        expected = criteo.field(name).vocabulary.encode(raw[14 + k].to_numpy(str))
        assert torch.cat([getattr(criteo, p).ids[:, k] for p in PARTS]).tolist() == expected.tolist()


def test_a_changed_sample_is_refused(tmp_path, monkeypatch):
    (tmp_path / "s.txt").write_text(line() * 20)
    monkeypatch.setattr(criteo_module, "SAMPLE", tmp_path / "s.txt")
    with pytest.raises(ValueError, match=r"s\.txt: wrong hash, expected sha256 f665"):
        data.load("criteo-sample")


def test_padding_is_never_an_embedding_row(movielens):
    for bag in movielens.train.bags.values():
        assert bag.min() == PADDING and bag.dtype == torch.int32


def test_open_negatives_know_of_no_later_part(movielens):
    closed, opened = (data.load("movielens-100k", negatives=rule) for rule in ("spared", "open"))
    assert abs(counter_auc(opened) - 0.5) < 0.01 < abs(counter_auc(closed) - 0.5)
    for u in range(1, 4):  # by hand: no negative of a part was rated in this part or before
        for part in range(3):
            names = [f.name for f in opened.fields if f.kind == "categorical"]
            place = [names.index("user"), names.index("item")]
            rows = [getattr(opened, name) for name in ("train", "validation", "test")]
            mine = [r[r.group == u] for r in rows]
            rated = {int(i) for r in mine[: part + 1] for i in r.ids[r.label == 1, place[1]]}
            drawn = {int(i) for i in mine[part].ids[mine[part].label == 0, place[1]]}
            assert rated and drawn and not rated & drawn - {0}  # 0: a film that training never showed


def test_moments_of_times_and_of_tiny_numbers():
    g = np.random.default_rng(0)
    x = np.stack([1.7e18 + g.normal(size=400) * 1e3, g.normal(size=400) * 1e-200, np.full(400, 0.1)], 1)
    x[::7, 1] = np.nan
    moments = criteo_module.Moments(3)
    for block in np.split(x, 4):
        moments.add(block)
    mean, sd = moments.mean_and_sd()
    known = x[:, 1][~np.isnan(x[:, 1])] * 1e200
    assert mean[0] == pytest.approx(x[:, 0].mean(), abs=256) and sd[0] == pytest.approx(x[:, 0].std(), rel=0.05)
    assert (mean[1] * 1e200, sd[1] * 1e200) == pytest.approx((known.mean(), known.std()))
    assert mean[2] == pytest.approx(0.1) and sd[2] == pytest.approx(1, rel=1e-6)
