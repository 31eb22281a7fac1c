"""Small trainings that a reader starts and watches: a race, a trial on any table, a curve of one's own.

Stands above ``explain``, since what is watched is what a model has found; knows nothing of the explorer.
"""
