"""The explorer's page that steps through a model, without a browser."""

import re

import pandas as pd
import pytest
import torch
from explorer import checked, on_page, query, run_cells

from app.core import cache
from app.pages import steps
from app.parts import steps_drawing, steps_sources, tables
from recsys_lite import explain
from recsys_lite.explain.boxes import ARCHITECTURES
from recsys_lite.explain.traces import TRACES

pytestmark = pytest.mark.slow("opens a page for every step of every trace")

PLACE = ("movielens-100k", "click")


def texts(app):
    return [m.value for m in app.markdown]


def test_the_first_view_tells_the_story():
    app = on_page("steps")
    assert query(app) == {"data": "movielens-100k.click", "model": "fm", "row": "0", "step": "4"}
    assert app.subheader[0].value == "4 of 7: One pair: the dot product of two vectors"
    chance = torch.sigmoid(cache.load_model(*PLACE, "fm")(cache.load_dataset(*PLACE).test[0])).item()
    assert any(f"a chance of {100 * chance:.1f}" in m for m in texts(app))
    told = next(m for m in texts(app) if m.startswith("**What you see.**"))
    assert "Box *all pairs*: 2 × 16 numbers from" in told
    formula, numbers = (one.value for one in app.latex)
    assert r"\langle e_f, e_g \rangle" in formula and r"\underbrace{" in numbers
    assert run_cells(app) == 1


def test_the_address_restores_everything():
    app = on_page("steps", data="criteo-sample.click", model="dlrm", row="5", step="9", guess="1")
    assert query(app) == {"data": "criteo-sample.click", "model": "dlrm", "row": "5", "step": "9", "guess": "1"}
    assert app.subheader[0].value == "9 of 12: Top network, layer 1: 367 numbers to 64"
    assert app.toggle(key="control.guess").value


@pytest.mark.parametrize(
    "asked", [{"step": "0"}, {"step": "8"}, {"step": "x"}, {"step": "²"}, {"model": "gbdt"}, {"row": "-1"}]
)
def test_a_strange_address_falls_back(asked):
    app = on_page("steps", **asked)
    assert query(app) == {"data": "movielens-100k.click", "model": "fm", "row": "0", "step": "4"}


def test_every_step_can_be_opened_and_makes_its_table():
    app = on_page("steps", model="wide_deep", row="30")
    count = len(app.pills(key="control.step").options)
    traced = steps.traced(*PLACE, "wide_deep", 30)
    assert count == len(traced)
    for k in range(1, count + 1):
        app = checked(app.pills(key="control.step").set_value(k).run())
        assert app.subheader[0].value == f"{k} of {count}: {traced[k - 1].title}" and query(app)["step"] == str(k)
        shown = next(e for e in app.expander if "downloads" in e.label).dataframe[0].value
        assert shown["name"].tolist() == [str(i) for i in traced[k - 1].result.index]
        assert run_cells(app) == 1


def test_back_and_next():
    app = on_page("steps", model="logistic_regression", step="1")
    assert app.button(key="steps.back").disabled and not app.button(key="steps.next").disabled
    seen = [app.subheader[0].value[0]]
    for _ in range(3):
        app = checked(app.button(key="steps.next").click().run())
        seen.append(app.subheader[0].value[0])
    assert seen == ["1", "2", "3", "4"] and app.button(key="steps.next").disabled
    app = checked(app.button(key="steps.back").click().run())
    assert query(app)["step"] == "3" and app.pills(key="control.step").value == 3


def test_another_model_opens_at_its_heart_and_another_row_stays():
    app = on_page("steps", step="7")
    app = checked(app.number_input(key="control.row").set_value(30).run())
    assert query(app)["step"] == "7" and query(app)["row"] == "30"
    app = checked(app.selectbox(key="control.model").set_value("ncf").run())
    assert "GMF" in ARCHITECTURES["ncf"][0][3].note and app.subheader[0].value.startswith("4 of 11: One factor")
    app = checked(app.selectbox(key="control.data").set_value("criteo-sample.click").run())
    assert query(app)["model"] == "fm" and query(app)["step"] == "4"


