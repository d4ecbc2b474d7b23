"""How much energy this machine takes: a meter that counts joules, on top of what the machine can tell.

Looked for in this order: the counters of the power capping framework (RAPL), the monitors on the rails of a board (INA
chips of a Jetson), and a battery, if asked for. Their files stand in :mod:`edgebert.bench.energy_sources`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from types import TracebackType

from edgebert.bench.energy_sources import Counter, find_battery, find_counters, find_rails

_SAMPLE_SECONDS = 0.02
"""Between two looks at a rail: the INA chips of a Jetson themselves average over 5 to 20 ms."""


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Nothing here measures energy; ``reason`` says why, a sentence without its full stop."""

    reason: str


class EnergyMeter:
    """Counts energy from the moment it is opened. :func:`open_meter` opens one; a context manager.

    Safe to use from several threads.

    Attributes:
        source: what measures: ``"powercap"``, ``"rails"`` or ``"battery"``.
        domains: what it covers, by the names that the system has for it, such as ``"package-0"``.
        least_seconds: how long a measurement has to last so that the steps of the meter do not count.
    """

    def __init__(
        self,
        source: str,
        domains: Sequence[str],
        least_seconds: float,
        joules: Callable[[], float],
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self.source = source
        self.domains = tuple(domains)
        self.least_seconds = least_seconds
        self._joules = joules
        self._close = close

    def joules(self) -> float:
        """Joules since the meter was opened, in all domains together; never less than before."""
        return self._joules()

    def close(self) -> None:
        """Stop looking; may be called again."""
        self._close()

    def __enter__(self) -> EnergyMeter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_meter(root: Path = Path("/"), *, battery: bool = False) -> EnergyMeter | Unavailable:
    """The best meter that this machine has.

    Args:
        root: where ``/sys`` is.
        battery: whether a battery may serve, where there is nothing better. It tells what the whole machine takes, in
            coarse steps, and only while it discharges.
    """
    reasons = []
    counters = find_counters(root)
    if not isinstance(counters, str):
        tally = _Tally(counters)
        return EnergyMeter("powercap", [one.name for one in counters], 1.0, tally.joules)
    reasons.append(counters)
    rails = find_rails(root)
    if not isinstance(rails, str):
        names, watts = rails
        sampler = _Sampler(watts)
        return EnergyMeter("rails", names, 2.0, sampler.joules, sampler.close)
    reasons.append(rails)
    if battery:
        found = find_battery(root)
        if not isinstance(found, str):
            tally = _Tally([found])
            # Fuel gauges step by some 10 mWh (36 J) and refresh every few seconds to half a minute.
            return EnergyMeter("battery", [found.name], 120.0, tally.joules)
        reasons.append(found)
    return Unavailable("; ".join(reasons))


class _Tally:
    """Adds up how far counters have gone, also when they begin anew."""

    def __init__(self, counters: Sequence[Counter]) -> None:
        self._counters = counters
        self._last = [counter.read() for counter in counters]
        self._total = 0.0
        self._lock = threading.Lock()

    def joules(self) -> float:
        with self._lock:
            for place, counter in enumerate(self._counters):
                now, last = counter.read(), self._last[place]
                if now is None:  # unreadable for a moment: what it counted meanwhile comes with the next reading
                    continue
                if last is not None:
                    self._total += counter.between(last, now)
                self._last[place] = now
            return self._total


class _Sampler:
    """Integrates power over time in a thread, by the trapezoidal rule."""

    def __init__(self, watts: Callable[[], float | None]) -> None:
        self._watts = watts
        self._total = 0.0
        self._last: tuple[float, float] | None = None
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._look()
        self._thread = threading.Thread(target=self._run, name="edgebert-energy", daemon=True)
        self._thread.start()

    def joules(self) -> float:
        self._look()
        with self._lock:
            return self._total

    def close(self) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(_SAMPLE_SECONDS):
            self._look()

    def _look(self) -> None:
        with self._lock:
            watts, now = self._watts(), monotonic()
            if watts is None:
                return
            if self._last is not None:
                then, before = self._last
                self._total += (watts + before) / 2 * (now - then)
            self._last = now, watts
