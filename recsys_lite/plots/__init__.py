"""Figures of tables, colours, drawings of architectures. Computes no result and knows no model."""

from .figures import calibration, colour, curves, empty, heatmap, intervals, lines, titled, waterfall

__all__ = ["calibration", "colour", "curves", "empty", "heatmap", "intervals", "lines", "titled", "waterfall"]
