"""Reports made up for the tests of the page, and a parser that shows what is on it."""

from __future__ import annotations

import dataclasses
from html.parser import HTMLParser
from typing import Any

from edgebert.convert.evidence import Measurement, Probe, TaskScore
from edgebert.convert.html import to_html
from edgebert.convert.report import FAILED, PASSED, Evaluation, Outcome, Report
from edgebert.convert.target import GateLimits

VOID = {"meta", "br"}
MEANING = "Share of the texts that get the label that float32 gives, be it right or wrong"
REASONS = ("answers agree on 61.35% of 872 decisions, at least 97.50% is required", "an output differs by 7.1 & more")


def accuracy(value: float, reference: float) -> tuple[TaskScore, ...]:
    """The scores of a classifier; its F1 falls by little."""
    return TaskScore("accuracy", value, reference), TaskScore("macro_f1", 0.8897, 0.8901)


def measurement(**changes: Any) -> Measurement:
    probes = tuple(
        Probe(length=n, padded_to=n, batch=1, max_abs_diff=d) for n, d in ((2, 0.1), (16, 0.01), (64, 0.001))
    )
    plain = Measurement(
        runtime="onnxruntime 1.22.0",
        threads=4,
        details={"providers": "CPUExecutionProvider"},
        probes=probes,
        decisions=872,
        max_abs_diff=0.7126,
        mean_abs_diff=0.09598,
        label_agreement=860 / 872,
        neighbour_diff=0.0112,
        golden_diff=0.128,
        largest=4.2,
        scores=accuracy(774 / 872, 777 / 872),
    )
    return dataclasses.replace(plain, **changes)


def outcome(**changes: Any) -> Outcome:
    plain = Outcome(
        id="onnx-int8",
        backend="onnx",
        precision="int8",
        targets=("x86-cpu", "arm64-linux"),
        status=PASSED,
        reasons=(),
        quantization="weights int8, one scale per output channel",
        bytes=67_490_868,
        seconds=13.81,
        limits=GateLimits(min_label_agreement=0.975, max_metric_drop=0.01, max_logit_difference=None),
        tolerance=0.5498,
        measurement=measurement(),
    )
    return dataclasses.replace(plain, **changes)


def evaluated(
    scores: dict[str, float], path: str | None = "e", sha256: str | None = "0" * 64, meaning: str = MEANING
) -> Evaluation:
    return Evaluation(path, sha256, 872, scores, meaning)


def report(*artifacts: Outcome, **changes: Any) -> Report:
    plain = Report(
        name="sst2",
        checkpoint="checkpoints/distilbert-cased-sst2",
        parameters=65_783_042,
        task="text-classification",
        labels=("NEGATIVE", "POSITIVE"),
        problem_type="single_label_classification",
        graph_diff=2.4e-7,
        evaluation=evaluated({"accuracy": 777 / 872, "macro_f1": 0.8901}, "dev.tsv", "54a9c12c" * 8),
        calibration="built-in",
        machine={
            "system": "Linux",
            "architecture": "x86_64",
            "model": "AMD EPYC",
            "isa": ["avx2", "fma"],
            "physical_cores": 2,
            "memory_bytes": 25_276_514_304,
        },
        tools={"edgebert": "0.1.0", "onnxruntime": "1.22.0"},
        created="2026-01-02T03:04:05+00:00",
        notes=(),
        artifacts=artifacts or (outcome(),),
    )
    return dataclasses.replace(plain, **changes)


def failed(**changes: Any) -> Outcome:
    nothing: dict[str, Any] = {"measurement": None, "bytes": None, "tolerance": None, "quantization": None}
    return outcome(status=FAILED, **{"id": "tflite-int8", "backend": "tflite", **nothing, **changes})


def without_evaluation(*artifacts: Outcome) -> Report:
    bare = [
        dataclasses.replace(a, measurement=dataclasses.replace(a.measurement, scores=())) if a.measurement else a
        for a in artifacts
    ]
    return report(*bare, evaluation=evaluated({}, None, None))


def many(count: int) -> Report:
    kinds = [(backend, precision) for backend in ("onnx", "openvino", "tflite") for precision in ("fp32", "int8")]
    artifacts = []
    for index in range(count):
        backend, precision = kinds[index % len(kinds)]
        artifacts.append(outcome(id=f"{backend}-{precision}-{index}", backend=backend, precision=precision))
    return report(*artifacts)


class Page(HTMLParser):
    """A page as its elements; raises ``AssertionError`` where a tag is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.cells: dict[str, dict[str, str]] = {}
        self.below: dict[str, str] = {}
        self.drawn: list[tuple[dict[str, str], str]] = []
        self.verdict = ""
        self.text = ""
        self._open: list[tuple[str, dict[str, str]]] = []
        self._row = ""
        self.feed(text)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        attributes = {name: value or "" for name, value in attrs}
        assert len(attributes) == len(attrs), f"an attribute of <{tag}> stands there twice"
        self.elements.append((tag, attributes))
        if tag == "text":
            self.drawn.append((attributes, ""))
        if tag not in VOID:
            self._open.append((tag, attributes))

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        assert "svg" in [name for name, _ in self._open], f"<{tag}/> is no empty element outside SVG"
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop()[0] == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        names = [name for name, _ in self._open]
        if "style" in names:
            return
        self.text += data
        for name, attributes in self._open:
            if name == "th" and attributes.get("scope") == "row":
                self._row = data
                self.cells[data] = {}
            elif name == "td" and "data-label" in attributes:
                row = self.cells[self._row]
                row[attributes["data-label"]] = f"{row.get(attributes['data-label'], '')} {data}".strip()
            elif name == "td":
                self.below[self._row] = self.below.get(self._row, "") + data
            elif name == "text":
                self.drawn[-1] = (attributes, self.drawn[-1][1] + data)
            elif attributes.get("class") == "verdict":
                self.verdict += data

    def count(self, tag: str, **attributes: str) -> int:
        return sum(1 for name, has in self.elements if name == tag and attributes.items() <= has.items())


def page(shown: Report) -> Page:
    return Page(to_html(shown))
