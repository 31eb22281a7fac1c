"""The game: what is shown, that the truth comes after the guess, and whose score is kept."""

import re

import numpy as np
import pandas as pd
import pytest
from explorer import checked, on_page, query, run_cells, seen

from app.pages import game
from app.parts import pair_boards
from recsys_lite import store
from recsys_lite.lab import pair_game

STORED = store.read_json(store.RESULTS / "pair_game.json")


def buttons(app):
    return {b.label.split()[0] + b.label.split()[2]: b for b in app.button if " × " in b.label}


def guessed(app, pair):
    return checked(buttons(app)["".join(pair)].click().run())


def shown(app) -> str:
    return " ".join(e.value for e in [*app.markdown, *app.success, *app.info, *app.caption])


def test_a_round_shows_fifteen_maps_and_not_the_answer():
    app = on_page("game")
    assert query(app) == {"round": "1"} and len(buttons(app)) == 15 and not app.warning
    assert not any("planted" in b.label for b in app.button) and not app.metric and not seen(app)
    assert "600 rows" in shown(app) and "20%" in shown(app) and not [e for e in app.expander if "downloads" in e.label]
    truth = pair_game.answer(pair_game.board(1))
    assert " × ".join(truth) not in shown(app)


@pytest.mark.parametrize("right", [True, False])
def test_the_truth_and_the_models_come_after_the_guess(right):
    truth = pair_game.answer(pair_game.board(1))
    pair = truth if right else next(p for p in (("A", "B"), ("C", "D")) if p != truth)
    app = guessed(on_page("game"), pair)
    (planted,) = [b.label for b in app.button if "planted" in b.label]
    assert planted.startswith(" × ".join(truth)) and all(b.disabled for b in buttons(app).values())
    assert bool(app.success) == right and bool(app.info) != right
    answers = {r["model"]: (r["a"], r["b"]) for r in STORED["runs"] if r["round"] == 1}
    found = sum(a == truth for a in answers.values())
    assert f"{found} of 5 models found it" in seen(app)[0]
    scores = [m.value for m in app.metric]
    assert scores == [str(int(right)), *(str(int(answers[m] == truth)) for m in pair_game.PLAYERS)]
    assert run_cells(app) == 1


def test_the_score_is_kept_over_rounds_and_a_guess_is_made_once():
    app = guessed(on_page("game", round="12"), ("A", "B"))
    assert [b.disabled for b in app.button if b.label == "Next round"] == [True]
    app = checked(app.number_input(key="control.round").set_value(3).run())
    assert not any("planted" in b.label for b in app.button) and "Score after 1 round" in shown(app)
    app = guessed(app, pair_game.answer(pair_game.board(3)))
    assert "Score after 2 rounds" in shown(app) and query(app) == {"round": "3"}
    app = checked(next(b for b in app.button if b.label == "Next round").click().run())
    assert query(app) == {"round": "4"}
    app = checked(app.number_input(key="control.round").set_value(12).run())
    assert any("yours" in b.label for b in app.button) or pair_game.answer(pair_game.board(12)) == ("A", "B")


def test_the_maps_are_the_shares_of_the_training_rows():
    data = pair_game.board(5)
    table = pair_game.shares(data)
    names = [f.name for f in data.fields]
    line = table[(table["a"] == "B") & (table["b"] == "E")].iloc[6]
    ids = data.train.ids
    here = (ids[:, 1] == data.fields[1].vocabulary.encode([line["value of a"]])[0]) & (
        ids[:, 4] == data.fields[4].vocabulary.encode([line["value of b"]])[0]
    )
    assert names == list("ABCDEF") and line["rows"] == int(here.sum())
    assert line["share of 1"] == pytest.approx(float(data.train.label[here].mean()))
    a, b = pair_game.answer(data)  # the planted pair is the one whose shares vary most, given rows enough
    first = pair_game.shares(pair_game.board(1)).groupby(["a", "b"])["share of 1"].std()
    assert first.idxmax() == pair_game.answer(pair_game.board(1)) and (a, b) in set(
        zip(table["a"], table["b"], strict=True)
    )


def test_a_picture_says_what_it_shows():
    part = pd.DataFrame(
        [["A", "B", "<x>", "y", 4, 0.25], ["A", "B", "z", "y", 0, np.nan]],
        columns=["a", "b", "value of a", "value of b", "rows", "share of 1"],
    )
    made = pair_boards.picture(part)
    assert "&lt;x&gt;, y: 25%" in made and "z, y: no row" in made and "<x>" not in made
    assert "from 25 to 25 per cent" in made and len(re.findall("<div title", made)) == 2


def test_the_stored_answers_are_whole():
    assert STORED["about"]["levels"] == [list(level) for level in pair_game.LEVELS]
    assert STORED["about"]["training"] == pair_game.TRAINING
    assert [(r["round"], r["model"]) for r in STORED["runs"]] == [
        (k, m) for k in range(1, pair_game.ROUNDS + 1) for m in pair_game.PLAYERS
    ]


@pytest.mark.slow("trains a model")
def test_a_stored_answer_can_be_had_again():
    (one,) = [r for r in STORED["runs"] if r["round"] == 1 and r["model"] == "fm"]
    assert pair_game.guess("fm", 1) == (one["a"], one["b"])


def test_without_stored_answers_the_page_says_so(monkeypatch):
    monkeypatch.setattr(game, "record", lambda _: {})
    app = guessed(on_page("game"), ("A", "B"))
    assert "No answers of models are stored" in shown(app)


def test_rounds_have_levels():
    with pytest.raises(ValueError, match="from 1 to 12"):
        pair_game.level(13)
    assert [pair_game.level(k) for k in (1, 4)] == [pair_game.LEVELS[0], pair_game.LEVELS[1]]
