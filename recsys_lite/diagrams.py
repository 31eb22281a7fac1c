"""Drawings from code, in one grammar: what a box does gives it colour and shape, in the book and the explorer.

Text is text, inks follow the page (``currentColor``), so a drawing reads on light and on dark ground.
"""

from __future__ import annotations

import html
from collections.abc import Sequence

from .palette import BOX_COLOURS

#: slug -> short title, in reading order
CHAPTERS = [
    ("overview", "Overview"), ("building_blocks", "Building blocks"), ("when_not", "When not deep"),
    ("factorization_machines", "FM"), ("wide_and_deep", "Wide & Deep"), ("ncf", "NCF"), ("deepfm", "DeepFM"),
    ("dcn", "DCN"), ("autoint", "AutoInt"), ("dlrm", "DLRM"), ("dcn_v2", "DCN V2"), ("dhen", "DHEN"), ("gdcn", "GDCN"),
    ("lightgcn", "LightGCN"), ("two_towers", "Two towers"), ("pal", "PAL"), ("watch_next", "Watch Next"),
    ("split_network", "Split network"), ("comparison", "Comparison"),
]  # fmt: skip
WRITTEN = {"overview", "factorization_machines", "wide_and_deep"}

Box = tuple[str, str, float, float, float]  # kind, text, x, y, width
HEIGHT = 34


def _svg(width: int, height: int, body: Sequence[str], title: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'font-family="system-ui, sans-serif" font-size="13"><title>{html.escape(title)}</title>' + "".join(body) + "</svg>"
    )


def _box(kind: str, text: str, x: float, y: float, width: float) -> str:
    """Sums are round, inputs have sharp corners, all else is rounded."""
    colour, radius = BOX_COLOURS[kind], {"input": 1, "output": 1, "sum": HEIGHT / 2}.get(kind, 7)
    return (
        f'<rect x="{x}" y="{y}" width="{width}" height="{HEIGHT}" rx="{radius}" fill="{colour}" fill-opacity="0.18" '
        f'stroke="{colour}" stroke-width="1.6"/><text x="{x + width / 2}" y="{y + HEIGHT / 2 + 4.5}" '
        f'text-anchor="middle" fill="currentColor">{html.escape(text)}</text>'
    )


def _arrow(a: Box, b: Box) -> str:
    """From the top of a box to the bottom of the one above it."""
    x1, y1, x2, y2 = a[2] + a[4] / 2, a[3], b[2] + b[4] / 2, b[3] + HEIGHT
    if b[2] < x1 < b[2] + b[4]:
        x2 = x1  # straight up into a wide box
    return (
        f'<path d="M{x1} {y1} L{x2} {y2 + 6}" stroke="currentColor" stroke-opacity="0.6" stroke-width="1.4" fill="none"/>'
        f'<path d="M{x2 - 4} {y2 + 7} L{x2} {y2} L{x2 + 4} {y2 + 7} z" fill="currentColor" fill-opacity="0.7"/>'
    )


#: name -> (title, boxes by key, arrows between keys); y grows downwards, data flows upwards
_ARCHITECTURES: dict[str, tuple[str, dict[str, Box], list[tuple[str, str]]]] = {
    "logistic_regression": (
        "Logistic regression",
        {
            "x": ("input", "features x", 95, 150, 150),
            "w": ("embedding", "one weight each", 95, 85, 150),
            "z": ("sum", "Σ  →  logit z", 95, 20, 150),
        },
        [("x", "w"), ("w", "z")],
    ),
    "fm": (
        "Factorization machine",
        {
            "x": ("input", "features x", 20, 215, 310),
            "w": ("embedding", "weights w", 20, 150, 110),
            "v": ("embedding", "vectors v", 190, 150, 140),
            "p": ("cross", "all pairs ⟨vᵢ,vⱼ⟩", 190, 85, 140),
            "z": ("sum", "Σ  →  logit z", 95, 20, 150),
        },
        [("x", "w"), ("x", "v"), ("v", "p"), ("w", "z"), ("p", "z")],
    ),
    "wide_deep": (
        "Wide & Deep",
        {
            "x": ("input", "features x", 10, 280, 330),
            "c": ("cross", "crosses φ(x)", 10, 215, 120),
            "e": ("embedding", "embeddings e", 200, 215, 140),
            "w": ("embedding", "weights (wide)", 10, 85, 120),
            "h": ("mlp", "ReLU layers", 200, 150, 140),
            "m": ("mlp", "linear (deep)", 200, 85, 140),
            "z": ("sum", "Σ  →  logit z", 95, 20, 150),
        },
        [("x", "c"), ("x", "e"), ("c", "w"), ("e", "h"), ("h", "m"), ("w", "z"), ("m", "z")],
    ),
}


def architecture(name: str) -> str:
    """The drawing of a model as SVG text.

    Raises:
        ValueError: if there is none, naming those that exist.
    """
    if name not in _ARCHITECTURES:
        raise ValueError(f"no drawing of {name!r}; there are {sorted(_ARCHITECTURES)}")
    title, boxes, arrows = _ARCHITECTURES[name]
    body = [_arrow(boxes[a], boxes[b]) for a, b in arrows] + [_box(*b) for b in boxes.values()]
    return _svg(350, int(max(b[3] for b in boxes.values())) + HEIGHT + 10, body, title)


def book_map(slug: str) -> str:
    """The chapters in reading order, the given one lit, those not yet written pale.

    Raises:
        ValueError: for an unknown chapter.
    """
    if slug not in dict(CHAPTERS):
        raise ValueError(f"no chapter {slug!r}; there are {[s for s, _ in CHAPTERS]}")
    columns, width, step = 5, 128, 44
    body = []
    for k, (name, text) in enumerate(CHAPTERS):
        x, y = 4 + (k % columns) * (width + 8), 4 + (k // columns) * step
        lit, pale = name == slug, name not in WRITTEN
        body.append(
            f'<rect x="{x}" y="{y}" width="{width}" height="{HEIGHT}" rx="7" fill="#0072B2" '
            f'fill-opacity="{1 if lit else 0.12 if not pale else 0}" stroke="#0072B2" stroke-opacity="{0.4 if pale else 1}" '
            f'{"stroke-dasharray='4 3'" if pale else ""}/>'
            f'<text x="{x + width / 2}" y="{y + 22}" text-anchor="middle" fill="{"#fff" if lit else "currentColor"}" '
            f'fill-opacity="{0.65 if pale else 1}" font-weight="{600 if lit else 400}">{html.escape(text)}</text>'
        )
    rows = -(-len(CHAPTERS) // columns)
    return _svg(columns * (width + 8), rows * step + 4, body, "Chapters of the book")
