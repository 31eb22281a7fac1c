"""Workers of ``bench.speed``: ours, a hand-written minimum, and public libraries, each in an environment of its own.

A worker imports the standard library, torch, NumPy and its own library; only ``ours`` imports ``recsys_lite``.
"""
