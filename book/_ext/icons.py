"""The icons that the pages show as a font of 3 kB: the theme's has 1,400 icons and 156 kB, and every page loads it.

`book/_static/custom.css` declares the small font under the same name, after the theme. A browser looks there first and
loads the theme's only for an icon that is missing (`tests/book/test_pages_weight.py` fails then).
"""

import re
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

SHEET = "styles/pydata-sphinx-theme.css"
SCRIPT = "scripts/pydata-sphinx-theme.js"  # it puts in an icon of its own
FONT = "vendor/fontawesome/webfonts/fa-solid-900.ttf"
MADE = "icons.woff"
CLASS = re.compile(r"\bfa-[a-z0-9-]+")
RULE = re.compile(r'((?:\.fa-[a-z0-9-]+:before,?)+)\{content:"\\([0-9a-f]+)"\}')
VARIABLE = re.compile(r'--pst-icon-[\w-]+: ?"(.)"')  # of admonitions and links
NAME = "recsys-lite icons"  # the licence keeps the name Font Awesome for the unchanged font
LICENCE = "SIL Open Font License 1.1"


def codes(pages, sheet):
    """The code points of the icons that pages name by class, and of those that the theme's rules name.

    Raises:
        ValueError: if the pages name icons and the sheet has no rule for any: the theme has changed.
    """
    names = {name for page in pages for name in CLASS.findall(page)}
    found = {int(code, 16) for classes, code in RULE.findall(sheet) if names & set(CLASS.findall(classes))}
    if names and not found:
        raise ValueError(f"icons: {SHEET} has no rule for any of {sorted(names)}")
    return found | {ord(icon) for icon in VARIABLE.findall(sheet)}


def write_font(source, target, wanted):
    """A font with the wanted code points only; the same ones always give the same bytes."""
    font = TTFont(source, recalcTimestamp=False)
    choice = Subsetter(Options(layout_features=[], name_IDs=[0], notdef_outline=True))
    choice.populate(unicodes=wanted)
    choice.subset(font)
    for place, text in {1: NAME, 4: NAME, 6: NAME.replace(" ", "-"), 13: LICENCE}.items():
        font["name"].setName(text, place, 3, 1, 0x409)
    font.flavor = "woff"
    font.save(target)


def make(app, exception):
    """The font beside the theme's own, once all pages are written."""
    if exception is None and app.builder.format == "html":
        out = Path(app.outdir)
        static = out / "_static"
        pages = [*out.glob("*.html"), *out.glob("book/*.html"), static / SCRIPT]
        wanted = codes([p.read_text(encoding="utf-8") for p in pages], (static / SHEET).read_text(encoding="utf-8"))
        write_font(static / FONT, static / MADE, wanted)


def setup(app):
    app.connect("build-finished", make)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
