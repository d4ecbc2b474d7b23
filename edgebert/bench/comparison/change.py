"""Whether a figure changed from one run to another by more than its noise: the test, and nothing of reports.

**What is repeated is the process.** Measurements of one process share its memory layout, its thread placement and the
state that the machine was in; thirty of them are not thirty independent ones, and a test that takes them for such sees
changes where there are none. As T. Kalibera and R. Jones do ("Rigorous Benchmarking in Reasonable Time", ISMM 2013;
"Quantifying Performance Changes with Effect Size Confidence Intervals", University of Kent 2012) each process is
reduced to one value here, and what varies between processes is what a change must exceed.

**The test** is Student's on the logarithms of these values, with one variance for both runs: same machine, same
artifact, same protocol. The difference of the means is the logarithm of the ratio of the (geometric) means, and its
confidence interval is that of the ratio. A rank test (Mann-Whitney) or a permutation test would not need the
logarithms to be normal, but three rounds against three have 20 arrangements: their smallest one-sided probability is
1/20, which no correction for several figures survives. With ten rounds they and this one agree.

**Several figures** share one level: with ``figures`` compared at once each interval has the one-sided level ``level /
figures`` (Bonferroni), so that all lower bounds hold together with probability 1 - ``level``, whatever the figures have
in common.

**What the test cannot see**: two runs are two sessions, and what differs between sessions (a governor, a neighbour on
the same host, the room) is in no round of either. Only a change beyond ``margin`` counts, therefore.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgebert.bench.stats import t_quantile

LEVEL = 0.05
"""How often a comparison of runs that differ in nothing may call a figure worse, over all its figures."""

MARGIN = 0.05
"""The change that is not worth a word."""

SAME = "same"
WORSE = "worse"
BETTER = "better"
UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Change:
    """How a figure changed.

    Attributes:
        ratio: its geometric mean over the second run's rounds by that over the first's.
        low: the lower bound of the ratio.
        high: the upper bound of the ratio.
        verdict: ``"worse"`` or ``"better"`` when the whole interval lies beyond the margin on that side, ``"same"``
            when it lies within the margin on both, else ``"unclear"``: the rounds do not tell.
    """

    ratio: float
    low: float
    high: float
    verdict: str


def find_change(
    before: Sequence[float],
    after: Sequence[float],
    *,
    more_is_worse: bool,
    figures: int = 1,
    level: float = LEVEL,
    margin: float = MARGIN,
) -> Change:
    """Compare one figure of two runs.

    Args:
        before: one positive value per round of the first run, all in one unit.
        after: the same of the second run.
        more_is_worse: as of a latency, and not as of a throughput.
        figures: how many are compared at once.
        level: the probability that any of them is called worse if nothing changed; the same for better.
        margin: the smallest change that counts, as a share of the figure: 0.05 takes ratios from 1/1.05 to 1.05 as
            equal.

    Raises:
        ValueError: fewer than two rounds, of which nothing can be told.
    """
    if min(len(before), len(after)) < 2:
        raise ValueError("a change needs two rounds of both runs")
    old, new = np.log(np.asarray(before, float)), np.log(np.asarray(after, float))
    freedom = len(old) + len(new) - 2
    pooled = (((old - old.mean()) ** 2).sum() + ((new - new.mean()) ** 2).sum()) / freedom
    error = math.sqrt(pooled * (1 / len(old) + 1 / len(new)))
    change, reach = float(new.mean() - old.mean()), t_quantile(1 - level / figures, freedom) * error
    low, high = change - reach, change + reach
    return Change(_ratio(change), _ratio(low), _ratio(high), _verdict(low, high, math.log1p(margin), more_is_worse))


def _ratio(logarithm: float) -> float:
    # Two rounds that differ widely, and many figures, give bounds beyond any float.
    return math.exp(min(max(logarithm, -700.0), 700.0))


def _verdict(low: float, high: float, margin: float, more_is_worse: bool) -> str:
    if low > margin:
        return WORSE if more_is_worse else BETTER
    if high < -margin:
        return BETTER if more_is_worse else WORSE
    return SAME if -margin <= low and high <= margin else UNCLEAR
