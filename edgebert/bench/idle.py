"""Which meter there is, and what the machine takes when nothing of the benchmark runs."""

from __future__ import annotations

from time import monotonic, sleep

from edgebert.bench.energy import Unavailable, open_meter
from edgebert.bench.summary import Meter


def describe_meter(*, battery: bool) -> Meter | str:
    """The meter of this machine with its idle power, which takes as long as the meter needs; or why there is none.

    Args:
        battery: as for :func:`edgebert.bench.energy.open_meter`.
    """
    meter = open_meter(battery=battery)
    if isinstance(meter, Unavailable):
        return meter.reason
    with meter:
        begun, start = meter.joules(), monotonic()
        sleep(meter.least_seconds)
        watts = (meter.joules() - begun) / (monotonic() - start)
    return Meter(meter.source, meter.domains, watts)
