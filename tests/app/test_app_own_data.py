"""The page on the reader's own data, without a browser."""

import numpy as np
import pytest
from explorer import checked, on_page, query, run_cells
from streamlit.testing.v1 import AppTest

from app.core import names, run
from app.pages import own_data
from app.parts import own_data_file
from recsys_lite.data import table
from recsys_lite.evaluation import score
from recsys_lite.lab import trial

DEFAULT = {"a": "logistic_regression", "b": "fm", "split": "random", "seed": "0", "epochs": "30", "lr": "0.003"}


def said(app):
    return [m.value.replace("\\", "") for m in app.markdown if m.value.startswith("**What you see.**")]


def pressed(app):
    (button,) = [b for b in app.button if b.label.startswith("Train ")]
    return checked(button.click().run())


def with_file(app, data, name="shop.csv"):
    app.file_uploader[0].set_value((name, data, "text/csv"))
    return checked(app.run())


def shop(rows=300, seed=0):
    """A file with semicolons, words for a label, a column of time and a name that markdown would take for its own."""
    g = np.random.default_rng(seed)
    lines = [
        f"2024-{1 + k % 12:02d}-{1 + k % 28:02d};{g.choice(['Rome', 'Oslo'])};{g.integers(18, 80)};"
        f"{'yes' if g.random() < 0.4 else 'no'}"
        for k in range(rows)
    ]
    return "\n".join(["day;*city*;age;bought", *lines]).encode()


def test_the_first_view_tells_of_the_example_and_trains_nothing(monkeypatch):
    monkeypatch.setattr(run, "Worker", None)  # a call would fail
    app = on_page("own_data")
    assert query(app) == DEFAULT and not app.error
    data = table.read_csv(table.example(), table.EXAMPLE)
    (text,) = said(app)
    assert "The made-up example has 4,000 rows. Models read 5 columns (3 categorical, 1 bag, 1 numeric)" in text
    assert f"to predict taken, which is 1 in {data.train.label.mean():.1%} of the 2,400 training rows" in text
    form = app.data_editor[0].value
    assert dict(zip(form["column"], form["kind"], strict=True)) == table.EXAMPLE
    assert form["empty"].tolist() == [0, 38, 0, 0, 76, 0, 0]
    assert any("38 empty cells taken as one more value" in c.value for c in app.caption)
    assert not [e for e in app.expander if "downloads" in e.label]
    assert set(app.selectbox(key="control.a").options).isdisjoint({"Two towers", "Neural collaborative filtering"})


@pytest.mark.slow("trains, twice")
def test_the_button_trains_and_the_cells_make_the_same_numbers():
    app = pressed(on_page("own_data"))
    data = table.read_csv(table.example(), table.EXAMPLE)
    trials = trial.run(data, ["logistic_regression", "fm"])
    quality = trial.quality(data, trials).set_index("model")
    text = said(app)[1]
    assert f"{quality.loc['fm', 'auc']:.3f} [{quality.loc['fm', 'auc low']:.3f}, " in text
    assert "Factorization machine is better" in text and "Not shown" not in text
    (beside,) = [d.value for d in app.dataframe if "verdict" in d.value and "test" in d.value]
    assert beside["verdict"].tolist() == ["Factorization machine is better"] * 2
    assert beside["Factorization machine"].tolist() == pytest.approx(quality.loc["fm", ["auc", "log_loss"]].tolist())
    assert len(app.get("plotly_chart")) == 4
    assert run_cells(app) == 5


def test_changed_settings_hide_the_results_until_they_come_back():
    app = pressed(on_page("own_data", epochs="10"))
    assert query(app)["epochs"] == "10" and len(said(app)) == 2
    app = checked(app.selectbox(key="control.lr").set_value(0.01).run())
    assert len(said(app)) == 1 and "The settings have changed" in app.info[0].value
    app = checked(app.selectbox(key="control.lr").set_value(0.003).run())
    assert len(said(app)) == 2 and not app.info


@pytest.mark.slow("trains every model")
def test_every_model_on_offer_trains(monkeypatch):
    monkeypatch.setattr(own_data, "EPOCHS", [1])
    small = table.example(rows=400)
    monkeypatch.setattr(table, "example", lambda: small)
    app = on_page("own_data")
    offered = trial.possible(table.read_csv(small, table.EXAMPLE).fields)
    assert offered[0] == "logistic_regression" and len(offered) >= 10
    for model in offered[1:]:
        app = pressed(checked(app.selectbox(key="control.b").set_value(model).run()))
        assert query(app)["b"] == model and len(said(app)) == 2 and not app.error


