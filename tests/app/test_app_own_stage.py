"""The reader's own table on the stage: all models, maps and edits after a training, and nothing of it elsewhere."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from explorer import checked, query, run_cells
from streamlit.testing.v1 import AppTest
from test_app_own_data import with_file

from app.core import address, own
from app.parts import steps_drawing
from recsys_lite import explain
from recsys_lite.data import table
from recsys_lite.explain.traces import TRACES, trace
from recsys_lite.fields.encoder import NOTHING
from recsys_lite.lab import trial

SCHEMA = {"item": "categorical", "*city*": "categorical", "age": "numeric", "tags": "bag", "bought": "label"}
MODELS = ["fm", "dcn_v2", "autoint"]


def shop(rows: int = 400) -> bytes:
    """A table whose column names are markdown, and are fields of MovieLens, too."""
    g = np.random.default_rng(0)
    lines = []
    for _ in range(rows):
        item, city, age = g.choice(["tea", "milk", "salt"]), g.choice(["Rome", "Oslo"]), int(g.integers(18, 80))
        tags = "|".join(g.choice(["new", "sale", "big"], 2, replace=False))
        chance = 0.8 if (item == "tea") == (city == "Rome") else 0.2
        lines.append(f"{item},{city},{age if g.random() < 0.9 else ''},{tags},{int(g.random() < chance)}")
    return "\n".join(["item,*city*,age,tags,bought", *lines]).encode()


@pytest.fixture(scope="module")
def trained():
    """The table and models trained on it."""
    torch.set_num_threads(1)
    data = table.read_csv(shop(), SCHEMA)
    trials = trial.run(data, MODELS, epochs=8)
    lines = "\n".join([
        "from recsys_lite.data import table", "from recsys_lite.lab import trial", "",
        f"dataset = table.read_csv({shop()!r}, {SCHEMA!r})", f"trials = trial.run(dataset, {MODELS!r}, epochs=8)",
    ])  # fmt: skip
    return own.Own("ab12cd34", "Your data: shop.csv", data, {m: t.model for m, t in trials.items()}, lines)


def on_stage(trained: own.Own | None, page: str = "compare", **asked: str) -> AppTest:
    """A page in a session that holds a training."""

    def script(module: str) -> None:
        import importlib

        importlib.import_module(f"app.pages.{module}").page()

    app = AppTest.from_function(script, args=(page,), default_timeout=120)
    if trained is not None:
        app.session_state[own.HELD] = trained
    for key, value in asked.items():
        app.query_params[key] = value
    return checked(app.run())


def all_of(block):
    for child in getattr(block, "children", {}).values():
        yield child
        yield from all_of(child)


def maps_of(app: AppTest) -> dict:
    (grid,) = [
        e for e in all_of(app.main) if getattr(getattr(e, "proto", None), "component_name", "") == "recsys_lite_grid"
    ]
    return json.loads(grid.proto.json)


ASKED = {"data": "own", "task": "ab12cd34", "models": "fm,dcn_v2,autoint", "row": "3"}


def test_all_models_maps_and_edits_stand_on_the_stage(trained):
    app = on_stage(trained, **ASKED)
    assert not app.warning and not app.error and [m.label for m in app.metric] == ["FM", "DCN V2", "AutoInt"]
    row = trained.dataset.test[3]
    for metric, model in zip(app.metric, MODELS, strict=True):
        chance = torch.sigmoid(trained.models[model](row)).item()
        assert metric.value == f"{100 * chance:.1f}\u00a0%"
    shown = maps_of(app)
    others = trained.dataset.test[
        torch.randperm(len(trained.dataset.test), generator=torch.Generator().manual_seed(0))[:32].tolist()
    ]
    for column, model in zip(shown["columns"], MODELS, strict=True):
        assert column["bands"][0]["names"] == ["item", "*city*", "age", "tags"]  # not "film"
        assert np.allclose(
            column["bands"][0]["cells"], explain.row_effects(trained.models[model], row, others), atol=1e-4
        )
        assert column["bands"][1]["cells"]
    assert shown["short"] == {} and shown["truth"] is None
    assert run_cells(app) == 2
    words = " ".join(e.value for e in [*app.markdown, *app.caption])
    assert "a row of your table" in words and "Quality and cost" not in " ".join(h.value for h in app.header)


def test_an_edit_counts_and_nothing_of_the_table_stands_in_the_address(trained):
    app = on_stage(trained, **ASKED)
    before = [m.value for m in app.metric]
    box = next(w for w in app.selectbox if w.key == "edit.own.ab12cd34.item")
    other = next(v for v in ("tea", "milk", "salt") if v != box.value)
    app = checked(box.set_value(other).run())
    assert [m.value for m in app.metric] != before and all("points" in m.delta for m in app.metric)
    record = trained.dataset.decode(trained.dataset.test, 3) | {"item": other}
    chance = torch.sigmoid(trained.models["fm"](trained.dataset.encode(record))).item()
    assert app.metric[0].value == f"{100 * chance:.1f}\u00a0%"
    assert not [k for k in query(app) if k.startswith("set.")] and other not in json.dumps(query(app))
    assert app.session_state["compare.state"].edits == {"item": other}
    number = next(w for w in app.number_input if w.key.endswith(".age"))
    app = checked(number.set_value(33.0).run())
    scaled = (33.0 - trained.dataset.field("age").scale[0]) / trained.dataset.field("age").scale[1]
    record["age"] = scaled
    chance = torch.sigmoid(trained.models["fm"](trained.dataset.encode(record))).item()
    assert app.metric[0].value == f"{100 * chance:.1f}\u00a0%"
    assert run_cells(app) == 2
    app = checked(app.button(key="strip.reset").click().run())
    assert [m.value for m in app.metric] == before


def test_a_number_is_shown_as_the_table_has_it(trained):
    field = trained.dataset.field("age")
    for k in range(20):
        raw = address.shown(trained.dataset, address.original(trained.dataset, k))["age"]
        assert raw == pytest.approx(round(raw * 2) / 2, abs=1e-3)  # whole years, or the median
        edited = address.edited(trained.dataset, address.original(trained.dataset, k), {"age": raw})["age"]
        assert edited == pytest.approx(address.original(trained.dataset, k)["age"], abs=1e-5)
    missing = address.edited(trained.dataset, address.original(trained.dataset, 0), {"age": None})["age"]
    assert missing == pytest.approx((field.fill - field.scale[0]) / field.scale[1])
    assert (
        address._scaled(trained.dataset, type(field)("age", "numeric", transform=NOTHING, scale=(0.0, 1.0)), 5.0) == 0
    )


def test_another_session_sees_nothing_of_it(trained):
    on_stage(trained, **ASKED)
    app = on_stage(None, **ASKED)
    assert "there is no data set “own”" in app.warning[0].value.replace("\\", "")
    assert "shop" not in app.warning[0].value and "Your data: shop.csv" not in app.selectbox(key="compare.task").options
    assert query(app).get("data") != "own"


def test_a_training_that_is_gone_is_named_and_another_can_be_chosen(trained):
    app = on_stage(trained, **ASKED)
    del app.session_state[own.HELD]
    app = checked(app.run())
    assert "this session holds no such training" in app.error[0].value.replace("\\", "")
    app = checked(next(b for b in app.button if b.label == "Show Criteo instead").click().run())
    assert not app.error and query(app)["data"] == "criteo-sample"


def test_the_page_of_one_models_pairs_knows_the_table_too(trained):
    app = on_stage(trained, "inside", data="own.ab12cd34", model="fm", view="pairs", rows="one", row="3")
    table_ = explain.pair_strength(trained.models["fm"], trained.dataset.test[3], signed=True)
    value = explain.strongest(table_)[2]
    assert any(f"({value:.4g} log-odds)" in m.value for m in app.markdown) and not app.error


@pytest.fixture(scope="module")
def all_trained(trained):
    """The table, and every model that fits it, by one epoch."""
    torch.set_num_threads(1)
    trials = trial.run(trained.dataset, trial.possible(trained.dataset.fields), epochs=1)
    return replace(trained, key="ef56ab78", models={m: t.model for m, t in trials.items()})


@pytest.mark.slow("trains all models that fit a table")
def test_every_model_of_the_table_can_be_stepped_through(all_trained):
    app = on_stage(all_trained, "steps", data="own.ef56ab78", row="3")
    assert not app.error and not app.warning and app.selectbox(key="control.data").value == "own.ef56ab78"
    traced = [m for m in all_trained.models if m in TRACES]
    assert len(app.selectbox(key="control.model").options) == len(traced) > 8
    for model in traced:
        app = checked(app.selectbox(key="control.model").set_value(model).run())
        assert not app.error and query(app)["model"] == model
        chance = torch.sigmoid(all_trained.models[model](all_trained.dataset.test[3])).item()
        label = int(all_trained.dataset.test.label[3])
        words = " ".join(m.value for m in app.markdown)
        assert f"a chance of {100 * chance:.1f}\u00a0%; in the data its label is {label}." in words, model


def test_a_row_of_the_table_is_stepped_through_with_its_edits_and_its_names_are_no_markdown(trained):
    traced = trace("fm", trained.models["fm"], trained.dataset.test[3])
    step = next(k for k, s in enumerate(traced, 1) if "*city*" in steps_drawing.in_words(s.result) + s.note)
    app = on_stage(trained, "steps", data="own.ab12cd34", model="fm", row="3", step=str(step))
    shown = next(m.value for m in app.markdown if m.value.startswith("**What you see.**"))
    assert r"\*city\*" in shown and run_cells(app) == 1
    box = next(w for w in app.selectbox if w.key == "edit.own.ab12cd34.item")
    other = next(v for v in ("tea", "milk", "salt") if v != box.value)
    app = checked(box.set_value(other).run())
    record = trained.dataset.decode(trained.dataset.test, 3) | {"item": other}
    chance = torch.sigmoid(trained.models["fm"](trained.dataset.encode(record))).item()
    assert any(f"a chance of {100 * chance:.1f}\u00a0%" in m.value for m in app.markdown)
    assert run_cells(app) == 1 and other not in json.dumps(query(app))
    assert any("The weights are those of one training." in m.value for e in app.expander for m in e.markdown)


def test_another_session_steps_through_nothing_of_it(trained):
    on_stage(trained, "steps", data="own.ab12cd34", model="fm", row="3")
    app = on_stage(None, "steps", data="own.ab12cd34", model="fm", row="3")
    assert app.selectbox(key="control.data").value == "movielens-100k.click" and "shop" not in str(app.main)


@pytest.mark.slow("trains four models in a process")
def test_from_the_file_to_the_stage(real_worker, monkeypatch):
    monkeypatch.setattr(trial, "fit_in_steps", None)  # this process trains nothing

    def script(_: str) -> None:
        import streamlit as st

        from app.core import controls
        from app.pages import compare, own_data

        stage = st.Page(compare.page, title="Compare", url_path="start")
        first = st.Page(own_data.page, title="Your data", url_path="own_data", default=True)
        chosen = st.navigation([first, stage])
        st.session_state[controls.PAGES] = {"compare": stage}
        controls.follow("own_data" if chosen is first or chosen == first else "compare")
        chosen.run()

    app = AppTest.from_function(script, args=("",), default_timeout=600)
    app.query_params["epochs"] = "10"
    app = with_file(checked(app.run()), shop())
    app = checked(app.multiselect(key="control.more").set_value(["dcn_v2", "autoint"]).run())
    assert query(app)["more"] == "dcn_v2,autoint"
    (button,) = [b for b in app.button if b.label.startswith("Train ")]
    assert button.label == "Train Logistic regression, Factorization machine, DCN V2 and AutoInt"
    app = checked(button.click().run())
    assert not app.error, app.error[0].value
    beside = next(d.value for d in app.dataframe if "verdict" in d.value and "test" in d.value)
    assert {"Logistic regression", "Factorization machine", "DCN V2", "AutoInt"} <= set(beside.columns)
    (onto,) = [b for b in app.button if b.label.startswith("See them on the stage")]
    app = checked(onto.click().run())
    assert [m.label for m in app.metric] == ["LR", "FM", "DCN V2", "AutoInt"] and not app.error and not app.warning
    held = app.session_state[own.HELD]
    assert list(held.models) == ["logistic_regression", "fm", "dcn_v2", "autoint"]
