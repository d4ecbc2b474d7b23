"""``edgebert compress --search``: which of the project's own steps give which size, accuracy and latency.

A grid of steps is tried under a time budget, each point by the commands that a user would type, and measured beside the
checkpoint that was not compressed.
"""
