"""Serving candidates: indexes, the funnel of stages, cost formulas, tables in fewer bits. Trains nothing."""
