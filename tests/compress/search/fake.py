"""``edgebert`` as a search sees it, without its work: files, output and times of each verb."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgebert.compress.search.commands import Finished, OutOfTime

SCORES = {"checkpoint": 0.9, "trim": 0.89, "trim-4": 0.88}
LATENCY = {"checkpoint": 8.0}
EXAMPLES = 19_200
"""600 steps of 32."""


@dataclass
class FakeEdgebert:
    """Takes made-up seconds of a made-up clock for each command, and leaves what the real one would.

    Attributes:
        now: the clock.
        ran: every command that was begun.
        fails: by the output of a command, its exit code and standard error.
        slower: by the output of a command, the seconds that it takes more than others.
        step: seconds of a training step.
        stop_at: raise KeyboardInterrupt in place of the command of this number.
    """

    now: float = 0.0
    ran: list[list[str]] = field(default_factory=list)
    fails: dict[str, tuple[int, str]] = field(default_factory=dict)
    slower: dict[str, float] = field(default_factory=dict)
    step: float = 0.1
    stop_at: int = -1
    folder: Path = Path()

    def runner(self, folder: Path, lock: int) -> Callable[..., Finished]:
        self.folder = folder
        return self

    def clock(self) -> float:
        return self.now

    def outputs(self, verb: str) -> list[str]:
        """What commands of a verb have made, in order."""
        return [output(arguments) for arguments in self.ran if arguments[0] == verb]

    def __call__(self, arguments: Sequence[str], *, timeout: float) -> Finished:
        if len(self.ran) == self.stop_at:
            self.stop_at = -1
            raise KeyboardInterrupt
        self.ran.append(list(arguments))
        out = output(arguments)
        seconds = self._seconds(arguments) + self.slower.get(out, 0.0)
        if seconds > timeout:
            self.now += max(timeout, 0.0)
            if "--max-steps" in arguments:
                (self.folder / f"{out}.partial").mkdir(exist_ok=True)
            raise OutOfTime
        self.now += seconds
        if out in self.fails:
            code, error = self.fails[out]
            text = json.dumps(evidence(out, "refused")) if code == 3 else ""
            return Finished(code, text, error, seconds)
        return Finished(0, getattr(self, f"_{arguments[0].replace('-', '_')}")(arguments, out), "", seconds)

    def _seconds(self, arguments: Sequence[str]) -> float:
        if "--max-steps" in arguments:
            return 5.0 + self.step * steps(arguments)
        return {"convert": 10.0, "bench": 1.0, "trim-vocab": 3.0, "drop-layers": 2.0, "prune": 4.0}[arguments[0]]

    def _convert(self, arguments: Sequence[str], out: str) -> str:
        assert self._there(arguments[1]) and not (self.folder / out).exists()
        (self.folder / out).mkdir()
        text = json.dumps(evidence(out, "passed"))
        (self.folder / out / "evidence.json").write_text(text)
        return text

    def _bench(self, arguments: Sequence[str], out: str) -> str:
        assert (self.folder / arguments[1]).is_dir()
        name = arguments[1].removesuffix(".edgebert")
        p50 = LATENCY.get(name, 4.0)
        measured = {"texts_latency_ms": {"p50": p50}, "latency_ms": {"16": {"p50": p50 / 2}, "64": {"p50": p50 * 2}}}
        return json.dumps({"artifacts": [{"id": "onnx-int8", "reason": "", "measurements": measured}]})

    def _trim_vocab(self, arguments: Sequence[str], out: str) -> str:
        return self._make(arguments, out)

    def _drop_layers(self, arguments: Sequence[str], out: str) -> str:
        return self._make(arguments, out)

    def _prune(self, arguments: Sequence[str], out: str) -> str:
        return self._distill(arguments, out) if "--recover" in arguments else self._make(arguments, out)

    def _distill(self, arguments: Sequence[str], out: str) -> str:
        shutil.rmtree(self.folder / f"{out}.partial", ignore_errors=True)
        self._make(arguments, out)
        trained = {"seconds": self.step * steps(arguments), "steps": steps(arguments), "data": {"examples": EXAMPLES}}
        (self.folder / out / "distill.json").write_text(json.dumps(trained))
        return ""

    def _make(self, arguments: Sequence[str], out: str) -> str:
        assert self._there(arguments[1])
        (self.folder / out).mkdir()
        return ""

    def _there(self, name: str) -> bool:
        return (self.folder / name).is_dir()


def output(arguments: Sequence[str]) -> str:
    return arguments[arguments.index("-o") + 1] if "-o" in arguments else arguments[1]


def steps(arguments: Sequence[str]) -> int:
    return int(arguments[arguments.index("--max-steps") + 1])


def evidence(bundle: str, status: str) -> dict[str, object]:
    """What ``edgebert convert --json`` prints, as far as a search reads it."""
    name = bundle.removesuffix(".edgebert")
    score = SCORES.get(name, 0.85)
    size = 60_000_000 if name == "checkpoint" else 30_000_000
    reasons = ["accuracy falls by 0.2"] if status == "refused" else []
    return {
        "parameters": size,
        "machine": {},
        "tools": {"edgebert": "0"},
        "evaluation": {"texts": 64, "scores": {"accuracy": score, "macro_f1": score}},
        "artifacts": [
            {
                "id": f"onnx-{precision}",
                "status": status,
                "bytes": size * (4 if precision == "fp32" else 1),
                "reasons": reasons,
                "measurement": {"scores": [{"metric": "accuracy", "value": score, "reference": score}]},
            }
            for precision in ("fp32", "int8")
        ],
    }
