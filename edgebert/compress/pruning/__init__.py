"""Structured pruning: narrower feed-forwards and fewer heads, chosen by what they matter for a task's answers.

``pipeline.prune`` does all of it.
"""
