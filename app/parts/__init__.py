"""What pages are made of: charts, tables, editors, sentences, notebook cells, whole views.

No page, and nothing of ``pages``.
"""
