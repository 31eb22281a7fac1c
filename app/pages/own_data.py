"""Your data: a CSV file of the reader's own, checked, and two models trained on it. It stays in this session."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from recsys_lite.data import table
from recsys_lite.fields import Dataset
from recsys_lite.lab import trial

from ..core import run
from ..core.address import MOST_MODELS
from ..core.controls import PAGES, number, pick, pick_some, write_address
from ..core.names import chapter, link, name, plain
from ..core.own import HELD, OWN, Own
from ..parts import notices
from ..parts.own_data_file import LIMITS, MADE, TRAINED, TYPES, Source, choose_source, complain
from ..parts.own_data_results import code, show
from ..parts.own_data_score import score_file

START = ("logistic_regression", "fm")
SPLITS = {"random": "By chance", "file": "In the order of the file", "time": "By a column of time"}
EPOCHS, RATES, SEEDS = [30, 10, 100], [0.003, 0.001, 0.01, 0.03], 100
FIRST_ROWS = 8
STARTING = "Starting a process for the training …"
KINDS = "own_data.kinds"  # in the state of the session


def page() -> None:
    """The whole page."""
    st.title(
        "Your data",
        help=(
            "Bring a table: a row for each time that something was shown, what was known, whether it was taken. "
            "Say what each column is, and train two models on it. Until you do, a made-up café stands here."
        ),
    )
    source = choose_source()
    if source is None:
        return
    story = st.container()  # filled below, once all is chosen
    schema = choose_kinds(source)
    options = choose_split(source, schema)
    if (dataset := made(source, schema, options)) is None:
        return
    names, budget = choose_models(dataset)
    seed = options["seed"]
    story.markdown(f"**What you see.** {plain(in_words(source, schema, dataset))}")
    now = (source.key, tuple(schema.items()), tuple(options.items()), names, tuple(budget.items()))
    words = [name(m) for m in names]
    given = options | {"path": source.file, "separator": source.separator}
    pressed, results = st.button(f"Train {', '.join(words[:-1])} and {words[-1]}", type="primary"), st.empty()
    if pressed:
        results.info("Training. The results will stand here; those of an earlier training are gone.")
        train(dataset, names, seed, budget, now, source.file or "the example", code(given, schema, names, seed, budget))
    trained = st.session_state.get(TRAINED)
    results.empty()
    if trained and trained[0] == now:
        with results.container():
            onto_stage(names)
            show(trained[1], dataset, given, schema, seed, budget)
            score_file(trained[2], LIMITS, TYPES, complain)
    elif trained and trained[0][0] == source.key:
        st.info("The settings have changed since the last training. Press the button to train with those chosen now.")
    caveats()
    asked = {"a": names[0], "b": names[1], "split": options["split"], "seed": str(seed)}
    asked |= {"more": ",".join(names[2:])} if names[2:] else {}
    write_address(asked | {k: str(v) for k, v in budget.items()})


def in_words(source: Source, schema: Mapping[str, str], dataset: Dataset) -> str:
    """What the table holds and how it is shared out."""
    label = next(c for c, kind in schema.items() if kind == "label")
    parts = (dataset.train, dataset.validation, dataset.test)
    ones = [float(p.label.mean()) for p in parts]  # type: ignore[union-attr]
    kinds = [f.kind for f in dataset.fields]
    count = {k: kinds.count(k) for k in dict.fromkeys(kinds)}
    words = {"multi_hot": "bag"}
    told = ", ".join(f"{n} {words.get(k, k)}" for k, n in count.items())
    unseen = (dataset.test.ids == 0).float().mean().item() if dataset.test.ids.shape[1] else 0.0
    return (
        f"{source.file or 'The made-up example'} has {len(source.frame):,} rows. Models read {len(kinds)} columns "
        f"({told}) to predict {label}, which is 1 in {ones[0]:.1%} of the {len(parts[0]):,} training rows, "
        f"{ones[1]:.1%} of the {len(parts[1]):,} validation rows and {ones[2]:.1%} of the {len(parts[2]):,} test rows."
    ) + (f" {unseen:.1%} of their categories are ones that training never showed, or only once." if unseen else "")


def choose_kinds(source: Source) -> dict[str, str]:
    """The first rows, and beside them the form that says what each column is."""
    left, right = st.columns(2)
    with left:
        st.markdown("**The first rows**" if source.file else "**The first rows** of the made-up example")
        st.dataframe(source.frame.head(FIRST_ROWS), width="stretch")
    with right:
        st.markdown("**What each column is** (the column *kind* can be changed)")
        editor = f"{KINDS}.{source.key}"
        if editor not in st.session_state:  # the first time, or back from another page
            kept = st.session_state.get(KINDS, {}).get(source.key, source.guess)
            started = source.columns.assign(kind=source.columns["column"].map(kept))
            st.session_state[f"{KINDS}.start"] = started
        chosen = st.data_editor(
            st.session_state[f"{KINDS}.start"], key=editor, hide_index=True, width="stretch",
            disabled=["column", "values", "empty", "for example"],
            column_config={
                "kind": st.column_config.SelectboxColumn(options=list(table.KINDS), required=True),
                "values": st.column_config.NumberColumn(help="How many different values there are", width=60),
                "empty": st.column_config.NumberColumn(help="Cells without a value", width=60),
            },
        )  # fmt: skip
        st.caption("; ".join(f"*{kind}*: {about}" for kind, about in table.KINDS.items()) + ".")
    kinds = dict(zip(chosen["column"], chosen["kind"], strict=True))
    st.session_state[KINDS] = {source.key: kinds}
    return kinds


def choose_split(source: Source, schema: Mapping[str, str]) -> dict[str, Any]:
    """How rows are shared out and which value of the label counts as 1: the options of ``table.encode``."""
    places = iter(st.columns(4))
    with next(places):
        split = pick("Test rows are taken", list(SPLITS), "split", SPLITS.__getitem__)
    options: dict[str, Any] = {"split": split}
    with next(places):
        options["seed"] = number("Seed", "seed", SEEDS)
    if split == "time":
        with next(places):
            options["time"] = st.selectbox("Column of time", source.times, key=f"own_data.time.{source.key}")
    labels = [c for c, kind in schema.items() if kind == "label"]
    cells = source.frame[labels[0]] if len(labels) == 1 else pd.Series(dtype=str)
    values = table.label_values(cells[cells != ""])
    if len(values) == 2 and values != ["0", "1"]:
        with next(places):
            place = f"own_data.positive.{source.key}.{labels[0]}"
            options["positive"] = st.selectbox(f"Counts as 1 in {plain(labels[0])}", values[::-1], key=place)
    return options


def made(source: Source, schema: dict[str, str], options: dict[str, Any]) -> Dataset | None:
    """The data set of these settings, made once; says what is wrong."""
    now = (source.key, tuple(schema.items()), tuple(options.items()))
    kept = st.session_state.get(MADE)
    if kept is None or kept[0] != now:
        outcome: Dataset | table.TableError
        try:
            with st.spinner("Checking and encoding the table …"):
                outcome = table.encode(source.frame, schema, **options)
        except table.TableError as error:
            outcome = error
        kept = st.session_state[MADE] = (now, outcome, table.remarks(source.frame, schema))
    for remark in kept[2]:
        st.caption(f"⚠ {plain(str(remark))}")
    if isinstance(kept[1], table.TableError):
        complain(kept[1], "The table cannot be used like this yet.")
        return None
    return kept[1]


def choose_models(dataset: Dataset) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Two to four models that these fields fit, and the budget of each: the options of ``trial.run``."""
    first, second, third, fourth, fifth = st.columns([3, 3, 4, 2, 2])
    fit = trial.possible(dataset.fields)
    with first:
        a = pick("First model", sorted(fit, key=lambda m: m != START[0]), "a", name)
    with second:
        b = pick("Second model", sorted((m for m in fit if m != a), key=lambda m: m != START[1]), "b", name)
    with third:
        others = [m for m in fit if m not in (a, b)]
        more = pick_some("More for the stage (none to two)", others, [], "more", MOST_MODELS - 2, name)
    with fourth:
        epochs = pick("Epochs, at most", EPOCHS, "epochs")
    with fifth:
        rate = pick("Learning rate", RATES, "lr", help="Of Adam.")
    return (a, b, *more), {"epochs": epochs, "lr": rate}


