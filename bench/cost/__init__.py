"""What serving costs: measured times, and quality in fewer bits. ``python -m bench.cost.NAME`` writes ``NAME.json``."""
