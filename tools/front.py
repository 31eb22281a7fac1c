"""The parts of the front page that are made: the picture, the tree of architectures, the path of questions.

The picture is one row of MovieLens scored by four stored models, each logit with its largest exact parts:

python tools/front.py    # compute it again from the stored weights, into book/front.json
"""

from __future__ import annotations

import html
import json
import math
import re
from pathlib import Path
from typing import Any

from chapters import ROOT, chapters, read, write

from recsys_lite.evaluation.decision import path

ROW = 12585  # of the test part: films that many know, and models that differ
SHOWN = 5  # parts of a logit with a bar of their own
MODELS = {
    "logistic_regression": ("Logistic regression", "overview", "one weight for each value"),
    "fm": ("Factorization machine", "factorization_machines", "and a weight for each pair"),
    "deepfm": ("DeepFM", "deepfm", "and a network on the same vectors"),
    "dcn_v2": ("DCN V2", "dcn_v2", "crosses of a matrix, and a network"),
}
FAMILIES = {  # chapters of a family in the order of the tree: depth below the family's first
    "Sums and pairs": [("factorization_machines", 0), ("wide_and_deep", 1), ("deepfm", 2), ("ncf", 1)],
    "Crosses": [("dcn", 0), ("dcn_v2", 1), ("gdcn", 2)],
    "Dots, attention, ensembles": [("autoint", 0), ("dlrm", 0), ("dhen", 1), ("dhen_training", 2)],
    "Graphs and towers": [("lightgcn", 0), ("two_towers", 0), ("split_network", 1)],
    "Position and the whole chain": [("position_bias", 0), ("catalogue_to_screen", 0)],
    "Ground and results": [
        ("overview", 0), ("building_blocks", 1), ("when_not", 1), ("leaderboard", 0), ("comparison", 0),
        ("speed_and_scale", 0),
    ],
}  # fmt: skip


def compute() -> dict[str, Any]:
    """The row in words, and of each model the largest parts, the sum of the others, logit and chance."""
    from recsys_lite import data, explain, store

    films = data.load("movielens-100k")
    row = films.test[ROW]
    words = explain.readable(films, row)
    out: dict[str, Any] = {"row": ROW, "film": words["item"], "history": history_of(words["history"])[:3], "models": []}
    out |= {"clicked": bool(row.label.item()), "person": f"{words['age']}, {words['occupation']}"}
    for name in MODELS:
        model = store.load_model(store.weights_path(films.name, films.task, name), films.fields)
        parts = explain.logit_parts(model, row, fine=True).iloc[0].astype(float)
        logit = parts.pop("logit")
        largest = parts[parts.abs().sort_values(ascending=False).index[:SHOWN]]
        shown = [(label, round(value, 3)) for label, value in largest.items()]
        rest = round(logit - sum(value for _, value in shown), 3)
        chance = round(1 / (1 + math.exp(-logit)), 3)
        out["models"].append(
            {
                "name": name,
                "parts": shown,
                "others": len(parts) - SHOWN,
                "rest": rest,
                "logit": round(logit, 3),
                "chance": chance,
            }
        )
    return out


def history_of(text: str) -> list[str]:
    """Titles of a list in words: a comma may be part of a title, a closing bracket ends it."""
    return [title.strip(" ,") for title in re.findall(r".+?\(\d{4}\)", text)]


def signed(value: float) -> str:
    """A number with its sign, two decimals.

    Example:
        >>> signed(-0.934)
        '−0.93'
    """
    return f"{value:+.2f}".replace("-", "−")


def bars(parts: list[tuple[str, float]], limit: float) -> str:
    """Parts one after another, each bar from where the one before ended, as a waterfall."""
    lines, at = "", 0.0
    for k, (label, value) in enumerate(parts):
        left, width = min(at, at + value), abs(value)
        place = f"left:{50 + 50 * left / limit:.1f}%;width:{50 * width / limit:.1f}%;--k:{k}"
        kind = "up" if value >= 0 else "down"
        lines += (
            f'<tr><th scope="row">{html.escape(label)}</th>'
            f'<td class="rl-lane"><i class="rl-{kind}" style="{place}"></i></td>'
            f"<td>{signed(value)}</td></tr>"
        )
        at += value
    return lines


