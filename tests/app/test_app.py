"""The explorer's pages without a browser: what they show, their address, and what they say when something is wrong."""

import re
from pathlib import Path
from urllib.parse import parse_qsl

import numpy as np
import pytest
import streamlit as st
from explorer import checked, on_page, query
from notebook_code import written
from streamlit.testing.v1 import AppTest

from app.core import address, cache, names
from app.pages import inside
from app.parts import downloads, editors, tables
from recsys_lite import data, explain, store
from recsys_lite.evaluation import report
from recsys_lite.models import MODELS
from recsys_lite.training import pointwise as train

ROOT = Path(__file__).parents[2]
MAIN = ROOT / "streamlit_app.py"
DEFAULT = {"data": "movielens-100k", "task": "click", "models": "logistic_regression,fm,wide_deep,deepfm", "row": "30"}


@pytest.fixture(autouse=True)
def no_training(monkeypatch):
    """Nothing may train on load."""

    def fail(*_, **__):
        raise AssertionError("the explorer must not train")

    monkeypatch.setattr(train, "fit", fail)


def opened(**query: str) -> AppTest:
    app = AppTest.from_file(str(MAIN), default_timeout=120)
    for key, value in query.items():
        app.query_params[key.replace("__", ".")] = value
    return checked(app.run())


def widget(kind, ending: str):
    (found,) = [w for w in kind if w.key and w.key.endswith(ending)]
    return found


def scores(app: AppTest) -> list[str]:
    return [m.value for m in app.metric]


def text(app: AppTest) -> str:
    return "\n".join(m.value for m in app.markdown)


def test_a_data_set_opens_on_a_row_where_the_models_disagree():
    app = opened(data="movielens-100k")
    shares = [float(s.strip("<> %")) for s in scores(app)]
    assert len(shares) >= 2 and max(shares) - min(shares) > 50
    assert "What you see." in text(app) and "points" in text(app) and "rank **" in text(app)
    assert query(app)["data"] == "movielens-100k" and query(app)["row"].isdigit()
    assert not app.error and not app.warning
    assert "Not seen" not in "".join(c.value for c in app.caption)


@pytest.mark.parametrize("name", ["movielens", "criteo"])
def test_parts_sum_to_the_logit_and_unedited_rows_are_the_test_rows(name, request):
    dataset = request.getfixturevalue(name)
    models = cache.trained(dataset.name, dataset.task)
    sided = {"ncf", "two_towers", "split_network"}  # they ask what is of the user: Criteo does not say
    assert set(models) == set(MODELS) - (sided if name == "criteo" else set())
    for m in models:
        model = cache.load_model(dataset.name, dataset.task, m)
        for row in (0, 7, len(dataset.test) - 1):
            first = address.original(dataset, row)
            rows = dataset.encode([first, address.edited(dataset, first, {})])
            score = tables.score(m, model, rows)
            expected = model(dataset.test[row]).item()
            for table in (score.coarse, score.fine):
                assert np.allclose(table.drop(columns="logit").sum(axis=1), expected, atol=1e-4)
            for detail in ("coarse", "fine"):
                assert score.parts(detail, change=False).sum() == pytest.approx(expected, abs=1e-4)
            assert score.probability() == pytest.approx(1 / (1 + np.exp(-expected)), abs=1e-5)


def test_an_edit_changes_the_answers_and_reset_brings_them_back():
    app = opened(**DEFAULT)
    before = scores(app)
    gender = widget(app.selectbox, ".gender")
    checked(gender.set_value("F" if gender.value == "M" else "M").run())
    assert scores(app) != before and all("points" in m.delta for m in app.metric)
    assert query(app)["set.gender"] == widget(app.selectbox, ".gender").value
    assert "With gender changed" in text(app)
    checked(app.toggle(key="compare.change").set_value(True).run())
    reset = next(b for b in app.button if b.label == "Reset the row")
    checked(reset.click().run())
    assert scores(app) == before and "set.gender" not in query(app)


def test_a_film_brings_its_genres_and_year_and_undo_takes_them_back(movielens):
    app = opened(**DEFAULT)
    film = widget(app.selectbox, ".item")
    original = film.value
    other = "50" if original != "50" else "1"
    checked(film.set_value(other).run())
    facts = movielens.extras["items"].loc[other]
    assert widget(app.multiselect, ".genres").value == list(facts["genres"])
    assert widget(app.selectbox, ".release_year").value == facts["release_year"]
    assert query(app)["set.item"] == other
    checked(widget(app.selectbox, ".item").set_value(original).run())
    assert not [k for k in query(app) if k.startswith("set.")]


