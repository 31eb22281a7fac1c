"""MovieLens-1M, -10M and latest: made-up files in the published formats give the rows of MovieLens-100K."""

import pytest
import torch

from recsys_lite import data
from recsys_lite.evaluation import counter_auc

#: user, film, stars, time: the ratings of all three; film 7 is rated by nobody
RATINGS = [(1, i, 5 if i % 2 else 2, 100 * i) for i in range(1, 6)]
RATINGS += [(2, 6, 4, 50), (2, 3, 4, 50), (2, 1, 1, 70), (2, 2, 3, 90)]
TITLES = ["Toy (1995)", "Café, The (1994)", "Odd (V)", "A (B) (1990)", "E (1991)", "F (1992)", "Unseen (1993)"]
GENRES = ["Comedy", "Drama|Comedy", "Action", "Children's|Drama", "Action", "Comedy", "Western"]
HALF = [(u, i, {5: "4.0", 2: "3.5", 4: "4.5", 1: "0.5", 3: "2.5"}[r], t) for u, i, r, t in RATINGS]
USERS = "1::F::1::10::48067\n2::M::56::16::70072-1234\n"
LATEST = [*GENRES[:5], "(no genres listed)", "Western"]
HEADER = "userId,movieId,rating,timestamp\n"


def lines(table, between="::"):
    return "".join(between.join(map(str, row)) + "\n" for row in table)


@pytest.fixture
def folders(tmp_path):
    ml1m, ml10m, latest = (tmp_path / name for name in ("ml-1m", "ml-10M100K", "ml-latest-small"))
    for folder in (ml1m, ml10m, latest):
        folder.mkdir()
    movies = lines(zip(range(1, 8), TITLES, GENRES, strict=True))
    (ml1m / "ratings.dat").write_text(lines(RATINGS))
    (ml1m / "users.dat").write_text(USERS)
    (ml1m / "movies.dat").write_text(movies, encoding="latin-1")
    (ml10m / "ratings.dat").write_text(lines(HALF))
    (ml10m / "movies.dat").write_text(movies, encoding="utf-8")
    (latest / "ratings.csv").write_text(HEADER + lines(HALF, ","))
    quoted = [f'"{t}"' if "," in t else t for t in TITLES]
    text = "movieId,title,genres\n" + lines(zip(range(1, 8), quoted, LATEST, strict=True), ",")
    (latest / "movies.csv").write_text(text, encoding="utf-8")
    return {"movielens-1m": ml1m, "movielens-10m": ml10m, "movielens-latest": latest}


def decode(dataset, part):
    return [dataset.decode(part, i) | {"label": part.label[i].item()} for i in range(len(part))]


def test_like_of_1m_by_hand(folders):
    d = data.load("movielens-1m", task="like", path=folders["movielens-1m"], history=2)
    train, test = decode(d, d.train), decode(d, d.test)
    assert [(r["user"], r["item"], r["label"]) for r in train] == [
        ("1", "1", 1.0), ("1", "2", 0.0), ("1", "3", 1.0), ("2", "3", 1.0), ("2", "6", 1.0)
    ]  # fmt: skip
    assert [(r["user"], r["label"]) for r in test] == [("1", 1.0), ("2", 0.0)]  # film 5 rated 5, film 2 rated 3
    assert (train[0]["gender"], train[0]["age"], train[0]["occupation"]) == ("F", "under 18", "K-12 student")
    assert (train[3]["gender"], train[3]["age"], train[3]["occupation"]) == ("M", "56+", "self-employed")
    assert train[1]["genres"] == ["Drama", "Comedy"] and train[2]["history"] == ["2", "1"]
    assert d.field("item").vocabulary.label(2) == "Café, The (1994)" and train[2]["release_year"] == "unknown"
    assert (d.name, d.task, len(d.fields)) == ("movielens-1m", "like", 10)
    assert list(d.extras["items"].index) == list("123456") and d.extras["items"].loc["4", "title"] == "A (B)"


WRONG = "movies.csv: 1 thing is wrong:\nline 2: "


@pytest.mark.parametrize("name", ["movielens-10m", "movielens-latest"])
def test_like_in_half_stars_by_hand(folders, name):
    d = data.load(name, task="like", path=folders[name])
    train = decode(d, d.train)
    assert [r["label"] for r in train] == [1.0, 0.0, 1.0, 1.0, 1.0]  # 4.0 is liked, 3.5 is not, 4.5 is
    assert [f.name for f in d.fields] == ["user", "item", "genres", "release_year", "hour", "weekday", "history"]
    assert d.extras["items"].loc["2", "title"] == "Café, The" and d.name == name
    assert train[4]["item"] == "6" and train[4]["genres"] == ([] if name.endswith("latest") else ["Comedy"])


