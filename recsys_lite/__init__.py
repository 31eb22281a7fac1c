"""Recommender architectures that run: a small PyTorch library derived line by line in a book."""

__version__ = "0.1.0"
