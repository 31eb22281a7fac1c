"""The explorer: one file per page; pages show what the library computes and hold no model code."""
