"""From what became of a point in the folder of a search to its entry in the report."""

from __future__ import annotations

import shlex

from edgebert.compress.search.evidence import Converted
from edgebert.compress.search.grid import Point
from edgebert.compress.search.latency import Latencies
from edgebert.compress.search.report import FAILED, MEASURED, NOT_TRIED, REFUSED, PointResult
from edgebert.compress.search.work import Work
from edgebert.convert import report as conversion


def point_result(work: Work, point: Point, latencies: Latencies | None) -> PointResult:
    """The entry of a point.

    Args:
        work: the search, which has ended.
        point: of its grid.
        latencies: what was measured; ``None`` where this machine cannot.
    """
    state = work.record.point(point.name)
    evidence = work.evidence(point.name)
    status = _status(evidence, failed=bool(state.failed))
    commands = tuple(shlex.join(["edgebert", *arguments]) for arguments in work.commands(point))
    base = PointResult(
        name=point.name,
        title=point.title,
        status=status,
        reason=state.failed or work.left_out.get(point.name, ""),
        commands=commands,
        seconds=round(state.seconds, 1),
        steps=state.steps,
    )
    if evidence is None:
        return base
    best = evidence.best if status == MEASURED else None
    latency = None if latencies is None else latencies.points.get(point.name)
    lacking = "" if latencies is None else latencies.reasons.get(point.name, "")
    reasons = [evidence.refusal, f"latency was not measured: {lacking}" if lacking else ""]
    return PointResult(
        name=point.name,
        title=point.title,
        status=status,
        reason="; ".join(filter(None, reasons)) or base.reason,
        commands=commands,
        seconds=base.seconds,
        steps=state.steps,
        parameters=evidence.parameters,
        checkpoint_score=evidence.score,
        artifacts=evidence.artifacts,
        best=None if best is None else best.id,
        bytes=None if best is None else best.bytes,
        score=None if best is None else best.score,
        latency=latency,
    )


def _status(evidence: Converted | None, *, failed: bool) -> str:
    if evidence is not None and not failed:
        return MEASURED
    if evidence is not None and any(artifact.status == conversion.REFUSED for artifact in evidence.artifacts):
        return REFUSED
    return FAILED if failed else NOT_TRIED
