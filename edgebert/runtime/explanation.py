"""What ``Model.explain()`` tells: which artifact runs, how, and what became of the others."""

from __future__ import annotations

from dataclasses import dataclass

from edgebert.runtime.engines.base import EngineFacts
from edgebert.runtime.selection import Candidate
from edgebert.runtime.selftest import SelfTestResult

CHOSEN = "chosen"
FAILED = "failed"
CANNOT_RUN = "cannot run"
NO_PLAN = "no plan"
NOT_NEEDED = "not needed"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one artifact.

    ``status`` is ``"chosen"``, ``"failed"`` (it was tried and refused), ``"cannot run"`` (this machine lacks something
    it needs), ``"no plan"`` (this device must build it first) or ``"not needed"`` (a better one works); ``reason`` says
    why, and is empty where the status says it all.
    """

    artifact: str
    status: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a model runs the way it does. ``str()`` gives a text for people.

    Attributes:
        bundle: the bundle's name.
        chosen: id of the artifact that runs.
        profile: the target profile that ranked it; ``None`` when no profile matches this machine.
        facts: what the engine says of itself.
        self_test: the self-test that it passed at load.
        tokenizer: what makes the tokens: ``tokenizers`` and its version, or Python alone and why.
        verdicts: every artifact that was considered, best first.
    """

    bundle: str
    chosen: str
    profile: str | None
    facts: EngineFacts
    self_test: SelfTestResult
    tokenizer: str
    verdicts: tuple[Verdict, ...]

    def __str__(self) -> str:
        facts = self.facts
        details = "".join(f", {name} {value}" for name, value in facts.details.items())
        ranking = f"of profile {self.profile}" if self.profile else "of the manifest, as no profile matches"
        lines = [
            f"{self.bundle}: {self.chosen} on {facts.distribution} {facts.version} "
            f"({facts.device}, threads {facts.threads}{details})",
            f"self-test: passed, max |difference| {self.self_test.max_abs_diff:.2g} "
            f"(tolerance {self.self_test.tolerance:.2g})",
            *([f"slow: {facts.slowdown}"] if facts.slowdown else []),
            f"tokenizer: {self.tokenizer}",
            f"artifacts, best first, in the order {ranking}:",
        ]
        width = max(len(verdict.artifact) for verdict in self.verdicts)
        for verdict in self.verdicts:
            reason = f": {verdict.reason}" if verdict.reason else ""
            lines.append(f"  {verdict.artifact:<{width}}  {verdict.status}{reason}")
        return "\n".join(lines)


def cannot_run(candidate: Candidate) -> Verdict:
    """The verdict on a candidate that the machine cannot run."""
    install = f" ({candidate.install})" if candidate.install else ""
    return Verdict(candidate.artifact.id, CANNOT_RUN, f"{candidate.reason}{install}")
