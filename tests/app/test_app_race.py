"""The page that trains live, without a browser."""

import time

import pytest
import streamlit as st
from explorer import checked, on_page, query, run_cells, seen

from app.core import run
from app.pages import race
from app.parts import race_words as words
from recsys_lite import store
from recsys_lite.data.simulated.planted import planted
from recsys_lite.lab.race import Race, best

DEFAULT = {
    "a": "logistic_regression", "b": "fm", "seed": "0", "noise": "0.1", "rows": "2000", "lr": "0.01", "epochs": "20",
}  # fmt: skip
SHORT = {"rows": "500", "epochs": "10", "noise": "0.2", "seed": "3"}


def button(app, label):
    (found,) = [b for b in app.button if b.label.startswith(label)]
    return found


def press(app, label):
    assert not button(app, label).disabled
    return checked(button(app, label).click().run())


def enabled(app):
    return [b.label.split(":")[0] for b in app.button if not b.disabled]


def at(app):
    """The epoch that the page shows; 0 without a race of its own."""
    found = app.get("progress")
    return int(found[0].proto.text.split()[1]) if found else 0


@pytest.fixture
def untrained(monkeypatch):
    """A page that starts a process to train fails."""

    def fail(*_, **__):
        raise AssertionError("trained without being asked")

    monkeypatch.setattr(run, "Worker", fail)


class Failing:
    """A worker whose first epochs are those of a real race, and whose next one fails."""

    def __init__(self, epochs: int, error: Exception):
        race_ = Race(("logistic_regression", "fm"), 3, 0.2, 500, epochs=10)
        self.steps, self.error, self.alive = [], error, True
        for _ in range(epochs):
            race_.step()
            self.steps.append((race_.table(), race_.pairs()))

    def ask(self):
        pass

    def take(self, seconds):
        if self.steps:
            return "item", self.steps.pop(0)
        raise self.error

    def close(self):
        self.alive = False


def test_the_first_view_is_a_stored_race_and_trains_nothing(untrained):
    app = on_page("race")
    assert query(app) == DEFAULT and enabled(app) == ["Play", "Step"] and at(app) == 0 and not app.info
    runs = {(r["model"], r["seed"]): r for r in store.read_json(store.RESULTS / "race.json")["runs"]}
    last = {m: runs[m, 0]["curve"][-1] for m in ("logistic_regression", "fm")}
    data = planted(2, seed=0, rows=2000)
    (text,) = seen(app)
    assert "A stored race, seed 0" in text and "After all 20 epochs" in text
    assert f"is {last['logistic_regression']['validation auc']:.3f} for Logistic regression" in text
    assert f"and {last['fm']['validation auc']:.3f} for Factorization machine" in text
    assert f"the planted truth itself has {best(data, data.validation, 0.1)['auc']:.3f} on these 500 rows" in text
    ((c, f),) = data.extras["crosses"]
    assert "Logistic regression has found no pair." in text
    assert f"The strongest pair in Factorization machine is {c} × {f}, the planted one." in text
    bar = words.chance_bar(data.validation.label)  # 500 rows, about half of them 1
    assert bar == pytest.approx(0.0506, abs=2e-4) and abs(last["logistic_regression"]["validation auc"] - 0.5) < bar
    assert f"The AUC of Logistic regression is no different from chance, one half ± {bar:.3f}" in text
    assert "ends ahead of Logistic regression by 0.4" in text and "over the stored seeds 0 to 4" in text
    assert len(app.get("plotly_chart")) == 4
    assert run_cells(app) == 1


@pytest.mark.slow("trains epochs of a race")
def test_play_goes_on_by_itself_until_it_is_paused():
    app = press(on_page("race", **SHORT), "Play")
    assert at(app) == 1 and enabled(app) == ["Pause", "Reset"]
    assert "After 1 of 10 epochs" in seen(app)[0] and not [e for e in app.expander if "downloads" in e.label]
    app = checked(app.run())  # what the browser asks for
    assert at(app) == 2
    app = press(app, "Pause")
    assert at(app) == 2 and enabled(app) == ["Play", "Step", "Reset"]
    assert at(checked(app.run())) == 2
    app = press(app, "Step")
    assert at(app) == 3 and at(checked(app.run())) == 3
    assert query(app) == DEFAULT | SHORT
    assert run_cells(app, rtol=1e-6) == 1
    app = press(app, "Play")
    for _ in range(6):
        app = checked(app.run())
    assert at(app) == 10 and enabled(app) == ["Reset"]
    assert "After all 10 epochs" in seen(app)[0] and "This is one seed" in seen(app)[0]
    assert run_cells(app, rtol=1e-6) == 1
    app = press(app, "Reset")
    assert at(app) == 0 and "No race is stored for these settings" in app.info[0].value and not seen(app)


