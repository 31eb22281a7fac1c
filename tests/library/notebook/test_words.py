"""Sentences made from results, and questions that never show their answers."""

import numpy as np
import pytest
import torch

from recsys_lite.evaluation import compare_runs, compare_stored
from recsys_lite.notebook import ask, say, told, words


def test_say_shows_markdown_without_indents(monkeypatch):
    shown = []
    monkeypatch.setattr(words, "display_bundle", shown.append)
    say("""
        **AUC** is 0.75, not -0.75 in GPT-4, 2-3 [-1, 1].
        It rose.
    """)
    assert shown == [
        dict.fromkeys(("text/markdown", "text/plain"), "**AUC** is 0.75, not −0.75 in GPT-4, 2-3 [−1, 1].\nIt rose.")
    ]


def test_a_verdict_and_a_row_of_a_table_read_alike():
    equal = compare_runs([0.8, 0.8002, 0.8001], [0.8001, 0.8, 0.8002])
    assert told(equal).endswith("], equal within 0.002") and told(equal).startswith("+0.0000 [−0.000")
    table = compare_stored("criteo-sample", "click", "dcn_v2", ["dcn"])
    assert told(next(table.itertuples())) == told(table.iloc[0])
    assert told(table.iloc[0], brief=True) == f"−{-table.difference[0]:.4f}, {table.word[0]}"


@pytest.mark.parametrize("answer", [None, (None, None), (6.0, None)])
def test_what_is_not_answered_gets_the_hint_and_not_the_answer(answer, capsys):
    assert not ask(answer, lambda: (6.125, 7.25), hint="Look at the block.")
    said = capsys.readouterr().out
    assert "Not answered yet" in said and "Look at the block." in said and "6.125" not in said and "7.25" not in said


def test_wrong_entries_are_counted_and_not_corrected(capsys):
    assert not ask([1, 9, 9], [1, 2, 3])
    assert not ask(5, 4, hint="Count again.")
    assert not ask((1, 2), (1, 2, 3))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Not yet: entries 2, 3 of 3 are wrong."
    assert lines[1:3] == ["Not yet: the answer is wrong.", "Hint: Count again."]
    assert lines[3] == "Not yet: expected 3 entries, got 2."


@pytest.mark.parametrize(("given", "right", "so"), [
    (2.0004, 2.0, True), (2.01, 2.0, False), ("stacked", "stacked", True), ("stacked", "parallel", False),
    (True, True, True), (1, True, True), (True, 1, False), ("1", 1, False), (float("nan"), 1.0, False),
    (torch.tensor([1.0, 2.0]), np.array([1.0, 2.0]), True), (np.float32(2), 2, True),
])  # fmt: skip
def test_answers_of_all_kinds(given, right, so, capsys):
    assert ask(given, right) is so