def train(
    dataset: Dataset, names: tuple[str, ...], seed: int, budget: dict[str, Any], now: tuple[Any, ...], file: str,
    lines: str,
) -> None:  # fmt: skip
    """Train the models, unless somebody else trains; what came out goes into the session, and onto the stage."""
    with run.turn(STARTING) as bar:
        if bar is None:
            return
        outcome, models = run.train(
            bar, STARTING, names, budget["epochs"], "recsys_lite.lab.trial:job", dataset, names, seed=seed, **budget
        )
        st.session_state[TRAINED] = (now, outcome, models)
        st.session_state[HELD] = Own(secrets.token_hex(4), f"Your data: {file}", dataset, models, lines)


def onto_stage(names: tuple[str, ...]) -> None:
    """The ways to Compare and to the steps of one model, with these models and rows."""
    pages = st.session_state.get(PAGES, {})
    own: Own = st.session_state[HELD]
    if st.button("See them on the stage: rows, edits, maps", icon=":material/grid_view:") and pages:
        st.switch_page(
            pages["compare"], query_params={"data": OWN, "task": own.key, "models": ",".join(names[:MOST_MODELS])}
        )
    if st.button("Step through one of them", icon=":material/footprint:") and pages:
        st.switch_page(pages["steps"], query_params={"data": f"{OWN}.{own.key}", "model": names[-1]})


def caveats() -> None:
    """What such a training does not say."""
    notices.caveats(
        [
            "Few rows give noisy numbers: read the intervals, not the third digit. They speak of other rows of the "
            "same kind, not of other seeds: train again with another seed and compare.",
            "The intervals take rows for independent. Rows of one person are not, so then they are too narrow.",
            "All models have the same budget and their default sizes, and none was tuned: with other settings "
            "the order can turn round. Whoever tries many settings and keeps the best test number is misled.",
            "A split by chance puts rows of one day into all parts. To know how models predict tomorrow, split by "
            "time.",
            "A column that is only known afterwards (what was paid, say) makes a model look good and is useless: "
            "leave it out.",
            "What a column is worth, it is worth to this model. Two columns that tell the same share it, and neither "
            "says what causes what.",
        ],
        [f"How intervals and early stopping work: {link('overview')}. Crosses: {chapter('fm')}"],
    )