def test_the_address_restores_everything():
    asked = {
        "data": "movielens-100k", "task": "like", "models": "wide_deep,fm", "row": "12", "seed": "5", "detail": "fine",
        "metric": "log_loss", "set.gender": "F", "set.genres": "Comedy|War", "set.hour": "23", "set.user": "7",
    }  # fmt: skip
    app = opened(**{k.replace(".", "__"): v for k, v in asked.items()})
    assert not app.warning
    shown = query(app)
    edits = {k for k in asked if k.startswith("set.") and k not in shown}
    assert {k: v for k, v in shown.items() if k in asked} == {k: v for k, v in asked.items() if k not in edits}
    assert (
        widget(app.multiselect, ".genres").value == ["Comedy", "War"] and widget(app.selectbox, ".gender").value == "F"
    )
    again = opened(**{k.replace(".", "__"): v for k, v in shown.items()})
    assert scores(again) == scores(app) and query(again) == shown


def test_a_wrong_address_is_named_and_the_rest_is_used():
    app = opened(
        data="movielens-100k", task="click", models="fm,gpt", row="999999999", seed="x", detail="huge", set__gender="F"
    )
    message = app.warning[0].value
    for word in ("gpt", "999999999", "seed", "huge", "edits belong to a row"):
        assert word in message
    app = opened(data="netflix")
    assert "netflix" in app.warning[0].value and query(app)["data"] == "movielens-100k"
    app = opened(**DEFAULT, set__genres="Opera|Comedy", set__colour="red", set__gender="X")
    for word in ("Opera", "colour", "X"):
        assert word in app.warning[0].value
    app = opened(data="criteo-sample", row="1", set__I3="many", set__I4="nan", set__I5="7")
    assert "I3 “many”" in app.warning[0].value and "I4 “nan”" in app.warning[0].value
    assert query(app)["set.I5"] == "7" and "set.I3" not in query(app)


def test_counts_are_edited_as_counted_and_transformed_by_the_data_set(criteo):
    app = opened(data="criteo-sample", row="3")
    before = scores(app)
    checked(widget(app.number_input, ".I6").set_value(250000.0).run())
    assert scores(app) != before and query(app)["set.I6"] == "250000"
    mean, sd = criteo.extras["numeric"]["I6"]
    record = address.edited(criteo, address.original(criteo, 3), {"I6": 250000.0, "I5": None})
    assert record["I6"] == pytest.approx((np.log1p(250000) - mean) / sd) and record["I5"] == 0
    checked(widget(app.selectbox, ".C1").set_value("<unseen>").run())
    assert query(app)["set.C1"] == "<unseen>" and "C1" in "".join(c.value for c in app.caption)


