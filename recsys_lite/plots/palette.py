"""One set of colours for book and explorer, readable on light and dark ground and for colour-blind readers.

The hues are Okabe and Ito's (Color Universal Design, 2008), with the yellow darkened so that it shows on white.
"""

BLUE, ORANGE, GREEN, RED, SKY, PINK, OCHRE, NEUTRAL = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#B8A000", "#8A8F98",
)  # fmt: skip

SERIES = [BLUE, ORANGE, GREEN, RED, SKY, PINK, OCHRE, NEUTRAL]
GOOD, BAD = BLUE, RED  # a part that pushes the logit up, and one that pushes it down
SEQUENTIAL = "Viridis"
DIVERGING = [[0.0, "#D55E00"], [0.5, "#F4F4F4"], [1.0, "#0072B2"]]

MODEL_COLOURS = {
    "popularity": NEUTRAL, "logistic_regression": "#8C564B", "gbdt": "#5B6770", "mlp": OCHRE,
    "fm": BLUE, "wide_deep": ORANGE, "deepfm": GREEN, "ncf": PINK, "dcn": RED, "autoint": SKY, "dlrm": "#7A5195",
    "dcn_v2": "#A23B00", "dhen": "#3B6E8F", "gdcn": "#8C6D00", "lightgcn": "#00735C", "two_towers": "#9E4F7D",
    "pal": "#4B7BEC", "watch_next": "#C26DBC", "split_network": "#6B8E23",
    "item_knn": "#A07855", "ease": "#B04A5A", "mf": "#4C6A92",
}  # fmt: skip

#: fill of a box in an architecture diagram, by what the box does
BOX_COLOURS = {
    "input": NEUTRAL, "embedding": BLUE, "cross": RED, "attention": SKY, "mlp": ORANGE, "sum": GREEN, "output": NEUTRAL,
}  # fmt: skip
