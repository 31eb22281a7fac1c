"""What only notebooks need: showing figures, tables, tabs and traces alike in book, Jupyter and Colab."""

from .controls import explore
from .figures import display_bundle, drawing, here, map_drawing, show, show_svg, tabs
from .filter_table import show_filtered
from .pair_drawing import fm_drawing
from .row_drawing import row_drawing
from .tables import show_table
from .traces import show_row, show_steps
from .words import ask, say, told

__all__ = [
    "ask",
    "display_bundle",
    "drawing",
    "explore",
    "fm_drawing",
    "here",
    "map_drawing",
    "row_drawing",
    "say",
    "show",
    "show_filtered",
    "show_row",
    "show_steps",
    "show_svg",
    "show_table",
    "tabs",
    "told",
]