def test_every_row_survives_the_way_through_the_address(movielens, criteo):
    for dataset in (movielens, criteo):
        for row in range(0, len(dataset.test), len(dataset.test) // 40):
            shown = address.shown(dataset, address.original(dataset, row))
            problems: list[str] = []
            for f in dataset.fields:
                value = shown[f.name]
                assert address.from_text(f, address.as_text(value), problems) == value
            assert not problems


def test_choosing_rows():
    app = opened(**DEFAULT, seed="4")
    button = next(b for b in app.button if b.label == "Random row")
    checked(button.click().run())
    assert query(app)["seed"] == "5"
    other = opened(**{**DEFAULT, "row": "2"}, seed="4")
    checked(next(b for b in other.button if b.label == "Random row").click().run())
    assert query(other)["row"] == query(app)["row"]  # the seed alone decides
    checked(next(b for b in app.button if b.label == "Next disagreement").click().run())
    first = query(app)["row"]
    checked(next(b for b in app.button if b.label == "Next disagreement").click().run())
    assert query(app)["row"] != first
    checked(app.number_input(key="compare.row").set_value(17).run())
    assert query(app)["row"] == "17"
    checked(app.selectbox(key="compare.user").set_value("5").run())
    checked(next(b for b in app.button if b.label == "Show this row").click().run())
    assert widget(app.selectbox, ".click.user").value == "5"


@pytest.mark.parametrize("about", list(address.ABOUT))
@pytest.mark.parametrize(("data_set", "task"), [("movielens-100k", "click"), ("criteo-sample", "click")])
def test_every_view_on_the_chosen_models(about, data_set, task):
    app = opened(data=data_set, task=task, about=about)
    assert not app.warning and query(app)["about"] == about and text(app).count("What you see.") == 2
    checked(app.multiselect(key="compare.models").set_value(["fm"]).run())
    assert text(app).count("What you see.") == 2


def test_the_epoch_slider_tells_the_stored_curve():
    app = opened(**DEFAULT, about="training", epoch="2")
    runs = [r for r in store.load_results("movielens-100k", "click") if r["model"] == "fm"]
    mean = np.mean([point["auc"] for r in runs for point in r["curve"] if point["epoch"] == 2])
    assert f"Factorization machine {mean:.4f}" in text(app) and query(app)["epoch"] == "2"
    checked(app.slider(key="compare.epoch").set_value(1).run())
    assert "After epoch 1 " in text(app) and query(app)["epoch"] == "1"


def test_edits_move_films_in_the_list(movielens):
    app = opened(**DEFAULT)
    (folded,) = [e for e in app.expander if e.label.startswith("The first films")]
    before = folded.dataframe[0].value
    assert not before.astype(str).apply(lambda c: c.str.contains("▲|▼")).any(axis=None)
    app = opened(**DEFAULT, set__genres="Horror", set__age="under 18")
    (folded,) = [e for e in app.expander if e.label.startswith("The first films")]
    after = folded.dataframe[0].value["Factorization machine"]
    model = cache.load_model("movielens-100k", "click", "fm")
    films = tables.film_features(movielens)
    first = address.original(movielens, 30)
    rows = movielens.encode([first, {**first, "genres": ["Horror"], "age": "under 18"}])
    lists = [tables.candidates(movielens, films, rows[k], first["user"]) for k in (0, 1)]
    was, now = ([r.ids[i, 1].item() for i in model(r).argsort(descending=True)] for r in lists)
    for place, words in enumerate(after):
        up = was.index(now[place]) - place
        assert words.endswith(f"({'▲' if up > 0 else '▼'} {abs(up)})" if up else ")")


def test_the_widest_disagreements_are_listed():
    app = opened(**DEFAULT)
    table = next(d.value for d in app.dataframe if "gap" in d.value)
    assert (table["gap"].diff().dropna() <= 0).all()
    chances = table.drop(columns=["row", "film", "gap"])
    assert np.allclose(chances.max(axis=1) - chances.min(axis=1), table["gap"])


def test_another_data_set_and_other_models():
    app = opened(**DEFAULT)
    checked(app.selectbox(key="compare.task").set_value(("criteo-sample", "click")).run())
    assert query(app)["data"] == "criteo-sample" and len(app.metric) == 4 and "rank **" not in text(app)
    checked(app.multiselect(key="compare.models").set_value(["fm"]).run())
    assert len(app.metric) == 1 and "at least two" in app.info[0].value
    checked(app.multiselect(key="compare.models").set_value([]).run())
    assert not app.metric and app.info


def test_without_movielens_the_page_says_what_to_do_and_criteo_works(monkeypatch):
    load = data.load

    def unavailable(name, **options):
        if name == "movielens-100k":
            raise data.DataUnavailable("It could not be fetched. Tried:\n  - cache: nothing\nUnzip it yourself.")
        return load(name, **options)

    st.cache_resource.clear()
    st.cache_data.clear()
    monkeypatch.setattr(data, "load", unavailable)
    app = opened(data="movielens-100k")
    assert "could not be fetched" in app.error[0].value and "Unzip it yourself." in app.text[0].value
    checked(next(b for b in app.button if b.label == "Show Criteo instead").click().run())
    assert not app.error and len(app.metric) == 4 and query(app)["data"] == "criteo-sample"
    monkeypatch.setattr(data, "load", load)


@pytest.mark.parametrize("kind", [ValueError, RuntimeError])
def test_damaged_weights_are_named_and_left_out(monkeypatch, kind):
    load = store.load_model

    def damaged(path, fields):
        if str(path).endswith(".fm"):
            raise kind(f"{path.name} is damaged")
        return load(path, fields)

    st.cache_resource.clear()
    monkeypatch.setattr(store, "load_model", damaged)
    app = opened(**DEFAULT)
    assert "Factorization machine" in app.warning[0].value and len(app.metric) == 3
    st.cache_resource.clear()


def test_rank_counts_the_films_above(movielens):
    model = cache.load_model("movielens-100k", "click", "fm")
    films = tables.film_features(movielens)
    row = movielens.encode(movielens.decode(movielens.test, 0))
    user = movielens.decode(movielens.test, 0)["user"]
    rows = tables.candidates(movielens, films, row, user)
    score = tables.score("fm", model, movielens.encode([movielens.decode(movielens.test, 0)] * 2))
    count = tables.add_rank(score, tables.order(model, rows, 1))
    z = model(rows)
    assert count == len(rows) < len(films) and score.rank == 1 + (z > z[0]).sum().item()
    assert score.top == rows.ids[z.topk(10).indices, 1].tolist()
    items = rows.ids[:, 1].tolist()
    assert len(set(items)) == len(items)
    rated = movielens.train.ids[(movielens.train.group == int(user)) & (movielens.train.label == 1), 1].tolist()
    assert not set(items[1:]) & set(rated)


def test_labels_are_unique_so_that_a_choice_is_never_taken_for_another():
    for name in ("item", "user", "genres", "history"):
        labels = editors.options("movielens-100k", "click", name)
        assert len(set(labels.values())) == len(labels)


def test_the_page_to_take_away_needs_no_network(criteo):
    from recsys_lite import plots

    model = cache.load_model("criteo-sample", "click", "fm")
    score = tables.score("fm", model, criteo.encode([criteo.decode(criteo.test, 0)] * 2))
    table = tables.parts_table([score], "coarse", {"fm": "FM"})
    page = downloads.as_page(table, [plots.waterfall(score.parts("coarse", False))], "A <b> & *c*").decode()
    assert "A &lt;b&gt; &amp; c" in page and not re.search(r"<(script|link|img)[^>]+(src|href)=", page)


CHAPTERS = written()


@pytest.mark.slow("opens a page for every chapter")
@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda c: c["slug"])
def test_a_chapters_link_opens_what_it_names(chapter):
    page, _, query_ = chapter["explore"].partition("?")
    asked = dict(parse_qsl(query_))
    app = on_page(page, **asked) if page else opened(**asked)
    assert not app.warning and not app.error
    assert {key: query(app)[key] for key in asked} == asked


