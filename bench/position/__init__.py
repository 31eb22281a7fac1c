"""Results of the chapter on position bias. ``python -m bench.position.NAME`` writes ``NAME.json``."""
