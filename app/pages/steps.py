"""Step through: a model's formula with the numbers of one row in it, box by box of its drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from recsys_lite.data import DataUnavailable
from recsys_lite.explain.boxes import Box
from recsys_lite.explain.drawn import drawn
from recsys_lite.explain.traces import Step
from recsys_lite.notebook.traces import in_lines

from ..core import shared
from ..core.address import as_text, whole
from ..core.cache import Edits, frozen, load_dataset, raw_edits
from ..core.controls import number, pick, write_address
from ..core.names import chapter, name, plain
from ..core.own import OWN, cached
from ..parts import notices
from ..parts.charts import chart
from ..parts.downloads import table_and_downloads
from ..parts.row_strip import strip
from ..parts.steps_drawing import drawing, heatmap, in_words, told
from ..parts.steps_sources import Rated, Source, sources

FIRST = "fm"
STEP = "control.step"


def page() -> None:
    """The whole page."""
    st.title("Step through a model")
    known = sources()
    if not any(isinstance(source, Rated) for source in known.values()):
        st.error("No stored weights were found. `make bench` trains the models and stores them.")
        return
    words = {k: source.words for k, source in known.items()}
    first, second, third = st.columns(3)
    with first:
        source = known[pick("Data and question", list(known), "data", words.__getitem__, on_change=_restart)]
    try:
        count = source.count()
    except (DataUnavailable, ValueError) as error:
        notices.no_data(error)
        return
    with second:
        models = sorted(source.models(), key=lambda m: m != FIRST)
        model = pick("Model", models, "model", name, on_change=_restart)
    with third:
        row = number("Row of the test part", "row", count)
    state = None
    if isinstance(source, Rated):
        dataset = load_dataset(source.data, source.task)
        state, wrong = shared.at(dataset, source.data, source.task, row)
        if wrong:
            notices.address(wrong)
        strip(state, dataset)
    edits = {} if state is None else state.edits
    try:
        steps = traced(source.data, source.task, model, row, frozen(edits))
    except ValueError as error:
        st.error(f"**This row cannot be stepped through.** {plain(str(error))}")
        return
    boxes = drawn(model, source.loaded(model) if isinstance(source, Rated) else None)[0]
    now, guess = choose_step(boxes, steps), guessing()
    end = "" if guess else f" {source.end(model, row, steps)}"
    about = source.about(row, edits) if isinstance(source, Rated) else source.about(row)
    st.markdown(f"Row {row}: {about}.{end}")
    left, right = st.columns([2, 3], gap="medium")
    with left:
        clickable(source, model, boxes, steps, now)
    with right:
        show(source, boxes, steps, now, model, row, guess, edits)
    caveats(source.data)
    write_address(
        {"data": f"{source.data}.{source.task}", "model": model, "row": str(row), "step": str(now)}
        | ({"guess": "1"} if guess else {})
        | {f"set.{k}": as_text(v) for k, v in edits.items() if source.data != OWN}
    )


def _restart() -> None:
    """Another model has other steps."""
    st.session_state[STEP] = 0


@cached(st.cache_data, show_spinner="Running the model on the row …", max_entries=64)
def traced(data: str, task: str, model: str, row: int, edits: Edits = ()) -> list[Step]:
    """See :func:`recsys_lite.explain.traces.trace`."""
    return sources()[f"{data}.{task}"].trace(model, row, edits)


def choose_step(boxes: Sequence[Box], steps: Sequence[Step]) -> int:
    """The number of the step, from 1; all steps can be chosen in a list."""

    def in_list(k: int) -> str:  # a box is named at its first step, so that long traces stay readable
        box = steps[k - 1].box
        return str(k) if k > 1 and steps[k - 2].box == box else f"{k} {boxes[box].label}"

    asked = None if STEP in st.session_state else whole(st.query_params.get("step"), 1, len(steps))
    if asked is not None:
        st.session_state[STEP] = asked
    elif not 1 <= (st.session_state.get(STEP) or 0) <= len(steps):
        st.session_state[STEP] = heart(boxes, steps)
    st.pills("Step", list(range(1, len(steps) + 1)), key=STEP, required=True, format_func=in_list)
    return int(st.session_state[STEP])


def heart(boxes: Sequence[Box], steps: Sequence[Step]) -> int:
    """The step where the page opens: the first at what the model is known for, or the weights of the plainest one."""
    told = [k for k, s in enumerate(steps, 1) if boxes[s.box].kind in ("cross", "attention")]
    return told[0] if told else 2


def guessing() -> bool:
    """Whether the numbers wait until they are asked for."""
    if "control.guess" not in st.session_state:
        st.session_state["control.guess"] = st.query_params.get("guess") == "1"
    return st.toggle("Guess first: hide the numbers until I ask", key="control.guess")


def clickable(source: Source, model: str, boxes: Sequence[Box], steps: Sequence[Step], now: int) -> None:
    """The drawing; a click on a box opens its first step."""
    firsts = {s.box: k for k, s in reversed(list(enumerate(steps, 1)))}
    dark = st.context.theme.type == "dark"
    itself = source.loaded(model) if isinstance(source, Rated) else None
    key = f"steps.drawing.{model}.{now}"  # a new one for each step, so that a box can be clicked again
    st.plotly_chart(
        drawing(model, steps[now - 1].box, firsts, dark, itself), key=key, on_select=lambda: _clicked(key),
        selection_mode="points", config={"displayModeBar": False}, width="stretch",
        alt=f"Drawing of {name(model)} with {len(boxes)} boxes; the open one is {boxes[steps[now - 1].box].label}.",
    )  # fmt: skip
    st.caption(f"Click a box to open it, or use the list above. {chapter(model)}")


def _clicked(key: str) -> None:
    points = st.session_state[key]["selection"]["points"]
    if points:
        _go(int(points[0]["customdata"][0]))


def show(
    source: Source, boxes: Sequence[Box], steps: Sequence[Step], now: int, model: str, row: int, guess: bool,
    edits: Mapping[str, Any],
) -> None:  # fmt: skip
    """A step: formula, numbers, tensor."""
    step = steps[now - 1]
    box = boxes[step.box]
    with st.container(horizontal=True):
        st.button("Back", on_click=_go, args=(now - 1,), disabled=now == 1, key="steps.back")
        st.button("Next", on_click=_go, args=(now + 1,), disabled=now == len(steps), type="primary", key="steps.next")
    st.subheader(f"{now} of {len(steps)}: {step.title}")
    st.latex(in_lines(step.formula))
    here = (source.data, source.task, row, model, now, frozen(edits))
    if guess and st.session_state.get("steps.shown") != here:
        st.info("What will the numbers be? Look at the formula and the row, say it, then look.")
        st.button("Show the numbers", on_click=_reveal, args=(here,), key="steps.reveal")
        return
    st.markdown("With the numbers of this row:")
    st.latex(in_lines(step.numbers))
    words = in_words(step.result)
    sentence = f"Box *{box.label}*: {words}"
    st.markdown(f"**What you see.** Box *{box.label}*: {told(f'{words} {step.note}')}")
    figures = []
    if step.result.size > 1:
        figures = [heatmap(step.result)]
        title = f"{name(model)}, row {row}: {box.label}"
        chart(figures[0], f"Heat map. {sentence}", f"steps.tensor.{model}.{now}", title=title)
    if step.result.size:
        file = f"{source.data}-{source.task}-{model}-row{row}-step{now}"
        cell = source.cell(model, row)
        if isinstance(source, Rated):
            cell = source.cell(model, row, raw_edits(source.data, source.task, row, edits))
        table_and_downloads(
            step.result.reset_index(names="name"), figures, file, sentence, "Table, downloads",
            f"{cell}table = steps[{now - 1}].result\ntable",
        )  # fmt: skip


def _go(to: int) -> None:
    st.session_state[STEP] = to


def _reveal(here: tuple[object, ...]) -> None:
    st.session_state["steps.shown"] = here


def caveats(data: str) -> None:
    """What the numbers do not say."""
    notices.caveats(
        [
            "They say how the model computes its answer, not why people click.",
            "A single number of a vector or a hidden unit has no meaning of its own: training from another seed "
            "gives other ones.",
            "Numbers are rounded to three places where they are shown; sums are made from the whole numbers, and a "
            "step whose numbers do not give its result is refused.",
            "The weights are those of one training." if data == OWN else "The weights are those of seed 0.",
        ],
    )