# --- the other pages ------------------------------------------------------------------------------------------------


@pytest.mark.slow("swaps the fields of every stored model")
@pytest.mark.parametrize("model", [m for m in MODELS if m in names.NAMES and m != "logistic_regression"])
def test_every_model_can_be_looked_into(model):
    if model not in cache.trained("movielens-100k", "click"):
        pytest.skip("no stored weights")
    app = on_page("inside", data="movielens-100k.click", model=model)
    views = app.selectbox(key="control.view").options
    assert "What a pair is worth" in views
    for view in ("attention", "pairs", "blocks", "gates", "worth"):
        if inside.VIEWS[view].fits(cache.load_model("movielens-100k", "click", model)):
            app = checked(app.selectbox(key="control.view").set_value(view).run())
            assert inside.VIEWS[view].lead + " of" in text(app) and not app.error
            assert query(app) | {"model": model, "view": view} == query(app)


def test_inside_shows_what_the_library_says_of_a_row_layer_and_head(movielens):
    address_ = {"data": "movielens-100k.click", "model": "autoint", "view": "attention", "rows": "one", "row": "7"}
    app = on_page("inside", **address_, layer="2", head="1")
    assert query(app) == {**address_, "layer": "2", "head": "1"}
    model = cache.load_model("movielens-100k", "click", "autoint")
    table = explain.attention(model, movielens.test[7], layer=1, head=0)
    a, b, value = explain.strongest(table)
    assert f"**{a} × {b}** ({value:.4g} weight)" in text(app)
    app = checked(app.number_input(key="control.row").set_value(8).run())
    assert query(app)["row"] == "8"


def test_inside_falls_back_from_an_address_that_names_nothing():
    app = on_page("inside", data="x", model="y", view="z", row="-3")
    assert "The strongest pair of" in text(app) and query(app)["data"] == "movielens-100k.click"


def test_wide_data_are_not_ablated_while_a_reader_waits():
    app = on_page("inside", data="criteo-sample.click", model="dlrm")
    assert app.selectbox(key="control.view").options == ["Pairs in the logit"]


@pytest.mark.parametrize("metric", ["auc", "log_loss"])
def test_the_leaderboard_shows_the_stored_runs(metric):
    app = on_page("leaderboard", data="movielens-100k.like", metric=metric)
    table = report.standings(store.load_results("movielens-100k", "like"), metric)
    assert f"{table['mean'][0]:.4f}" in text(app)
    shown = app.dataframe[0].value
    assert list(shown["name"]) == [names.name(m) for m in table["model"]] and list(shown["verdict"]) == list(
        table["verdict"]
    )
    assert query(app) == {"data": "movielens-100k.like", "metric": metric}


def test_every_page_is_timed_and_the_server_reads_the_data_before_it_serves(monkeypatch):
    from app.__main__ import read
    from app.pages import PAGES
    from bench.explorer import EDITS

    assert set(EDITS) == {path for section in PAGES.values() for path in section}
    asked = []
    monkeypatch.setattr(cache, "load_dataset", lambda *pair: asked.append(pair))
    monkeypatch.setattr(cache, "load_interactions", lambda: asked.append("interactions"))
    read()
    assert asked == [*names.TASKS, "interactions"]

    def gone(*_):
        raise data.DataUnavailable("no source answers")

    monkeypatch.setattr(cache, "load_dataset", gone)
    read()  # the pages say it