def picture(front: dict[str, Any]) -> str:
    """One recommendation taken apart by four models, as HTML."""
    reach, panels = 0.5, []
    for model in front["models"]:
        at = 0.0
        for value in [*(v for _, v in model["parts"]), model["rest"]]:
            at += value
            reach = max(reach, abs(at))
    for model in front["models"]:
        title, slug, what = MODELS[model["name"]]
        parts = [*(tuple(p) for p in model["parts"]), (f"{model['others']} others", model["rest"])]
        panels.append(
            f'<div class="rl-panel"><p><a href="{slug}.html"><b>{title}</b></a><br>{what}</p>'
            f"<table>{bars(parts, reach)}</table>"
            f"<p>log-odds {signed(model['logit'])} → a chance of "
            f'<strong class="rl-chance">{model["chance"]:.0%}</strong></p></div>'
        )
    films = ", ".join(f"<i>{html.escape(title)}</i>" for title in front["history"])
    did = "did" if front["clicked"] else "did not"
    return (
        f'<figure class="rl-front"><p>Somebody has just rated {films}. '
        f"Will the next be <b>{html.escape(front['film'])}</b>?</p>"
        f'<div class="rl-panels">{"".join(panels)}</div>'
        "<figcaption>Each bar is one exact part of the sum, in log-odds: blue raises the chance, orange lowers it. "
        f"The person {did} choose the film. Row {front['row']} of the MovieLens test part, chosen because the models "
        "differ; stored weights.</figcaption></figure>"
    )


def tree(listed: list[dict[str, Any]], times: dict[str, Any]) -> str:
    """All chapters by family, each with year, level and minutes.

    Raises:
        ValueError: for a chapter that no family has, or one twice.
    """
    known = {c["slug"]: c for c in listed}
    placed = [slug for those in FAMILIES.values() for slug, _ in those]
    if sorted(placed) != sorted(known):
        raise ValueError(
            f"tools/front.py: FAMILIES has {sorted(set(placed) ^ set(known))} too much, too little or twice"
        )
    out = ""
    for k, (family, those) in enumerate(FAMILIES.items()):
        lines = ""
        for slug, depth in those:
            c = known[slug]
            took = f"{max(1, math.ceil(times[slug]['seconds'] / 60))} min" if slug in times else ""
            facts = " · ".join(filter(None, [c["year"], c["level"], took]))
            idea = html.escape(c["idea"], quote=True)
            lines += (
                f'<li style="--depth:{depth}"><a href="{slug}.html" title="{idea}"><b>{html.escape(c["short"])}</b>'
                f"<span>{facts}</span></a></li>"
            )
        out += f'<section class="rl-family rl-family-{k}"><h3>{family}</h3><ul>{lines}</ul></section>'
    return f'<div class="rl-tree">{out}</div>'


def questions(titles: dict[str, str]) -> str:
    """The path "which model should I use": a question opens its answer, which links to what was measured."""
    out = ""
    for k, step in enumerate(path(), 1):
        link = f'<a href="{step.chapter}.html#{step.section}">measured in {html.escape(titles[step.chapter])}</a>'
        out += f"<details><summary>{k}. {html.escape(step.question)}</summary>"
        out += f"<p>{html.escape(step.answer)} ({link})</p></details>"
    return f'<div class="rl-questions">{out}</div>'


def blocks(root: Path = ROOT) -> dict[str, str]:
    """The made parts of the front page by their names in book/intro.md."""
    listed = chapters(root)
    return {
        "picture": picture(read("front.json", root)),
        "tree": tree(listed, read("run_times.json", root)),
        "questions": questions({c["slug"]: c["title"] for c in listed}),
    }


def filled(intro: str, made: dict[str, str]) -> str:
    """The front page with its made parts written anew.

    Raises:
        ValueError: unless each part has its two marks, once.
    """
    for name, text in made.items():
        block = f"<!-- {name} -->\n{text}\n<!-- end of {name} -->"
        intro, count = re.subn(
            rf"<!-- {name} -->\n.*?<!-- end of {name} -->", lambda _, b=block: b, intro, flags=re.DOTALL
        )
        if count != 1:
            raise ValueError(f"book/intro.md: got {count} parts between <!-- {name} --> and its end, expected 1")
    return intro


if __name__ == "__main__":
    write(ROOT / "book" / "front.json", json.dumps(compute(), indent=1, ensure_ascii=False) + "\n")