@pytest.mark.slow("starts a process")
def test_a_race_is_trained_by_a_process_of_its_own(real_worker, monkeypatch):
    monkeypatch.setattr(race, "PATIENCE", 0.01)
    monkeypatch.setattr(Race, "step", None)  # this process trains nothing
    app = press(on_page("race", **SHORT), "Step")
    worker = app.session_state[race.LIVE].worker
    for _ in range(3000):  # the browser asks again and again
        if at(app):
            break
        time.sleep(0.1)
        app = checked(app.run())
    assert at(app) == 1 and worker.alive and "After 1 of 10 epochs" in seen(app)[0]
    press(app, "Reset")
    assert not worker.alive


@pytest.mark.slow("runs a race to its end")
def test_the_last_epoch_of_the_live_race_is_that_of_the_stored_one():
    app = press(on_page("race"), "Play")
    while at(app) < 20:
        app = checked(app.run())
    live = seen(app)[0]
    assert "stored race" not in live and "over the stored seeds 0 to 4" in live
    app = press(app, "Reset")
    stored = seen(app)[0]
    number = lambda text: float(text.split("for Logistic regression and ")[1].split()[0])  # noqa: E731
    assert number(live) == pytest.approx(number(stored), abs=0.01)


@pytest.mark.parametrize(
    ("key", "value", "kind"),
    [
        ("a", "deepfm", "selectbox"), ("b", "gdcn", "selectbox"), ("noise", 0.3, "selectbox"),
        ("rows", 1000, "selectbox"), ("lr", 0.003, "selectbox"), ("epochs", 40, "selectbox"),
        ("seed", 7, "number_input"),
    ],
)  # fmt: skip
def test_every_choice_stands_in_the_address_and_makes_another_race(key, value, kind):
    app = press(on_page("race"), "Play")
    assert at(app) == 1
    app = checked(getattr(app, kind)(key=f"control.{key}").set_value(value).run())
    assert query(app) == DEFAULT | {key: str(value)} and at(app) == 0 and "Pause" not in enabled(app)
    assert len(seen(app)) == (key in ("a", "b"))  # models have stored races, other settings have not
    assert bool(app.info) == (key not in ("a", "b"))
    assert at(checked(app.run())) == 0


def test_an_address_brings_everything_back(untrained):
    asked = {"a": "dhen", "b": "autoint", "seed": "4", "noise": "0.0", "rows": "4000", "lr": "0.03", "epochs": "40"}
    app = on_page("race", **asked)
    assert query(app) == asked and "No race is stored" in app.info[0].value and len(app.get("plotly_chart")) == 1
    assert any("turned over in 0% of the rows" in c.value for c in app.caption)
    app = on_page("race", a="dhen", b="autoint", seed="4")
    assert "A stored race, seed 4" in seen(app)[0] and run_cells(app) == 1


@pytest.mark.parametrize(
    "asked",
    [
        {"a": "ncf", "b": "logistic_regression", "seed": "100", "noise": "0.5", "rows": "7", "lr": "9", "epochs": "0"},
        {"a": "", "b": "x", "seed": "-1", "noise": "much", "rows": "1e9", "lr": "nan", "epochs": "²"},
    ],
)
def test_a_strange_address_falls_back(asked):
    assert query(on_page("race", **asked)) == DEFAULT


def test_a_model_does_not_race_against_itself(untrained):
    app = on_page("race", a="fm", b="fm")
    assert query(app) == DEFAULT | {"a": "fm", "b": "logistic_regression"}
    assert "fm" not in app.selectbox(key="control.b").options


