"""Data whose truth is known: planted crosses, simulated clicks, real data made small, sparse or homogeneous."""
