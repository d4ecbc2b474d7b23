"""The page of a benchmark's report, for the person with the board in hand."""

from __future__ import annotations

from edgebert.bench.pages.page import to_html

__all__ = ["to_html"]
