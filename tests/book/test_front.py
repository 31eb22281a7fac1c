"""The front page: its picture adds up and is what the stored weights say, its tree has every chapter once."""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import front  # noqa: E402
from chapters import chapters, read  # noqa: E402


def test_the_parts_of_each_model_add_up_to_its_chance() -> None:
    stored = read("front.json")
    assert [m["name"] for m in stored["models"]] == list(front.MODELS)
    for model in stored["models"]:
        assert sum(v for _, v in model["parts"]) + model["rest"] == pytest.approx(model["logit"], abs=0.004)
        assert model["chance"] == pytest.approx(1 / (1 + math.exp(-model["logit"])), abs=0.001)


@pytest.mark.slow("loads MovieLens and four models")
def test_the_picture_is_what_the_stored_weights_say() -> None:
    stored, made = read("front.json"), front.compute()
    assert {k: v for k, v in stored.items() if k != "models"} == {k: v for k, v in made.items() if k != "models"}
    for old, new in zip(stored["models"], made["models"], strict=True):
        assert [label for label, _ in old["parts"]] == [label for label, _ in new["parts"]]
        assert old["logit"] == pytest.approx(new["logit"], abs=0.002)


def test_bars_follow_one_another() -> None:
    """+1 from the middle, then -0.5 back, of a lane that reaches to 2 on either side."""
    lanes = re.findall(r"left:([\d.]+)%;width:([\d.]+)%", front.bars([("a", 1.0), ("b", -0.5)], 2.0))
    assert lanes == [("50.0", "25.0"), ("62.5", "12.5")]
    assert "rl-up" in front.bars([("a", 1.0)], 2.0) and "−0.50" in front.bars([("b", -0.5)], 2.0)


def test_titles_with_commas_stay_whole() -> None:
    assert front.history_of("Net, The (1995), Alien (1979)") == ["Net, The (1995)", "Alien (1979)"]


def test_the_tree_has_every_chapter_once() -> None:
    made = front.tree(chapters(), read("run_times.json"))
    for chapter in chapters():
        assert made.count(f'href="{chapter["slug"]}.html"') == 1
    with pytest.raises(ValueError, match="another"):
        front.tree([*chapters(), {"slug": "another"}], {})


def test_a_lost_mark_of_the_front_page_is_named() -> None:
    assert front.filled("<!-- tree -->\nold\n<!-- end of tree -->", {"tree": "new"}).split("\n")[1] == "new"
    with pytest.raises(ValueError, match=r"intro\.md: got 0 parts"):
        front.filled("no marks", {"tree": "new"})
