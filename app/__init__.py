"""The explorer: pages, the parts that they are made of, and the core that all share.

Nothing here holds model code: the library computes, the explorer shows. Imports go one way: core, parts, pages, main.
"""
