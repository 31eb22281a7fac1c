"""Tables of what a model computed on given rows: parts of a logit, maps of pairs, traces. Trains and draws nothing.

Model and rows may lie on any device. What is told is worked out on the CPU, by a copy where the model lies elsewhere.
"""

from .logit import logit_parts, neighbours, readable, top_crosses
from .own_maps import attention, cross_strength, pair_strength
from .position import click_rates, curve_error, curves_table, examined, own_curve, product_parts, rows_needed
from .row_maps import RowMap, row_maps, strongest
from .swapping import beside, field_effects, interactions, row_effects, square, swapped_rows

__all__ = [
    "RowMap",
    "attention",
    "beside",
    "click_rates",
    "cross_strength",
    "curve_error",
    "curves_table",
    "examined",
    "field_effects",
    "interactions",
    "logit_parts",
    "neighbours",
    "own_curve",
    "pair_strength",
    "product_parts",
    "readable",
    "row_effects",
    "row_maps",
    "rows_needed",
    "square",
    "strongest",
    "swapped_rows",
    "top_crosses",
]
