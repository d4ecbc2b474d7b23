"""What a cascade was measured to do, as data: its ``cascade.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from edgebert.bundle import CascadeHeadline

FORMAT = "edgebert-cascade/1"
METRIC = "accuracy"


@dataclass(frozen=True, slots=True)
class Pair:
    """An artifact of each bundle, on the half that the rule was not fitted on.

    Attributes:
        small: artifact of the small bundle.
        big: artifact of the bigger one.
        threshold: the lowest that the half to fit on allows this pair; the cascade's is the highest of all pairs.
        escalated: share of the texts that the bigger one answers, in [0, 1].
        accuracy: of the cascade.
        small_accuracy: of the small one alone.
        big_accuracy: of the bigger one alone.
        lost: texts that the bigger one alone answers rightly and the cascade does not.
        gained: the other way round.
    """

    small: str
    big: str
    threshold: float
    escalated: float
    accuracy: float
    small_accuracy: float
    big_accuracy: float
    lost: int
    gained: int

    @property
    def drop(self) -> float:
        """How much less accurate than the bigger one alone, in [-1, 1]."""
        return self.big_accuracy - self.accuracy

    @property
    def drop_error(self) -> float:
        """The standard error of :attr:`drop` times the number of texts: of the difference of paired answers."""
        return float((self.lost + self.gained) ** 0.5)


@dataclass(frozen=True, slots=True)
class CascadeReport:
    """All evidence of one cascade.

    Attributes:
        name: of the cascade.
        bundles: name, digest and checkpoint of the small and of the bigger bundle.
        evaluation: path and SHA-256 of the evaluation file.
        fitted_on: texts of the half that the rule was fitted on.
        texts: texts of the other half, on which everything here was measured.
        seed: of the halves.
        max_drop: the largest drop of accuracy that was allowed.
        temperature: of the rule.
        threshold: of the rule.
        calibration_error: of each artifact of the small bundle, without and with the temperature.
        pairs: every pair of artifacts that run here.
        curve: share escalated and accuracy of the worst pair at other thresholds.
        absent: artifacts that do not run here, and why.
        machine: where it was measured.
        tools: with what.
        command: the command line.
        created: RFC 3339, UTC.
    """

    name: str
    bundles: Mapping[str, Mapping[str, str]]
    evaluation: Mapping[str, str]
    fitted_on: int
    texts: int
    seed: int
    max_drop: float
    temperature: float
    threshold: float
    calibration_error: Mapping[str, tuple[float, float]]
    pairs: tuple[Pair, ...]
    curve: tuple[tuple[float, float], ...]
    absent: Mapping[str, Mapping[str, str]]
    machine: Mapping[str, Any]
    tools: Mapping[str, str]
    command: tuple[str, ...]
    created: str

    @property
    def worst(self) -> Pair:
        """The pair with the largest drop."""
        return max(self.pairs, key=lambda pair: pair.drop)

    @property
    def headline(self) -> CascadeHeadline:
        """What the manifest says."""
        worst = self.worst
        return CascadeHeadline(self.texts, METRIC, worst.accuracy, worst.big_accuracy, worst.escalated)

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {"format": FORMAT, **asdict(self)}

    def to_json(self) -> bytes:
        """``cascade.json``: UTF-8 JSON."""
        text = json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        return text.encode("utf-8", "backslashreplace")
