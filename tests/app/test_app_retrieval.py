"""The explorer's pages on candidates and on position bias, without a browser."""

import pytest
import torch
from explorer import checked, on_page, query, seen

from app.core import cache, names
from app.pages import position
from recsys_lite.evaluation import top_k


def test_candidates_of_a_person_and_why():
    app = on_page("retrieval", person="6", models="popularity,ease,lightgcn,two_towers")
    said = seen(app)[0]
    assert said.startswith("**What you see.** For person 6,") and "EASE" in said and "LightGCN" in said
    lists = [d.value for d in app.dataframe if list(d.value)[:3] == ["place", "came true", "film"]]
    assert len(lists) == 4 and all(len(one) == 20 for one in lists)
    assert query(app) | {"film": ""} == {
        "person": "6", "models": "popularity,ease,lightgcn,two_towers", "k": "20", "by": "ease", "film": "",
    }  # fmt: skip
    for model in app.selectbox(key="control.by").options:
        app = checked(app.selectbox(key="control.by").set_value(_named(model)).run())
        assert any("What lifts it most is" in m.value or "puts *" in m.value for m in app.markdown)
    app = checked(app.number_input(key="control.person").set_value(405).run())  # somebody with a long history
    app = checked(app.selectbox(key="control.by").set_value("lightgcn").run())
    assert any("takes too long" in i.value for i in app.info)
    app = checked(app.selectbox(key="control.k").set_value(50).run())
    assert query(app)["k"] == "50"
    app = checked(app.multiselect(key="control.models").set_value(["popularity"]).run())
    assert any("read no history" in i.value for i in app.info)


def _named(words: str) -> str:
    return next(m for m, n in names.NAMES.items() if n == words)


def test_candidates_are_the_librarys():
    app = on_page("retrieval", person="100", models="item_knn", k="10")
    shown = next(d.value for d in app.dataframe if list(d.value)[:3] == ["place", "came true", "film"])
    data_ = cache.load_interactions()
    seen = data_.mask("train", "validation")[[99]]
    items = top_k(cache.retriever("item_knn"), torch.tensor([99]), 10, seen)[1][0]
    assert shown["film"].tolist() == [data_.title(int(i)) for i in items]
    later = set(data_.test[data_.test[:, 0] == 99, 1].tolist())
    assert shown["came true"].tolist() == ["✓" if int(i) in later else "" for i in items]


@pytest.mark.parametrize(
    ("asked", "first"), [({"person": "0"}, 1), ({"person": "x", "k": "7"}, 1), ({"person": "943"}, 943)]
)
def test_candidates_of_a_strange_address(asked, first):
    app = on_page("retrieval", models="popularity,nothing", **asked)
    assert query(app)["person"] == str(first) and query(app)["models"] == "popularity" and query(app)["k"] == "20"


@pytest.mark.parametrize("log", ["popular", "device", "random", "control", "expert"])
def test_position_bias_of_every_log(log):
    app = on_page("position", log=log)
    curves, gains = (m.value for m in app.markdown if m.value.startswith("**What you see.**"))
    assert "the truth is" in curves and ("the naive model" in gains)
    app = checked(app.selectbox(key="control.metric").set_value("auc").run())
    assert query(app) == {"log": log, "metric": "auc"}


def test_gains_over_naive_are_paired_by_seed():
    runs = [
        {"model": m, "seed": s, "test": {"auc": base + s / 10 + noise}}
        for m, base in (("naive", 0.5), ("pal", 0.52)) for s, noise in ((0, 0.0), (1, 0.001 if m == "pal" else 0.0))
    ]  # fmt: skip
    gains, values = position.scores(runs, "auc")
    assert gains["name"].tolist() == ["PAL"] and abs(gains["mean"][0] - 0.0205) < 1e-9 and len(values) == 4
    assert position.gain_words(gains.assign(low=0.01, high=0.03)) == "Better than the naive model: PAL (+0.0205)."
    assert "Equal to it within 0.01: PAL" in position.gain_words(gains.assign(low=-0.01, high=0.01))
    assert "Equal" not in position.gain_words(gains.assign(low=-0.01, high=0.01), "auc")
    assert "Undecided: PAL" in position.gain_words(gains.assign(low=-0.01, high=0.03))
    assert "Worse: PAL" in position.gain_words(gains.assign(low=-0.03, high=-0.01))
