"""Results of the retrieval chapters, a file each. ``python -m bench.retrieval.NAME`` writes ``NAME.json``."""
