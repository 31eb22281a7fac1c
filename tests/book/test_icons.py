"""The small font of icons: the wanted ones, drawn as in the theme's, and nothing else."""

from __future__ import annotations

import sys
from pathlib import Path

import pydata_sphinx_theme
import pytest
from fontTools.pens.recordingPen import RecordingPen
from fontTools.ttLib import TTFont

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "book" / "_ext"))

import icons  # noqa: E402

THEME = Path(pydata_sphinx_theme.__file__).parent / "theme" / "pydata_sphinx_theme" / "static"
SUN, BARS = 0xF185, 0xF0C9


def drawn(font: TTFont, code: int) -> list:
    pen = RecordingPen()
    glyphs = font.getGlyphSet()
    glyphs[font.getBestCmap()[code]].draw(pen)
    return [*pen.value, glyphs[font.getBestCmap()[code]].width]


def test_the_codes_are_those_that_pages_and_theme_name():
    sheet = '.fa-sun:before{content:"\\f185"}.fa-navicon:before,.fa-bars:before{content:"\\f0c9"}'
    assert icons.codes(['<i class="fa-solid fa-bars">'], sheet) == {BARS}
    assert icons.codes([], sheet + '--pst-icon-bell: "\uf0f3";') == {0xF0F3}
    with pytest.raises(ValueError, match="no rule for any of"):
        icons.codes(['<i class="fa-solid fa-bars">'], "")


def test_the_font_draws_as_the_theme_and_is_the_same_each_time(tmp_path):
    for name in ("a", "b"):
        icons.write_font(THEME / icons.FONT, tmp_path / name, {SUN, BARS})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    whole, small = TTFont(THEME / icons.FONT), TTFont(tmp_path / "a")
    assert set(small.getBestCmap()) == {SUN, BARS} and (tmp_path / "a").stat().st_size < 2000
    for code in (SUN, BARS):
        assert drawn(small, code) == drawn(whole, code)
    told = {place: small["name"].getDebugName(place) for place in (0, 1, 13)}
    assert told == {0: "Copyright (c) Font Awesome", 1: icons.NAME, 13: icons.LICENCE}


def test_the_style_sheet_declares_it_as_the_theme_does():
    ours = (ROOT / "book" / "_static" / "custom.css").read_text(encoding="utf-8")
    theme = (THEME / icons.SHEET).read_text(encoding="utf-8")
    assert f'url("{icons.MADE}")' in ours and 'font-family: "Font Awesome 6 Free"; font-weight: 900' in ours
    assert "font-family:Font Awesome\\ 6 Free;font-style:normal;font-weight:900" in theme
