"""The results of ``Model.stream``, as they come."""

from __future__ import annotations

from collections.abc import Generator, Iterator

from edgebert.runtime.cascade import Escalations, Tally
from edgebert.runtime.tasks import Result


class Stream(Iterator[Result]):
    """An iterator of results that knows how many of them the bigger model of a cascade gave."""

    def __init__(self, results: Generator[Result, None, None], tally: Tally) -> None:
        self._results = results
        self._tally = tally

    def __next__(self) -> Result:
        return next(self._results)

    @property
    def escalations(self) -> Escalations:
        """Of the inputs answered so far, which are some ahead of the results taken."""
        return self._tally.counts

    def close(self) -> None:
        """End the stream: no further input is read, and no further result comes."""
        self._results.close()