def test_guess_first_hides_the_numbers_until_asked():
    app = on_page("steps", guess="1")
    assert len(app.latex) == 1 and not any("What you see" in m or "a chance of" in m for m in texts(app))
    assert not any("downloads" in e.label for e in app.expander)
    app = checked(app.button(key="steps.reveal").click().run())
    assert len(app.latex) == 2 and any("What you see" in m for m in texts(app))
    app = checked(app.button(key="steps.next").click().run())
    assert len(app.latex) == 1


def test_a_box_without_numbers_says_so():
    app = on_page("steps", model="dlrm", step="1")
    assert any(r"This box holds no number for these data\." in m for m in texts(app)) and run_cells(app) == 0


@pytest.mark.parametrize("data", ["movielens-100k.click", "criteo-sample.click"])
@pytest.mark.parametrize(
    ("model", "title"),
    [
        ("dcn", "Cross layer 1: one number for the row"),
        ("dcn_v2", "Cross layer 1: a matrix, and a bias inside"),
        ("gdcn", "Cross layer 1: a matrix, and a bias inside"),
        ("autoint", "Layer 1: how well two fields fit"),
        ("dhen", "Layer 1, module 1 (dot): "),
    ],
)
def test_cross_networks_and_attention_open_at_their_heart(data, model, title):
    app = on_page("steps", data=data, model=model, row="30")
    assert query(app)["data"] == data and query(app)["model"] == model
    assert app.subheader[0].value.split(": ", 1)[1].startswith(title)
    assert len(app.latex) == 2 and run_cells(app) == 1


@pytest.mark.parametrize("model", ["gdcn", "autoint", "dhen"])
def test_every_step_of_the_long_traces_can_be_opened(model):
    app = on_page("steps", data="criteo-sample.click", model=model, row="5", step="1")
    traced = steps.traced("criteo-sample", "click", model, 5)
    options = app.pills(key="control.step").options
    assert len(options) == len(traced)
    assert [o.isdigit() for o in options] == [k > 0 and traced[k - 1].box == traced[k].box for k in range(len(traced))]
    for k, step in enumerate(traced, 1):
        app = checked(app.pills(key="control.step").set_value(k).run())
        assert app.subheader[0].value == f"{k} of {len(traced)}: {step.title}" and len(app.latex) == 2


def test_only_models_with_a_trace_are_offered(monkeypatch):
    place = steps_sources.Rated(*PLACE)
    assert "fm" in place.models() and set(place.models()) <= set(TRACES)
    offered = {m for source in steps_sources.sources().values() for m in source.models()}
    assert offered == set(TRACES)
    assert set(ARCHITECTURES) - offered == {"mlp", "cnn", "rnn", "funnel"}  # blocks and a chain, not models of the book
    monkeypatch.setattr(steps_sources, "TRACES", {"deepfm": TRACES["deepfm"]})
    assert place.models() == ["deepfm"]
    monkeypatch.setattr(steps_sources, "TRACES", {})
    app = on_page("steps")
    assert app.error[0].value.startswith("No stored weights were found.")


def test_lightgcn_ends_with_the_place_of_a_film_in_a_persons_list():
    app = on_page("steps", data="movielens-100k.films", model="lightgcn", row="3")
    films, model = cache.load_interactions(), cache.retriever("lightgcn")
    user, item = films.test[3].tolist()
    score = model.scores(torch.tensor([user]))[0]
    score[films.mask("train", "validation")[user]] = -torch.inf
    place = 1 + int((score > score[item]).sum())
    told = " ".join(m.value for m in app.markdown)
    assert f"user {films.users[user]} and *{films.title(item)}*" in told
    assert f"a score of {score[item]:.2f}, place {place} of " in told
    assert run_cells(app) == 1


