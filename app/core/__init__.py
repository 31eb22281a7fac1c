"""What every page stands on: the address, its controls, names in words, what is loaded once, the one training.

No charts, no tables, no text of a single page; nothing of ``parts`` or ``pages``.
"""
