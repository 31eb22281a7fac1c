"""Draw your own: a curve of looking set by the reader, what it implies, and what models learn from clicks under it."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from recsys_lite.data import DataUnavailable
from recsys_lite.data.simulated.clicks import PLACES
from recsys_lite.lab import own_curve

from ..core import run
from ..core.address import whole
from ..core.controls import hold, number, pick, write_address
from ..core.names import link, plain
from . import notices
from .charts import chart
from .downloads import table_and_downloads
from .position_words import (
    NAMES,
    ORDERS,
    curve_words,
    drawn,
    gain_words,
    gains_drawn,
    implied_words,
    looks_drawn,
    shares_drawn,
)

#: chance of a look at each place in per cent, as the address and the sliders hold it
PRESETS = {
    "1/k": tuple(round(100 / k) for k in range(1, PLACES + 1)),
    "1/k²": tuple(round(100 / k**2) for k in range(1, PLACES + 1)),
    "Every place": (100,) * PLACES,
    "A cliff after place 3": (100,) * 3 + (10,) * (PLACES - 3),
}
OWN = "As set below"
PEOPLE = [300, 100, own_curve.PEOPLE]
SEEDS = 100
LAST = "position.own.last"  # in the state of the session: settings and table of the last training
SLIDERS = [f"control.curve.{k}" for k in range(1, PLACES + 1)]
Settings = dict[str, Any]


def view(seeds: int) -> None:
    """The whole view; ``seeds`` is how many the stored runs have."""
    first, second, third, fourth = st.columns(4)
    with first:
        curve = from_preset()
    with second:
        order = pick("Order of the lists", list(ORDERS), "order", ORDERS.__getitem__)
    with third:
        people = pick("People in the log", PEOPLE, "people")
    with fourth:
        seed = number("Seed", "seed", SEEDS)
    st.markdown("**Chance in per cent that a place is looked at.** Draw the curve, place by place:")
    with st.container(horizontal=True):
        for k, key in enumerate(SLIDERS, 1):
            st.slider(f"Place {k}", 1, 100, key=key, width=88)
    now: Settings = {"curve": curve, "order": order, "people": people, "seed": seed}
    write_address({"view": "own", **{k: str(v) for k, v in now.items()}, "curve": ",".join(map(str, curve))})
    try:
        table = looks(curve, order, seed)
    except (DataUnavailable, ValueError) as error:
        st.error(f"**The clicks cannot be simulated.** {plain(str(error).splitlines()[0])}")
        return
    implied(now, table)
    st.subheader("What models learn from such clicks")
    st.markdown(
        "Clicks are simulated under the curve, and three models learn from them: a factorization machine that knows no "
        "place, PAL, and Watch Next. They rank films that they were not trained on, and the person's ratings judge."
    )
    pressed = st.button("Simulate and train", type="primary")
    st.caption("Some seconds a model; one training at a time on this server. Changing a control meanwhile stops it.")
    results = st.empty()
    if pressed:
        results.info("Training. The results will stand here; those of an earlier training are gone.")
        train(now)
    results.empty()
    if LAST in st.session_state:
        with results.container():
            learnt(now, *st.session_state[LAST], seeds)
    caveats(seeds)


def from_preset() -> tuple[int, ...]:
    """The curve now: of the sliders, else of the address; with a box that sets all places at once."""
    if any(key not in st.session_state for key in SLIDERS):
        start = in_address(st.query_params.get("curve", "")) or PRESETS["1/k"]
        st.session_state.update(zip(SLIDERS, start, strict=True))
    curve = tuple(int(st.session_state[key]) for key in SLIDERS)
    name = next((n for n, preset in PRESETS.items() if preset == curve), OWN)
    st.selectbox("Curve of looking", [*PRESETS, OWN], key=hold("position.preset", name), on_change=set_preset)
    return curve


def set_preset() -> None:
    """A callback: the sliders take the values of the preset."""
    st.session_state.update(zip(SLIDERS, PRESETS.get(st.session_state["position.preset"], ()), strict=False))


def in_address(text: str) -> tuple[int, ...]:
    """The curve of an address such as ``100,50,33,…``: a whole number from 1 to 100 for each place; else nothing."""
    shares = [whole(part, 1, 100) for part in text.split(",")]
    known = [share for share in shares if share is not None]
    return tuple(known) if len(known) == len(shares) == PLACES else ()


@st.cache_data(show_spinner="Simulating clicks …", max_entries=64)
def looks(curve: tuple[int, ...], order: str, seed: int) -> pd.DataFrame:
    """See :func:`recsys_lite.lab.own_curve.looked_at`; of all people."""
    return own_curve.looked_at(own_curve.log_of(chances(curve), order, seed))


def chances(curve: tuple[int, ...]) -> list[float]:
    """Per cent as the library takes them."""
    return [p / 100 for p in curve]


def implied(now: Settings, table: pd.DataFrame) -> None:
    """What follows from curve and order alone: shares of clicks, and what kind of film is looked at."""
    share = own_curve.shares(chances(now["curve"]))
    st.subheader("What the curve alone does")
    sentence = implied_words(share, table, now["order"])
    notices.told(sentence, most=30)
    left, right = shares_drawn(share), looks_drawn(table)
    for column, figure, title, key in zip(
        st.columns(2), (left, right), ("Where clicks go if all films are equally good", "Who is looked at"),
        ("shares", "looks"), strict=True,
    ):  # fmt: skip
        with column:
            st.markdown(f"**{title}**")
            chart(figure, sentence, f"position.own.{key}", title=title)
    notices.hover(
        "How to read the two charts",
        "Left: a place's share of clicks is its chance of a look over the sum of all. Right: a model without the place "
        "learns liking × chance of a look, so what stands right of 1 looks better to it than it is. Training part of "
        "the log, all people.",
    )
    file = f"position-own-{now['order']}-{now['seed']}"
    table_and_downloads(
        share, [left], f"{file}-shares", sentence, "Table of the places, downloads", cell(now, "shares")
    )
    table_and_downloads(table, [right], f"{file}-looks", sentence, "Table of the looks, downloads", cell(now, "looks"))


def train(now: Settings) -> None:
    """Train for these settings, unless somebody else trains; the outcome goes into the session."""
    first = "Simulating clicks …"
    with run.turn(first) as bar:
        if bar is None:
            return
        table = run.train(
            bar, first, own_curve.LEARNERS, own_curve.EPOCHS, "recsys_lite.lab.own_curve:job", chances(now["curve"]),
            now["order"], now["seed"], now["people"], words=short,
        )  # fmt: skip
        st.session_state[LAST] = (now, table)


def short(model: str) -> str:
    """A model in a word or two."""
    return NAMES[model].split(":")[0]


def learnt(now: Settings, made: Settings, table: pd.DataFrame, seeds: int) -> None:
    """The last training: curves, ranking quality, verdicts."""
    if made != now:
        st.info(f"**These results are of other settings:** {in_words(made)}. Press the button for those chosen now.")
    else:
        st.caption(f"Trained for: {in_words(made)}.")
    curves, gains = curves_of(table), gains_of(table)
    first = curve_words(curves)
    columns = ["model", "ndcg@10", "ndcg low", "ndcg high"]
    ranked = table[columns].dropna().itertuples(index=False, name=None)
    quality = ", ".join(f"{short(model)} {mean:.3f} [{low:.3f}, {high:.3f}]" for model, mean, low, high in ranked)
    second = f"NDCG@10 of the person's ratings: {quality}. {gain_words(gains)}"
    st.markdown(f"**What you see.** {first}")
    curve = drawn(curves)
    chart(curve, first, "position.own.curves", title="Curves of looking that models learnt")
    st.markdown(f"**What you see.** {second}")
    shown = gains_drawn(gains, "NDCG@10")
    chart(shown, second, "position.own.gains", title="Gain over the model that knows no place")
    notices.hover(
        "Intervals: one seed, a small sample",
        f"95 % t intervals over {int(table['people'].iloc[1])} people, gains from differences within people; "
        "*undecided* means that the interval neither excludes 0 nor lies within the margin. It is **one seed and a "
        "small sample**: another log, other "
        "weights and another order of rows would move these numbers, too, and the intervals know nothing of that. The "
        f"stored runs have {seeds} seeds, each with a log of its own.",
    )
    table_and_downloads(
        table, [curve, shown], f"position-own-{made['order']}-{made['seed']}-trained", f"{first} {second}",
        "Table of curves and quality, downloads", cell(made, "training"),
    )  # fmt: skip


def in_words(made: Settings) -> str:
    """Settings in words."""
    return (
        f"curve {', '.join(map(str, made['curve']))} %, {ORDERS[made['order']].lower()}, {made['people']} people, "
        f"seed {made['seed']}"
    )


def curves_of(table: pd.DataFrame) -> pd.DataFrame:
    """The curves of a training as lines to draw: model, device, place, ``relative to place 1``."""
    places = [c for c in table if c.startswith("place ")]
    long = table.melt("model", places, "place", "relative to place 1").assign(device="both")
    return long.assign(place=long["place"].str.removeprefix("place ").astype(int))


def gains_of(table: pd.DataFrame) -> pd.DataFrame:
    """The gains over the naive model: name, mean, low, high."""
    known = table[np.isfinite(table["gain"])]
    return pd.DataFrame(
        {"name": known["model"].map(NAMES), "mean": known["gain"], "low": known["low"], "high": known["high"]}
    )


def cell(now: Settings, what: str) -> str:
    """The notebook cell of one of the tables: ``"shares"``, ``"looks"`` or ``"training"``."""
    curve, log = f"curve = [p / 100 for p in {list(now['curve'])}]", f'curve, "{now["order"]}", seed={now["seed"]}'
    lines = {
        "shares": "table = own_curve.shares(curve)",
        "looks": f"table = own_curve.looked_at(own_curve.log_of({log}))",
        "training": dedent(f"""\
            log = own_curve.log_of({log}, people={now["people"]})
            table = own_curve.train_on(log, "{now["order"]}", seed={now["seed"]})"""),
    }[what]
    threads = "import torch\n\n" if what == "training" else ""
    one = "torch.set_num_threads(1)  # with more, sums are rounded in another order\n" if threads else ""
    return f"{threads}from recsys_lite.lab import own_curve\n\n{one}{curve}\n{lines}\ntable\n"


def caveats(seeds: int) -> None:
    """What the numbers do not say."""
    notices.caveats(
        [
            "Only ratios of places can be learnt: a curve of half the height gives the same ratios, and fewer clicks "
            "to learn them from.",
            "Fewer looks are fewer clicks. A model that is worse under a steep curve need not be biased; it may know "
            "less.",
            "Settings are those that tuning chose for the stored log of the same order with 1/k: not for your curve, "
            f"not for few people. Training ends after {own_curve.EPOCHS} epochs at the latest.",
            "Real people do not follow a curve that depends on the place alone, and a click is not a rating.",
            "Chance alone makes one in twenty intervals miss 0 where there is no difference: try other seeds before "
            f"you believe one, or look at the stored runs, which have {seeds}.",
        ],
        [f"Where this comes from: {link('position_bias')}"],
    )