def test_all_sets_hold_the_same_clicks(folders):
    sets = {name: data.load(name, path=folder) for name, folder in folders.items()}
    rows = [[(r["user"], r["item"], r["label"]) for r in decode(d, d.train)] for d in sets.values()]
    assert rows[0] == rows[1] == rows[2] and [r[2] for r in rows[0]] == [1.0, 0.0, 0.0] * 5
    assert not any(item == "7" for d in sets.values() for item in d.field("item").vocabulary.values)
    again = data.load("movielens-1m", path=folders["movielens-1m"], seed=1)
    assert not torch.equal(again.train.ids, sets["movielens-1m"].train.ids)
    assert 0 <= counter_auc(again) <= 1


CASES = [
    ("movielens-1m", "ratings.dat", "1::1::5::7\n1::1::5\n", r"ratings.dat, row 2: expected 4 columns .*got 3"),
    ("movielens-1m", "ratings.dat", "1::1::4.5::7\n", "ratings.dat, row 1: rating is '4.5', expected a whole number"),
    ("movielens-1m", "ratings.dat", "1::1::5::x\n", "ratings.dat, row 1: timestamp is 'x'"),
    ("movielens-1m", "ratings.dat", "1::1::5::7\n2::1::5::7\n1::1::3::9\n", "row 3: user '1' rates item '1' a second"),
    ("movielens-1m", "ratings.dat", "9::1::5::7\n", "ratings.dat: user '9' is not in users.dat"),
    ("movielens-1m", "ratings.dat", "1::9::5::7\n", "ratings.dat: item '9' is not in movies.dat"),
    ("movielens-1m", "ratings.dat", "", "ratings.dat is empty"),
    ("movielens-1m", "users.dat", "1::F::7::10::x\n", "users.dat, row 1: age is '7', expected one of 1, 18, 25"),
    ("movielens-1m", "users.dat", "1::F::18::21::x\n", "users.dat, row 1: occupation is '21', expected one of 0, 1"),
    ("movielens-1m", "users.dat", "1::F::18::2\n", "users.dat, row 1: expected 5 columns .*got 4"),
    ("movielens-1m", "movies.dat", "1::Toy (1995)\n", "movies.dat, row 1: expected 3 columns .*got 2"),
    ("movielens-10m", "ratings.dat", "1::1::5::7\n1::2::4.2::7\n", "ratings.dat, row 2: rating is '4.2', expected 0.5"),
    ("movielens-10m", "ratings.dat", "1::1::0::7\n", "ratings.dat, row 1: rating is '0', expected 0.5 to 5 in halves"),
    ("movielens-10m", "ratings.dat", "1::1::5::7\n1::2::5::7\nx::2::5::7\n", "ratings.dat, row 3: user is 'x'"),
    ("movielens-10m", "movies.dat", "1::Toy::A\n1::Toy::A\n", "movies.dat: item '1' occurs twice"),
    ("movielens-latest", "ratings.csv", "1,1,5,7\n", "ratings.csv: expected the header userId,movieId,.*got 1,1,5,7"),
    ("movielens-latest", "ratings.csv", HEADER, "ratings.csv holds no rows"),
    ("movielens-latest", "ratings.csv", HEADER + "1,1,nan,7\n", "ratings.csv, row 1: rating is 'nan', expected 0.5"),
    ("movielens-latest", "ratings.csv", HEADER + "1,1,5,7,8\n", "ratings.csv, row 1: expected 4 columns .*got 5"),
    ("movielens-latest", "movies.csv", "movieId,title\n", "movies.csv: expected the header movieId,title,genres"),
    ("movielens-latest", "movies.csv", "movieId,title,genres\n1,A, B,C\n", WRONG + "4 cells"),
    ("movielens-latest", "movies.csv", 'movieId,title,genres\n1,"A,B\n', WRONG + "a quotation mark"),
]


@pytest.mark.parametrize(("name", "file", "text", "message"), CASES)
def test_damaged_files_are_named(folders, name, file, text, message):
    (folders[name] / file).write_text(text)
    with pytest.raises(ValueError, match=message):
        data.load(name, path=folders[name])


def test_bytes_that_are_not_of_the_encoding_are_named(folders):
    (folders["movielens-10m"] / "movies.dat").write_bytes(b"1::Toy::A\n2::Caf\xe9::B\n")
    with pytest.raises(ValueError, match=r"movies\.dat, line 2: byte 0xe9 is not utf-8"):
        data.load("movielens-10m", path=folders["movielens-10m"])


@pytest.mark.parametrize("name", ["movielens-1m", "movielens-10m", "movielens-latest"])
def test_what_cannot_be_used_is_named(folders, name, tmp_path):
    with pytest.raises(ValueError, match=f"{name}: give the unzipped folder, which holds ratings"):
        data.load(name)
    with pytest.raises(ValueError, match=f"{name}: unknown task 'buy'"):
        data.load(name, task="buy", path=folders[name])
    with pytest.raises(ValueError, match=f"{name}: history must be at least 1, got 0"):
        data.load(name, path=folders[name], history=0)
    with pytest.raises(data.DataUnavailable, match=r"holds no ratings\.(dat|csv); expected the unzipped folder of"):
        data.load(name, path=tmp_path / "nowhere")
