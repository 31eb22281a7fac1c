"""A second, unlabelled file of the reader's: scored by the two models that were trained on the first."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import streamlit as st

from recsys_lite.data import table
from recsys_lite.evaluation import score
from recsys_lite.models import Model

from ..core.names import name, plain
from .downloads import as_csv

SHOWN = 100  # rows on the page; the download has all


def score_file(
    models: Mapping[str, Model],
    limits: table.Limits,
    types: list[str],
    complain: Callable[[table.TableError, str], None],
) -> None:
    """Upload rows without a label, see and download them with each model's probability.

    Args:
        models: name -> trained model.
        limits: of the file.
        types: endings of names that the uploader takes.
        complain: shows what is wrong with a file, under a headline.
    """
    st.subheader("Score new rows")
    file = st.file_uploader(
        f"A CSV file with the same columns; it needs no label (at most {limits})", types,
        max_upload_size=int(limits.megabytes), key="own_data.score",
    )  # fmt: skip
    if file is None:
        return
    try:
        frame = table.read(file.getvalue(), limits=limits, least=1)
        scored = frame.assign(**{f"probability, {name(m)}": score(model, frame) for m, model in models.items()})
    except table.TableError as error:
        complain(error, "These rows cannot be scored yet.")
        return
    except ValueError as error:  # a column that the models read is not there
        st.error(f"**These rows cannot be scored yet.** {plain(str(error))}")
        return
    st.caption(
        f"{len(scored):,} rows" + (f", of which the first {SHOWN} are shown." if len(scored) > SHOWN else "."),
        help="Rows are encoded as in training: a value that training never showed is read as unknown, a missing "
        "number as the median of the training rows.",
    )
    st.dataframe(scored.head(SHOWN), width="stretch")
    st.download_button(
        "Download all rows, scored", lambda: as_csv(scored), f"{file.name.split('.')[0]}-scored.csv", "text/csv",
        on_click="ignore",
    )  # fmt: skip