def test_an_address_brings_the_settings_back_and_a_strange_one_falls_back():
    asked = {"a": "deepfm", "b": "dcn_v2", "split": "time", "seed": "7", "epochs": "10", "lr": "0.01"}
    app = on_page("own_data", **asked)
    assert query(app) == asked
    assert app.selectbox(key="own_data.time.").value == "day"
    strange = {"a": "gbdt", "b": "ncf", "split": "half", "seed": "-1", "epochs": "1e9", "lr": "x"}
    assert query(on_page("own_data", **strange)) == DEFAULT
    assert query(on_page("own_data", a="fm", b="fm"))["b"] == "logistic_regression"  # not twice the same


def test_a_file_is_read_checked_and_trained_and_never_in_the_address():
    app = with_file(on_page("own_data", epochs="10"), shop())
    text = said(app)[0]
    assert "shop.csv has 300 rows. Models read 2 columns (1 categorical, 1 numeric) to predict bought" in text
    form = app.data_editor[0].value
    assert form["kind"].tolist() == ["leave out", "categorical", "numeric", "label"]
    app = checked(app.selectbox(key="control.split").set_value("time").run())
    (positive,) = [s for s in app.selectbox if s.label.startswith("Counts as 1")]
    assert positive.value == "yes"
    app = pressed(checked(positive.set_value("no").run()))
    text = said(app)[1]
    assert "On 60 test rows the AUC is" in text and "undecided: about " in text
    code = next(e for e in app.expander if "downloads" in e.label).code[0].value
    assert "read_csv('shop.csv', schema, separator" not in code
    assert "dataset = read_csv('shop.csv', schema, split='time', seed=0, time='day', positive='no')" in code
    assert query(app) == DEFAULT | {"split": "time", "epochs": "10"}


def test_the_cell_of_a_file_makes_its_numbers(tmp_path, monkeypatch):
    app = pressed(with_file(on_page("own_data", epochs="10"), shop()))
    (tmp_path / "shop.csv").write_bytes(shop())
    monkeypatch.chdir(tmp_path)
    assert run_cells(app) == 5


def test_taking_a_file_away_brings_the_example_back():
    app = with_file(on_page("own_data"), shop())
    app.file_uploader[0].set_value(None)
    app = checked(app.run())
    assert "The made-up example" in said(app)[0]
    kept = {k: app.session_state[k] for k in (own_data_file.READ, own_data_file.MADE)}
    assert "shop" not in repr(kept[own_data_file.READ][1].file) and kept[own_data_file.READ][1].frame.shape == (4000, 7)
    assert own_data_file.TRAINED not in app.session_state


def test_a_file_and_its_kinds_are_still_there_after_a_visit_to_another_page():
    def script():
        import streamlit as st

        from app.pages import own_data

        if st.toggle("Elsewhere"):
            st.title("Another page")
        else:
            own_data.page()

    app = checked(AppTest.from_function(script, default_timeout=120).run())
    app = with_file(app, shop())
    editor = f"{own_data.KINDS}.{app.session_state[own_data_file.READ][0]}"
    ages = list(app.data_editor[0].value["column"]).index("age")
    app.session_state[own_data.KINDS][editor.removeprefix(f"{own_data.KINDS}.")]["age"] = "categorical"  # as edited
    app = checked(app.toggle[0].set_value(True).run())
    assert not app.data_editor
    app = checked(app.toggle[0].set_value(False).run())
    assert "shop.csv has 300 rows" in said(app)[0]
    assert app.data_editor[0].value["kind"][ages] == "categorical"
    assert any("Still here: shop" in c.value for c in app.caption)
    (away,) = [b for b in app.button if b.label == "Take it away"]
    assert "The made-up example" in said(checked(away.click().run()))[0]


