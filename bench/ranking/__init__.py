"""Results of the ranking chapters, a file each. ``python -m bench.ranking.NAME`` writes ``NAME.json``."""
