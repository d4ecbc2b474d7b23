"""What ``Model.explain()`` tells: which artifact runs, how, and what became of the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgebert.bundle import Cascade
from edgebert.runtime.cascade import Escalations
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
class StageExplanation:
    """The bigger model of a cascade. ``str()`` gives a text for people.

    Attributes:
        rule: when it is asked, and what that was measured to give.
        escalations: how many inputs of the model in front so far, and how many of them came here.
        explanation: why it runs the way it does.
    """

    rule: Cascade
    escalations: Escalations
    explanation: Explanation

    def __str__(self) -> str:
        rule, counts, evidence = self.rule, self.escalations, self.rule.headline
        so_far = f"{counts.escalated:,} of {counts.answered:,} ({counts.share:.1%})" if counts.answered else "none"
        return (
            f"cascade: an answer of confidence below {rule.threshold:.4g} (temperature {rule.temperature:.3g}) comes "
            f"from the bigger model\n"
            f"escalated so far: {so_far}; of {evidence.texts:,} held-out texts {evidence.escalated:.1%}, with "
            f"{evidence.metric} {evidence.value:.4f} (the bigger model alone {evidence.reference:.4f})\n"
            f"{self.explanation}"
        )


@dataclass(frozen=True, slots=True)
class Tuned:
    """The ranking of ``edgebert tune`` that decided the order.

    Attributes:
        created: when it was measured, RFC 3339 UTC time.
        objective: what for: ``"latency"``, ``"throughput"``, ``"memory"`` or ``"energy"``.
        figures: configuration -> its figure with unit, best first.
    """

    created: str
    objective: str
    figures: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a model runs the way it does. ``str()`` gives a text for people.

    Attributes:
        bundle: the bundle's name.
        chosen: id of the artifact that runs.
        profile: the target profile that names it; ``None`` when no profile that matches this machine does.
        facts: what the engine says of itself.
        self_test: the self-test that it passed at load.
        tokenizer: what makes the tokens: ``tokenizers`` and its version, or Python alone and why.
        verdicts: every artifact that was considered, best first.
        bigger: of a cascade, the model that answers where this one is not sure; else ``None``.
        tuned: the ranking that was measured on this device and gave the order; ``None`` where none was used.
        not_tuned: why the ranking that there is was not used; empty where there is none.
    """

    bundle: str
    chosen: str
    profile: str | None
    facts: EngineFacts
    self_test: SelfTestResult
    tokenizer: str
    verdicts: tuple[Verdict, ...]
    bigger: StageExplanation | None = None
    tuned: Tuned | None = None
    not_tuned: str = ""

    def __str__(self) -> str:
        facts = self.facts
        details = "".join(f", {name} {value}" for name, value in facts.details.items())
        if self.tuned is not None:
            order = f"measured on {self.tuned.created[:10]} for {self.tuned.objective}"
        else:
            order = f"of profile {self.profile}" if self.profile else "of the manifest, as no profile matches"
        lines = [
            f"{self.bundle}: {self.chosen} on {facts.distribution} {facts.version} "
            f"({facts.device}, threads {facts.threads}{details})",
            f"self-test: passed, max |difference| {self.self_test.max_abs_diff:.2g} "
            f"(tolerance {self.self_test.tolerance:.2g})",
            *([f"slow: {facts.slowdown}"] if facts.slowdown else []),
            f"tokenizer: {self.tokenizer}",
            *([f"ranking: {self.not_tuned}"] if self.not_tuned else []),
            f"artifacts, best first, in the order {order}:",
        ]
        width = max(len(verdict.artifact) for verdict in self.verdicts)
        for verdict in self.verdicts:
            reason = f": {verdict.reason}" if verdict.reason else ""
            lines.append(f"  {verdict.artifact:<{width}}  {verdict.status}{reason}")
        if self.bigger is not None:
            lines.append(str(self.bigger))
        return "\n".join(lines)


def cannot_run(candidate: Candidate) -> Verdict:
    """The verdict on a candidate that the machine cannot run."""
    install = f" ({candidate.install})" if candidate.install else ""
    return Verdict(candidate.artifact.id, CANNOT_RUN, f"{candidate.reason}{install}")