@pytest.mark.slow("trains")
def test_a_second_file_is_scored_by_both_models():
    app = pressed(with_file(on_page("own_data", epochs="10"), shop()))
    new = b"day,age\n2024-01-01,30\n"
    app.file_uploader[1].set_value(("new.csv", new, "text/csv"))
    app = checked(app.run())
    (error,) = [e.value.replace("\\", "") for e in app.error]
    assert error.startswith("**These rows cannot be scored yet.**") and "city" in error
    new = b"day,age,*city*\n2024-01-01,30,Rome\n2031-01-01,,Paris\n2024-01-02,41,Oslo\n"
    app.file_uploader[1].set_value(("new.csv", new, "text/csv"))
    app = checked(app.run())
    scored = app.dataframe[-1].value
    models = app.session_state[own_data_file.TRAINED][2]
    rows = [{"day": "2024-01-01", "age": "30", "*city*": "Rome"}, {"day": "2031-01-01", "age": "", "*city*": "Paris"}]
    for model, trained in models.items():
        assert np.allclose(scored[f"probability, {names.name(model)}"][:2], score(trained, rows))
    assert any("Download all rows, scored" in b.label for b in app.get("download_button"))
    app.file_uploader[1].set_value(("new.csv", b"day,age,*city*\n2024-01-01,old,Rome\n", "text/csv"))
    (error,) = [e.value.replace("\\", "") for e in checked(app.run()).error]
    assert "line 2, column 'age': expected a number, got 'old'" in error


def test_bad_files_get_a_message_with_line_and_column():
    lines = shop().decode().split("\n")
    lines[16] = lines[16].rsplit(";", 2)[0] + ";abc;no"
    lines[20] = "2024-01-01;Rome;30;maybe"
    app = with_file(on_page("own_data"), "\n".join(lines).encode())
    (error,) = [e.value.replace("\\", "") for e in app.error]
    assert "- line 17, column 'age': 'abc' is not a number" in error
    assert "- line 21, column 'bought': 'maybe' is neither of the label's two values, 'no' and 'yes'" in error
    assert not app.button and query(app) == DEFAULT
    app = with_file(app, b"a,b\n" + b"1\n" * 30)
    (error,) = [e.value for e in app.error]
    assert "line 11\\: 1 cell, but the header has 2" in error and "line 12" not in error and "and 20 more" in error
    app = with_file(app, b"a,b\n" + b"0,1\n" * 100_001)
    assert "more than 100,000 rows" in app.error[0].value
    app = with_file(app, "größe,y\n".encode("latin-1"))
    assert "is not UTF" in app.error[0].value
    app = with_file(app, shop())
    assert not app.error and len(said(app)) == 1


def test_the_separator_can_be_chosen():
    data = b"a;b,y\n" + b"1;2,0\n3;4,1\n" * 100  # as many of both
    app = with_file(on_page("own_data"), data)
    assert app.data_editor[0].value["column"].tolist() == ["a;b", "y"]
    app = checked(app.selectbox(key="own_data.separator").set_value(";").run())
    assert app.data_editor[0].value["column"].tolist() == ["a", "b,y"]


def test_kinds_chosen_in_the_form_are_used():
    app = on_page("own_data")
    app.session_state["own_data.kinds."] = {
        "edited_rows": {1: {"kind": "leave out"}, 4: {"kind": "categorical"}}, "added_rows": [], "deleted_rows": [],
    }  # fmt: skip
    app = checked(app.run())
    assert "Models read 4 columns (3 categorical, 1 bag)" in said(app)[0]
    app.session_state["own_data.kinds."] = {
        "edited_rows": {2: {"kind": "numeric"}, 6: {"kind": "leave out"}}, "added_rows": [], "deleted_rows": [],
    }  # fmt: skip
    app = checked(app.run())
    error = app.error[0].value
    assert "no column is the label; one must be" in error and "column 'drink'\\: the column holds no number" in error


def test_a_training_that_fails_says_why_and_one_at_a_time_runs(monkeypatch):
    class Broken:
        def __init__(self, *_, **__):
            pass

        def run(self, *_):
            raise ValueError("fit: the loss is nan in epoch 1; try a smaller lr")

    app = on_page("own_data")
    with run.lock():
        app = pressed(app)
        assert "Another training is running" in app.warning[0].value and len(said(app)) == 1
    monkeypatch.setattr(run, "Worker", Broken)
    app = pressed(app)
    assert "Nothing was trained" in app.error[0].value and "try a smaller lr" in app.error[0].value
    assert run.lock().acquire(blocking=False)  # it was given back
    run.lock().release()


def test_text_of_a_file_cannot_become_markdown():
    assert names.plain("a*b_[c](d) $x$ :red[e] `f`\n# g <b>") == (
        "a\\*b\\_\\[c\\]\\(d\\) \\$x\\$ \\:red\\[e\\] \\`f\\` \\# g \\<b\\>"
    )
