"""Telling a regression from noise: two reports of one bundle on one machine, figure by figure."""

from __future__ import annotations

from edgebert.bench.comparison.change import LEVEL, MARGIN, Change, find_change
from edgebert.bench.comparison.compare import Comparison, FigureChange, compare

__all__ = ["LEVEL", "MARGIN", "Change", "Comparison", "FigureChange", "compare", "find_change"]
