"""Spot the pair: the reader's guess which two fields decide the label, against five models on the same rows."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from recsys_lite import plots
from recsys_lite.lab import pair_game
from recsys_lite.lab.pair_game import EACH, PLAYERS, ROUNDS

from ..core.cache import record
from ..core.controls import number, write_address
from ..core.names import brief, chapter, name
from ..parts import notices, pair_boards
from ..parts.downloads import table_and_downloads

GUESSES = "game.guesses"  # in the state of the session: round -> the pair that the reader chose
YOU = "You"
WIDE = 100  # of a map, in pixels: three stand side by side on a phone

Pair = tuple[str, str]


def page() -> None:
    """The whole page."""
    st.title("Spot the pair")
    with st.container(horizontal=True, vertical_alignment="bottom", key="round", width=420):
        here = number("Round", "round", ROUNDS, first=1)
        st.button("Next round", disabled=here == ROUNDS, on_click=_go, args=(here + 1,), key="game.next")
    guesses: dict[int, Pair] = st.session_state.setdefault(GUESSES, {})
    table, truth, dataset_rows = board(here)
    _, noise = pair_game.level(here)
    mine = guesses.get(here)
    ask(here, dataset_rows, noise, mine, truth)
    boards(here, table, mine, truth)
    if mine is not None:
        verdict(here, mine, truth)
    if guesses:
        score(guesses)
    if mine is not None:
        away(here, table, truth)
    caveats()
    write_address({"round": str(here)})


def _go(to: int) -> None:
    st.session_state["control.round"] = to


@st.cache_data(show_spinner=False, max_entries=ROUNDS)
def board(here: int) -> tuple[pd.DataFrame, Pair, int]:
    """What a round shows, its planted pair, and how many rows it has."""
    dataset = pair_game.board(here)
    return pair_game.shares(dataset), pair_game.answer(dataset), len(dataset.train)


def answers(here: int) -> dict[str, Pair]:
    """The stored answer of each model in a round."""
    runs = record("pair_game").get("runs", [])
    return {r["model"]: (r["a"], r["b"]) for r in runs if r["round"] == here}


def words(pair: Pair) -> str:
    """A pair of fields.

    Example:
        >>> words(("A", "D"))
        'A × D'
    """
    return " × ".join(pair)


def ask(here: int, rows: int, noise: float, mine: Pair | None, truth: Pair) -> None:
    """The question, or whether the guess was right."""
    if mine is None:
        st.markdown(
            f"Two of six fields decide the label of these **{rows} rows**; {noise:.0%} of the labels are turned over. "
            "A map shows how often the label is 1 for each two values: blue more than half, orange less. "
            "**Which map is more than noise?**"
        )
    elif mine == truth:
        st.success(f"**Right.** {words(truth)} was planted.", icon=":material/check:")
    else:
        st.info(f"**Not this one.** {words(truth)} was planted; you chose {words(mine)}.", icon=":material/close:")


def boards(here: int, table: pd.DataFrame, mine: Pair | None, truth: Pair) -> None:
    """A map of each pair, with the button that chooses it."""
    with st.container(horizontal=True, key="boards"):
        for (a, b), part in table.groupby(["a", "b"], sort=False):
            pair = (str(a), str(b))
            with st.container(width=WIDE, gap="xxsmall"):
                st.html(pair_boards.picture(part))
                mark = " ✓ planted" if mine and pair == truth else " ✗ yours" if mine == pair else ""
                st.button(
                    words(pair) + mark, key=f"game.{here}.{a}{b}", disabled=mine is not None, width="stretch",
                    type="primary" if mark.endswith("planted") else "secondary", on_click=_guess, args=(here, pair),
                )  # fmt: skip


def _guess(here: int, pair: Pair) -> None:
    st.session_state[GUESSES].setdefault(here, pair)


def verdict(here: int, mine: Pair, truth: Pair) -> None:
    """Who was right in this round, in one sentence."""
    stored = answers(here)
    if not stored:
        st.caption("No answers of models are stored. `python -m bench.ranking.pair_game` makes them.")
        return
    right = [brief(m) for m in PLAYERS if stored.get(m) == truth]
    wrong = [f"{brief(m)} ({words(stored[m])})" for m in PLAYERS if m in stored and stored[m] != truth]
    told = f"{len(right)} of {len(stored)} models found it"
    told += f": {', '.join(right)}" if right else ""
    told += f". Taken in by noise: {', '.join(wrong)}" if wrong else ""
    st.markdown(f"**What you see.** {told}.")


def tally(guesses: dict[int, Pair]) -> dict[str, int]:
    """How many rounds each player has right, of those that the reader has played."""
    right = {YOU: sum(pair == board(k)[1] for k, pair in guesses.items())}
    for m in PLAYERS:
        right[m] = sum(answers(k).get(m) == board(k)[1] for k in guesses)
    return right


def score(guesses: dict[int, Pair]) -> None:
    """The score of this session."""
    st.markdown(f"**Score after {len(guesses)} round{'s' if len(guesses) > 1 else ''}**")
    with st.container(horizontal=True, key="scores"):
        for player, right in tally(guesses).items():
            st.metric(player if player == YOU else brief(player), right, help=name(player) if player != YOU else None)


def away(here: int, table: pd.DataFrame, truth: Pair) -> None:
    """The shares as a table, to take away."""
    rows, _ = pair_game.level(here)
    title = f"Round {here}: share of label 1 by {words(truth)}, the planted pair ({rows} rows)"
    figure = plots.heatmap(
        pair_boards.square(table[(table["a"] == truth[0]) & (table["b"] == truth[1])]) - 0.5,
        signed=True, limit=0.5, unit="share less ½", title=title,
    )  # fmt: skip
    cell = f"from recsys_lite.lab import pair_game\n\ntable = pair_game.shares(pair_game.board({here}))\ntable"
    table_and_downloads(table, [figure], f"spot-the-pair-{here}", title, "Table of the shares, downloads", cell)


def caveats() -> None:
    """What a score does not say."""
    settings: dict[str, Any] = pair_game.TRAINING
    notices.caveats(
        [
            f"Models were trained on the rows that you see, {settings['epochs']} epochs with the same settings, none "
            "tuned. A model's answer is the pair whose swap moves its logit most.",
            f"Every {EACH} rounds there are fewer rows, or more labels turned over. A guess at random is right in one "
            "round of fifteen.",
            "Your score stays in this session; the answers of the models are stored, one training each.",
        ],
        [" · ".join(f"{name(m)}: {chapter(m)}" for m in PLAYERS if chapter(m))],
    )