@pytest.mark.parametrize("model", ["pal", "watch_next"])
def test_models_of_places_end_with_the_chance_of_a_click_at_the_place(model):
    app = on_page("steps", data="movielens-100k.places", model=model, row="12")
    rows = cache.click_log().dataset.test[12]
    chance = tables.percent(torch.sigmoid(cache.click_model(model)(rows)).item())
    told = " ".join(m.value for m in app.markdown)
    words = explain.readable(cache.click_log().dataset, rows)
    assert (
        f"*{words['item']}*, shown at place {int(words['position'])}" in told
        and f"a click a chance of {chance};" in told
    )
    assert ("it was clicked" in told) == (rows.label.item() > 0.5)
    count = len(app.pills(key="control.step").options)
    for k in range(1, count + 1):
        app = checked(app.pills(key="control.step").set_value(k).run())
    assert run_cells(app) == 1


def test_a_trace_that_fails_is_told(monkeypatch):
    def refuse(*args):
        raise ValueError("the numbers give 1, not 2")

    monkeypatch.setattr(steps, "traced", refuse)
    app = on_page("steps")
    assert app.error[0].value == "**This row cannot be stepped through.** the numbers give 1, not 2"


# --- the drawing ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", sorted(ARCHITECTURES))
def test_the_drawing_has_all_boxes_and_arrows(model):
    boxes, arrows = ARCHITECTURES[model]
    figure = steps_drawing.drawing(model, 1, {k: k + 10 for k in range(len(boxes))})
    assert len(figure.layout.shapes) == len(boxes) + 2 * len(arrows)
    assert [re.sub(r"<[^>]+>", "", a.text.split("<br>")[0]).removeprefix("▸ ") for a in figure.layout.annotations] == [
        b.label for b in boxes
    ]
    assert sum(a.text.startswith("<b>▸") for a in figure.layout.annotations) == 1
    spots = figure.data[0]
    for x, y, (step,) in zip(spots.x, spots.y, spots.customdata, strict=True):  # a click lands in its box
        box = boxes[step - 10]
        assert abs(x - box.x) < box.width / 2 and y == box.y


def test_an_arrow_ends_where_the_drawing_has_it():
    boxes, _ = ARCHITECTURES["fm"]
    line, head = steps_drawing.arrow(boxes[0], boxes[1])
    assert line == "M84 48V78" and head == "M84,82L80,75L88,75Z"
    line, head = steps_drawing.arrow(boxes[3], boxes[4])  # into the sum, from the right
    assert line == "M256 204V246H191" and head == "M187,246L194,242L194,250Z"


def test_a_click_opens_the_first_step_of_a_box(monkeypatch):
    state = {"chart": {"selection": {"points": [{"customdata": [6]}]}}, "empty": {"selection": {"points": []}}}
    monkeypatch.setattr(steps.st, "session_state", state)
    steps._clicked("empty")
    assert steps.STEP not in state
    steps._clicked("chart")
    assert state[steps.STEP] == 6


def test_a_tensor_as_picture_and_in_words():
    table = pd.DataFrame(
        [[0.5, -1.0], [0.0, 2.0]], index=["user: 1", "a film with a very long title"], columns=["p", "q"]
    )
    figure = steps_drawing.heatmap(table)
    assert figure.data[0].zmin == -2 and figure.data[0].zmax == 2 and list(figure.data[0].y) == [0, 1]
    assert list(figure.layout.yaxis.ticktext) == ["user: 1", "a film with a ver…"]
    assert figure.data[0].text[1][0] == "a film with a very long title, p"
    counted = steps_drawing.heatmap(pd.DataFrame([[0.0, 1.0]], index=["h"], columns=["unit 1", "unit 2"]))
    assert counted.layout.xaxis.title.text == "unit" and counted.data[0].zmin == 0
    assert steps_drawing.in_words(table) == (
        "2 × 2 numbers from −1.000 (user: 1, q) to 2.000 (a film with a very long title, q)."
    )
    assert steps_drawing.in_words(pd.DataFrame([[-0.25]])) == "One number: −0.250."


@pytest.mark.parametrize(
    ("note", "markdown"),
    [
        ("The largest part is *bias*.", r"The largest part is *bias*\."),
        ("It is *M*A*S*H (1970)* here.", r"It is *M\*A\*S\*H \(1970\)* here\."),
        ("Of **city*: Rome*, $5.", r"Of *\*city\*\: Rome*, \$5\."),
    ],
)
def test_names_in_a_note_are_no_markdown(note, markdown):
    assert steps_drawing.told(note) == markdown
