"""The page on where films lie, without a browser."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import streamlit as st
import torch
from explorer import checked, hints, on_page, query, run_cells

from app.pages import embeddings
from app.parts import film_map
from recsys_lite.explain import item_map
from recsys_lite.explain.film_vectors import film_vectors, known, often_rated

DEFAULT = {
    "a": "fm", "b": "lightgcn", "map": "pca", "least": "20", "colour": "genre", "film": "50", "genre": "Children's",
}  # fmt: skip


def said(app):
    (text,) = [m.value for m in app.markdown if m.value.startswith("**What you see.**")]
    return text


def tables(app):
    return [d.value for d in app.dataframe if list(d.value)[:2] == ["place", "film"]]


def test_the_first_view_tells_what_the_library_computes(movielens):
    app = on_page("embeddings")
    assert query(app) == DEFAULT and not app.error and not app.info
    raw = often_rated(movielens, 20)
    a, b = (item_map.nearest(film_vectors(m, movielens, raw)) for m in ("fm", "lightgcn"))
    both = item_map.overlap(a, b)
    text = said(app)
    assert "Nearest to *Star Wars (1977)*" in text
    assert f"The two have {round(10 * both[raw.index('50')].item())} of its 10 nearest in common" in text
    assert f"over all {len(raw)} films {10 * both.mean():.1f} on average (by chance {100 / (len(raw) - 1):.1f})" in text
    left, right = tables(app)
    titles = movielens.field("item").vocabulary.labels
    assert left["film"].tolist() == [titles[raw[j]] for j in a[raw.index("50")].tolist()]
    assert left["film"][left["in both"] == "✓"].tolist() == [f for f in left["film"] if f in set(right["film"])]
    assert np.allclose(left["cosine"] + left["distance"], 1)
    _, share = item_map.pca(film_vectors("fm", movielens, raw))
    captions = hints(app)
    assert any(f"the two axes keep {share.sum():.0%} of the variance" in c for c in captions)
    assert any("was never told a genre" in c for c in captions) and any("also reads genres" in c for c in captions)
    assert run_cells(app) == 1


@pytest.mark.slow("opens the page for every model")
def test_every_model_can_be_chosen_and_its_map_is_stored(movielens):
    app = on_page("embeddings", map="tsne")
    for model in known(movielens):
        app = checked(app.selectbox(key="control.b").set_value(model).run())
        assert query(app)["b"] == model and not app.info
        assert sum("t-SNE, seed 0: " in told for told in [*hints(app), *(c.value for c in app.caption)]) == 2
    app = checked(app.selectbox(key="control.b").set_value("fm").run())
    assert "The two have 10 of its 10 nearest in common" in said(app)
    first, second = tables(app)
    pd.testing.assert_frame_equal(first.reset_index(drop=True), second.reset_index(drop=True))
    assert run_cells(app) == 1


def test_another_seed_is_computed_only_when_asked_for(monkeypatch):
    asked = []

    def tsne(vectors, seed):
        asked.append(seed)
        return vectors[:, :2]

    monkeypatch.setattr(item_map, "tsne", tsne)
    st.cache_data.clear()
    app = on_page("embeddings", map="tsne", least="100", seed="7", b="ncf")
    assert query(app)["seed"] == "7" and not asked
    assert "below are those of seed 0" in app.info[0].value
    (button,) = [b for b in app.button if b.label == "Compute t-SNE with seed 7"]
    app = checked(button.click().run())
    assert asked == [7, 7] and not app.info
    assert sum("t-SNE, seed 7: " in h for h in hints(app)) == 2
    app = checked(app.number_input(key="control.seed").set_value(0).run())
    assert not app.info and asked == [7, 7]
    st.cache_data.clear()  # what was cached here is no t-SNE


def test_without_stored_maps_the_page_offers_to_compute_them(monkeypatch, tmp_path):
    monkeypatch.setattr("recsys_lite.explain.film_vectors.MAPS", tmp_path / "maps")
    st.cache_data.clear()
    app = on_page("embeddings", map="tsne", least="100", b="ncf")
    assert "below are principal components" in app.info[0].value
    assert sum(h.startswith("Principal components: ") for h in hints(app)) == 2
    st.cache_data.clear()


def test_an_address_brings_everything_back():
    asked = {
        "a": "ncf", "b": "mf", "map": "tsne", "least": "5", "colour": "genre", "film": "1", "genre": "Western",
        "seed": "0",
    }  # fmt: skip
    app = on_page("embeddings", **asked)
    assert query(app) == asked and "*Toy Story (1995)*" in said(app)
    for colour in ("year", "popularity"):
        app = checked(app.selectbox(key="control.colour").set_value(colour).run())
        assert query(app) == {k: v for k, v in asked.items() if k != "genre"} | {"colour": colour}
    app = checked(app.selectbox(key="control.least").set_value(100).run())
    assert "over all" in said(app) and query(app)["least"] == "100"


@pytest.mark.parametrize(
    "asked",
    [
        {"a": "ease", "b": "", "map": "umap", "least": "3", "colour": "size", "film": "99999", "genre": "Nothing"},
        {"least": "-1", "film": "Star Wars", "seed": "x"},
    ],
)
def test_a_strange_address_falls_back(asked):
    assert query(on_page("embeddings", **asked)) == DEFAULT


def test_a_film_too_seldom_rated_falls_back_to_the_first(movielens):
    rare = next(f for f in often_rated(movielens, 1) if f not in often_rated(movielens, 5))
    app = on_page("embeddings", least="1", film=rare)
    assert query(app)["film"] == rare
    app = checked(app.selectbox(key="control.least").set_value(100).run())
    assert query(app)["film"] == "50"


def test_a_click_on_a_mark_chooses_its_film(monkeypatch):
    state = {"x": SimpleNamespace(selection=SimpleNamespace(points=[{"customdata": ["613"]}]))}
    monkeypatch.setattr(embeddings.st, "session_state", state)
    embeddings.chosen("x")
    assert state["control.film"] == "613"
    state["x"].selection.points = []  # a click beside all marks changes nothing
    embeddings.chosen("x")
    assert state["control.film"] == "613"


FILMS = pd.DataFrame({
    "raw": ["7", "8", "9"], "film": ["A (1950)", "B (1990)", "A very long title that goes on and on (1995)"],
    "genres": [("War",), ("War", "Drama"), ("Drama",)], "release_year": ["1950", "1990", "unknown"],
    "popularity": [10, 100, 1000],
})  # fmt: skip
PLACES = np.array([[0.0, 0.0], [1.0, 2.0], [4.0, 3.0]])


def test_marks_by_genre_differ_in_shape_and_hold_their_films():
    figure = film_map.drawn(FILMS, PLACES, "genre", "War", 2, torch.tensor([1]))
    others, war, near, star = figure.data
    assert war.name == "War" and war.customdata.tolist() == [["7"], ["8"]] and war.marker.symbol == "diamond"
    assert others.customdata.tolist() == [["9"]] and others.marker.symbol is None
    assert list(near.x) == [1.0] and near.name == "its 1 nearest by cosine"
    assert (star.x, star.y) == ((4.0,), (3.0,))
    (label,) = figure.layout.annotations
    assert label.text == "A very long title that go…" and label.xanchor == "right"
    assert "B (1990)<br>War, Drama<br>100 ratings" in war.text


def test_marks_by_year_and_by_ratings_have_a_scale():
    year = film_map.drawn(FILMS, PLACES, "year", "", 0, torch.tensor([1, 2]))
    colour = np.asarray(year.data[0].marker.color, float)
    assert colour[:2].tolist() == [1950, 1990] and np.isnan(colour[2])
    assert year.data[0].marker.cmin == pytest.approx(1952) and year.layout.annotations[0].xanchor == "left"
    marker = film_map.drawn(FILMS, PLACES, "popularity", "", 0, torch.tensor([1, 2])).data[0].marker
    assert np.allclose(marker.color, [1, 2, 3]) and (marker.cmin, marker.cmax) == pytest.approx((1, 3))
    assert dict(zip(marker.colorbar.ticktext, marker.colorbar.tickvals, strict=True))["100"] == pytest.approx(2)