@pytest.mark.parametrize(
    "error", [ValueError("fit: the loss is nan in epoch 2; try a smaller lr"), RuntimeError("The process has ended.")]
)
def test_an_epoch_that_fails_ends_the_race_and_says_why(monkeypatch, error):
    failing = Failing(1, error)
    monkeypatch.setattr(run, "live", lambda *_, **__: failing)
    app = press(on_page("race", **SHORT), "Step")
    app = press(app, "Play")
    assert str(error).split(";")[0] in app.error[0].value.replace("\\", "") and at(app) == 1
    assert enabled(app) == ["Reset"] and "After 1 of 10 epochs" in seen(app)[0] and not failing.alive
    app = press(app, "Reset")
    monkeypatch.setattr(run, "live", lambda *_, **__: Failing(0, error))
    app = press(app, "Step")  # fails in its first epoch
    assert app.error and not seen(app) and not app.info
    assert not press(app, "Reset").error


def test_a_race_ends_with_its_session_or_its_choices_and_there_are_not_too_many():
    app = press(on_page("race", **SHORT), "Step")
    first = app.session_state[race.LIVE].worker
    assert first.alive
    app = checked(app.number_input(key="control.seed").set_value(4).run())  # another race
    assert not first.alive
    kept = [press(on_page("race", **SHORT, lr=lr), "Step") for lr in ("0.01", "0.003", "0.03")]
    app = press(app, "Play")
    assert run.BUSY in [w.value for w in app.warning] and at(app) == 0
    worker = kept[0].session_state[race.LIVE].worker
    press(kept[0], "Reset")
    assert not worker.alive
    assert not press(app, "Step").warning and at(app) == 1


def test_while_another_session_trains_a_race_waits():
    app = press(on_page("race", **SHORT), "Play")
    before = at(app)
    with run.lock():
        app = checked(app.run())
        assert at(app) == before and "this race waits" in " ".join(c.value for c in app.caption)
    assert at(checked(app.run())) == before + 1


@pytest.mark.parametrize("button", ["Play", "Step"])
def test_a_button_pressed_while_another_session_trains_says_so_at_once(button):
    app = on_page("race", **SHORT)
    with run.lock():
        app = press(app, button)
        assert run.BUSY in [w.value for w in app.warning] and at(app) == 0
    assert not checked(app.run()).warning
    app = press(app, "Step")
    with run.lock():
        app = press(app, "Step")
        assert run.BUSY in [w.value for w in app.warning] and at(app) == 1


def test_without_a_results_file_the_page_invites(monkeypatch, tmp_path, untrained):
    monkeypatch.setattr(store, "RESULTS", tmp_path)
    st.cache_data.clear()
    app = on_page("race")
    assert "No race is stored" in app.info[0].value and len(app.get("plotly_chart")) == 1
    st.cache_data.clear()


ASKED = words.Asked(("fm", "dcn"), 0, 0.1, 2000, 0.01, 20)


@pytest.mark.parametrize(
    ("ends", "text"),
    [
        ({"fm": (0.8, 0.8), "dcn": (0.9, 0.9)}, "DCN ends ahead of Factorization machine by 0.100 on average"),
        ({"fm": (0.9, 0.9), "dcn": (0.8, 0.8)}, "Factorization machine ends ahead of DCN by 0.100 on average"),
        (
            {"fm": (0.8, 0.9), "dcn": (0.9, 0.8)},
            "Over the stored seeds 0 to 1, each with data of its own: DCN less Factorization machine is +0.000 (95 % "
            "interval -1.271 to +1.271), undecided: very many seeds.",
        ),
        ({"fm": (0.8,), "dcn": (0.9,)}, "This is one seed"),
    ],
)
def test_who_is_ahead_over_seeds(monkeypatch, ends, text):
    runs = [
        {"model": m, "seed": s, "curve": [{"validation auc": auc}]}
        for m, end in ends.items()
        for s, auc in enumerate(end)
    ]
    monkeypatch.setattr(words, "record", lambda _: {"about": {"settings": ASKED.settings}, "runs": runs})
    assert words.over_seeds(ASKED).startswith(text)
    monkeypatch.setattr(words, "record", lambda _: {"about": {"settings": {}}, "runs": runs})
    assert words.over_seeds(ASKED) == "This is one seed: a small lead may be chance."
