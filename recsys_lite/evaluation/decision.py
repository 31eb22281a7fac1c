"""Which model should I use? Questions in order, each with an answer, what was measured, and where the figure stands."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..store.files import RESULTS, load_results, read_json
from .comparison import position_gains
from .metrics import interval
from .regimes import gaps


@dataclass(frozen=True)
class Step:
    """One question of the path.

    Args:
        question, answer: in words.
        measured: a sentence whose numbers come from ``results/``.
        chapter, section: where the figure or table behind it stands.
    """

    question: str
    answer: str
    measured: str
    chapter: str
    section: str


def _stored(name: str) -> Any:
    return read_json(RESULTS / f"{name}.json")


def _span(values: Sequence[float], digits: int = 4, sign: str = "+") -> str:
    """Mean and 95 % interval as text."""
    return "{:{f}} [{:{f}}, {:{f}}]".format(*interval(list(values)), f=f"{sign}.{digits}f")


def few_rows() -> str:
    """How often networks lead over the sizes of the study of small data."""
    record = _stored("when_not")
    about, runs = record["about"], [r for r in record["runs"] if r["regime"] == "rows"]
    count: Counter[str] = Counter()
    for data in dict.fromkeys(r["data"] for r in runs):
        part = [r for r in runs if r["data"] == data]
        for deep in about["deep"]:
            count.update(gaps(part, deep, about["shallow"])["verdict"])
    return (
        f"Two networks against the best of four shallow models, three tasks, 300 rows to all of them: ahead in "
        f"{count['deep']} of {sum(count.values())} comparisons, behind in {count['shallow']}, else no difference shown."
    )


def many_items() -> str:
    """What scoring every pair costs against kept vectors."""
    cost = {line["candidates"]: line["measured"] for line in _stored("serving")["cost"]}
    told = [
        f"{n:,} candidates {c['every_pair'] / c['cached']:.0f} times"
        for n, c in sorted(cost.items())
        if "every_pair" in c
    ]
    return f"Scoring every pair took, against kept vectors: {told[0]}, {told[-1]}."


def new_items() -> str:
    """Recall of films that training never showed."""
    runs = _stored("new_items")["new"]
    of = {m: [r["test"]["new among new"] for r in runs if r["model"] == m] for m in ("features", "lightgcn", "chance")}
    told = "; ".join(f"{words} {_span(of[m], 3, '')}" for m, words in
                     (("features", "towers on features"), ("lightgcn", "LightGCN"), ("chance", "chance")))  # fmt: skip
    return f"Recall@20 among films without training data: {told}."


def fixed_catalogue() -> str:
    """Retrievers on the same data."""
    runs = _stored("retrieval")["runs"]
    told = []
    for model, words in (("ease", "EASE"), ("lightgcn", "LightGCN"), ("two_towers", "two towers with the history")):
        values = [r["test"]["recall@20"] for r in runs if r["model"] == model]
        told.append(f"{words} {_span(values, 3, '') if len(values) > 1 else f'{values[0]:.3f}'}")
    return f"Recall@20 among all films: {', '.join(told)}; EASE needs no training loop."


def all_fields() -> str:
    """The ranking models."""
    gain = _span(np.subtract(_aucs("dhen"), _aucs("deepfm")).tolist())
    return (
        f"Test AUC on clicks: DeepFM {_span(_aucs('deepfm'), sign='')}; DHEN against it {gain} by seed, at "
        f"{_times('dhen') / _times('deepfm'):.0f} times the time; logistic regression "
        f"{np.mean(_aucs('logistic_regression')):.4f}."
    )


def _aucs(model: str) -> list[float]:
    return [r["test"]["auc"] for r in load_results("movielens-100k", "click", model)]


def _times(model: str) -> float:
    return next(line["ratio"] for line in _stored("comparison")["ranking"] if line["model"] == model)


def many_candidates() -> str:
    """Kept vectors against whole models."""
    times = next(c["times"] for c in _stored("split_network")["cost"] if c["candidates"] == 10_000)
    gain = _span(np.subtract(_aucs("split_network"), _aucs("two_towers")).tolist())
    return (
        f"For 10,000 candidates DeepFM took {times['deepfm']:.0f} times as long as two towers with kept vectors, a "
        f"split network {times['split_network']:.1f} times; its AUC against that of the towers: {gain} by seed."
    )


def clicks_on_lists() -> str:
    """What PAL and Watch Next gain and lose."""
    told = []
    for log, words in (
        ("popular", "order by popularity"),
        ("control", "no bias"),
        ("expert", "order that knows the taste"),
    ):
        gains = position_gains(log)
        told.append(f"{words}: PAL {_span(gains['pal'])}, Watch Next {_span(gains['watch_next'])}")
    return f"NDCG@10 gained over a naive model. {'; '.join(told)}."


def chained() -> str:
    """A funnel against ranking everything."""
    runs = [r for r in _stored("funnel")["runs"] if r["kind"] == "retrieved"]
    ndcg = [{(c["design"], *c["widths"]): c["ndcg"] for c in r["designs"]} for r in runs]
    gain = _span([one["retrieval, heavy", 100] - one[("heavy",)] for one in ndcg])
    return f"Retrieval of 100 films before the ranking model, against that model alone: NDCG@10 {gain} by seed."


#: question, answer, what was measured, chapter, section
PATH: list[tuple[str, str, Callable[[], str], str, str]] = [
    (
        "Are there few rows, or only a handful of dense columns?",
        "Logistic regression and boosted trees first; a network only if it beats them.",
        few_rows, "when_not", "real-data",
    ),
    (
        "Are there more items than can be scored in time?",
        "Retrieval first, by two towers with kept vectors and an index. If not: go on to the ranking.",
        many_items, "two_towers", "cost-and-practice",
    ),
    ("Do new items come every day?", "Two towers that read features.", new_items, "two_towers", "ablation"),
    (
        "Is the catalogue fixed, and are histories long?",
        "EASE while the table of item pairs fits into memory; LightGCN beyond.",
        fixed_catalogue, "lightgcn", "real-data",
    ),
    (
        "Are there many fields to rank the candidates by?",
        "DeepFM is a good default; larger models where the last bit pays.",
        all_fields, "leaderboard", "movielens-click",
    ),
    (
        "Are the candidates too many for that?",
        "Vectors that can be kept, met by a product or a small head.",
        many_candidates, "split_network", "cost-and-practice",
    ),
    (
        "Were the clicks made on ordered lists?",
        "PAL or Watch Next, unless the order followed a taste that your features do not hold.",
        clicks_on_lists, "position_bias", "real-data",
    ),
    (
        "Do all of these stand in one system?",
        "Train each stage on what the stage before lets through, and measure the chain.",
        chained, "catalogue_to_screen", "everything-against-the-funnel",
    ),
]  # fmt: skip


def path() -> list[Step]:
    """The questions with what was measured, read from the results now."""
    return [Step(q, a, measured(), chapter, section) for q, a, measured, chapter, section in PATH]


def path_html(steps: Sequence[Step], titles: dict[str, str]) -> str:
    """The path as a numbered list; links lead to the figures in the built book.

    Args:
        titles: slug of a chapter -> its title.
    """
    lines = []
    for s in steps:
        link = f'<a href="{s.chapter}.html#{s.section}">{html.escape(titles[s.chapter])}</a>'
        said = (html.escape(t) for t in (s.question, s.answer, s.measured))
        lines.append("<li><b>{}</b><br>{}<br><small>Measured: {} See {}.</small></li>".format(*said, link))
    return f'<ol class="rl-path">{"".join(lines)}</ol>'
