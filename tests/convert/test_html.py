"""The page of evidence: every number of the report, and nothing that a user wrote as markup."""

from __future__ import annotations

import re

import pytest

from edgebert.convert.evidence import TaskScore
from edgebert.convert.html import to_html
from edgebert.convert.report import REFUSED
from edgebert.convert.target import GateLimits
from tests.convert.pages import (
    MEANING,
    REASONS,
    Page,
    accuracy,
    evaluated,
    failed,
    many,
    measurement,
    outcome,
    page,
    report,
    without_evaluation,
)


@pytest.mark.parametrize(
    "shown",
    [
        report(),
        report(outcome(), failed(reasons=REASONS, log="line one\n<b>two</b>")),
        report(failed()),
        without_evaluation(outcome(), failed()),
        many(30),
        report(labels=tuple(f"intent_{n}" for n in range(200))),
        report(outcome(measurement=measurement(probes=()))),
        report(outcome(limits=None)),
        report(machine={}, tools={}, notes=("a note", "another")),
        report(problem_type="multi_label_classification", evaluation=evaluated({"micro_f1": 0.5})),
        report(problem_type="regression", evaluation=evaluated({"pearson": 0.5})),
    ],
    ids=[
        "one",
        "failed",
        "all-failed",
        "no-eval",
        "30",
        "200-labels",
        "no-probes",
        "no-limits",
        "bare",
        "multi",
        "regr",
    ],
)
def test_every_element_is_closed_and_every_artifact_has_a_row(shown):
    parsed = page(shown)
    assert list(parsed.cells) == [artifact.id for artifact in shown.artifacts]
    statuses = {name: cells["Status"] for name, cells in parsed.cells.items()}
    assert statuses == {artifact.id: artifact.status for artifact in shown.artifacts}
    assert all(label in parsed.text for label in shown.labels)
    assert all(note in parsed.text for note in shown.notes)


def test_numbers_match_the_report():
    cells = page(report()).cells["onnx-int8"]
    assert cells["Targets"] == "x86-cpu arm64-linux"
    assert cells["Size"] == "67.5 MB 0.256 ×"
    assert cells["Accuracy"] == "88.76 %"
    assert cells["Accuracy against float32"] == "−0.34"
    assert cells["Macro F1"] == "88.97 %"
    assert cells["Macro F1 against float32"] == "−0.04"
    assert cells["Agreement"] == "98.62 % 12 differ"
    assert cells["Max output difference"] == "0.71"
    assert cells["Mean output difference"] == "0.096"
    assert cells["Neighbour difference"] == "0.011"
    assert cells["Gate limits"] == "agreement ≥ 97.5 % loss ≤ 1 points"
    assert cells["Self-test tolerance"] == "0.55 here 0.13"


def test_what_ran_stands_under_the_row():
    below = page(report()).below["onnx-int8"]
    assert "onnxruntime 1.22.0, 4 threads, providers CPUExecutionProvider" in below
    assert "weights int8, one scale per output channel" in below
    assert "13.8\N{NO-BREAK SPACE}s" in below


def test_a_float32_artifact_has_a_limit_on_logits_and_nothing_that_differs():
    limits = GateLimits(min_label_agreement=1.0, max_metric_drop=0.0, max_logit_difference=1e-4)
    same = measurement(max_abs_diff=4.9e-6, label_agreement=1.0, scores=accuracy(777 / 872, 777 / 872))
    cells = page(report(outcome(limits=limits, measurement=same, bytes=263_156_273))).cells["onnx-int8"]
    assert cells["Gate limits"] == "agreement ≥ 100 % loss ≤ 0 points output difference ≤ 0.0001 of the largest"
    assert cells["Agreement"] == "100.00 % 0 differ"
    assert cells["Accuracy against float32"] == "0.00"
    assert cells["Max output difference"] == "4.9e-06"
    assert cells["Size"] == "263.2 MB 1.000 ×"


def test_a_better_score_has_a_plus():
    better = measurement(scores=accuracy(0.90, 0.89))
    parsed = page(report(outcome(measurement=better)))
    assert parsed.cells["onnx-int8"]["Accuracy against float32"] == "+1.00"
    assert "accuracy does not fall" in parsed.verdict


def test_correlation_is_no_percentage():
    scored = measurement(scores=(TaskScore("pearson", 0.8712, 0.8812),))
    evaluation = evaluated({"pearson": 0.8812})
    cells = page(report(outcome(measurement=scored), problem_type="regression", evaluation=evaluation)).cells[
        "onnx-int8"
    ]
    assert (cells["Pearson correlation"], cells["Pearson correlation against float32"]) == ("0.8712", "−1.00")


def test_reasons_and_log_stand_under_the_artifact_that_did_not_pass():
    refused = outcome(status=REFUSED, reasons=REASONS)
    parsed = page(report(refused, failed(reasons=("RuntimeError: no <op>",), log="the end\nof a log")))
    assert all(reason in parsed.below["onnx-int8"] for reason in REASONS)
    assert "RuntimeError: no <op>" in parsed.below["tflite-int8"]
    assert "the end\nof a log" in parsed.below["tflite-int8"]
    assert "RuntimeError" not in parsed.below["onnx-int8"]


def test_what_was_not_measured_has_no_number():
    cells = page(report(outcome(), failed())).cells["tflite-int8"]
    unknown = {name for name, cell in cells.items() if cell == "–"}
    assert set(cells) - unknown == {"Status", "Targets", "Gate limits"}


def test_without_an_evaluation_file_there_is_no_metric():
    parsed = page(without_evaluation(outcome()))
    cells = parsed.cells["onnx-int8"]
    assert not {"Accuracy", "Accuracy against float32"} & set(cells)
    assert cells["Gate limits"] == "agreement ≥ 97.5 %"
    assert "accuracy" not in parsed.text.lower()
    assert "872 texts of the calibration set" in parsed.text
    assert "Agreement over size" in parsed.text


def test_every_column_is_explained():
    parsed = page(report())
    explained = re.findall(r"<dt>(.*?)</dt><dd>[^<]{20,}</dd>", to_html(report()))
    columns = list(parsed.cells["onnx-int8"])
    assert set(columns) <= set(explained)
    assert [title for title in explained if title in columns] == columns  # each once, in order
    assert MEANING in parsed.text


def test_a_task_without_labels_or_right_answers_has_neither():
    meaning = "Mean cosine similarity of the vectors with those of float32"
    shown = report(
        outcome(measurement=measurement(scores=())),
        task="feature-extraction",
        labels=(),
        problem_type=None,
        evaluation=evaluated({}, None, None, meaning),
    )
    parsed = page(shown)
    assert "Labels (" not in parsed.text
    assert meaning in parsed.text
    assert "feature-extraction" in parsed.text
    assert "label agreement" not in parsed.text.lower()
    assert not any("against float32" in title for title in parsed.cells["onnx-int8"])


@pytest.mark.parametrize(
    ("scores", "written"),
    [
        ({"squad_f1": 0.8123, "exact_match": 0.75}, {"F1": "81.23 %", "Exact match": "75.00 %"}),
        ({"top1_accuracy": 0.5, "top5_accuracy": 1.0}, {"Top-1 accuracy": "50.00 %", "Top-5 accuracy": "100.00 %"}),
        ({"spearman": 0.8123}, {"Spearman correlation": "0.8123"}),
        ({"entity_f1": 0.9}, {"Entity F1": "90.00 %"}),
    ],
)
def test_the_metrics_of_every_task_have_a_column_each(scores, written):
    measured = measurement(scores=tuple(TaskScore(name, value, value) for name, value in scores.items()))
    parsed = page(report(outcome(measurement=measured), labels=(), problem_type=None, evaluation=evaluated(scores)))
    cells = parsed.cells["onnx-int8"]
    assert {title: cells[title] for title in written} == written
    assert {cells[f"{title} against float32"] for title in written} == {"0.00"}


def test_vectors_are_compared_and_not_counted():
    close = measurement(decisions=0, label_agreement=0.9951, scores=())
    closer = measurement(decisions=0, label_agreement=0.9999, scores=())
    shown = page(
        report(outcome(measurement=close), outcome(id="onnx-fp32", measurement=closer), evaluation=evaluated({}))
    )
    assert "The agreement with the float32 checkpoint is at least 99.51 % (onnx-int8)" in shown.verdict
    assert shown.cells["onnx-int8"]["Agreement"] == "99.51 %"
    assert "otherwise" not in shown.verdict


def test_decisions_that_are_not_texts_are_not_called_texts():
    tokens = measurement(decisions=5000, label_agreement=0.998)
    verdict = page(report(outcome(measurement=tokens))).verdict
    assert "10 of 5,000 decisions are made otherwise than by the float32 checkpoint" in verdict
    same = page(report(outcome(measurement=measurement(decisions=5000, label_agreement=1.0)))).verdict
    assert "All 5,000 decisions are made as by the float32 checkpoint" in same


@pytest.mark.parametrize(
    ("artifacts", "sentence"),
    [
        ([outcome()], "onnx-int8 passed the gate. 12 of 872 texts are"),
        ([outcome(), outcome(id="onnx-fp32")], "All 2 artifacts passed the gate. At most 12 of 872 texts are"),
        (
            [outcome(), failed()],
            "1 of 2 artifacts passed the gate. Failed: tflite-int8. Among those that passed, 12 of",
        ),
        ([failed(), outcome(status=REFUSED)], "No artifact passed the gate. Refused: onnx-int8. Failed: tflite-int8."),
        ([outcome(measurement=measurement(label_agreement=1.0))], "All 872 texts are answered as by the float32"),
        ([outcome(measurement=measurement(label_agreement=871 / 872))], "1 of 872 texts is answered otherwise"),
    ],
)
def test_the_verdict_is_a_sentence(artifacts, sentence):
    assert sentence in page(report(*artifacts)).verdict


def test_the_verdict_names_the_worst_that_passed():
    worse = outcome(id="tflite-int8", measurement=measurement(label_agreement=850 / 872))
    poor = outcome(id="openvino-int8", measurement=measurement(scores=accuracy(0.80, 777 / 872)))
    ruined = outcome(id="onnx-fp32", status=REFUSED, measurement=measurement(label_agreement=0.5))
    verdict = page(report(outcome(), worse, poor, ruined)).verdict
    assert "at most 22 of 872 texts are answered otherwise than by the float32 checkpoint (tflite-int8)" in verdict
    assert "accuracy falls by at most 9.11 points (openvino-int8)" in verdict


def test_what_it_was_measured_on():
    text = page(report()).text
    for fact in (
        "checkpoints/distilbert-cased-sst2, 65,783,042 parameters",
        "dev.tsv, 872 texts; accuracy of the float32 checkpoint 89.11 %; ",
        "macro F1 of the float32 checkpoint 89.01 %; SHA-256 54a9c12c",
        "AMD EPYC, x86_64, Linux, 2 physical cores, 25.3 GB of memory, avx2, fma",
        "edgebert 0.1.0, onnxruntime 1.22.0",
        "2.4e-07",
        "2026-01-02T03:04:05+00:00",
    ):
        assert fact in text


def test_what_users_wrote_is_text_and_never_markup():
    written = []

    def evil(field: str) -> str:
        written.append(f"<script>alert('{field}')</script>\"><img src=x onerror=alert(2)>&amp;")
        return written[-1]

    measured = measurement(runtime=evil("runtime"), details={evil("detail"): evil("value")})
    refused = outcome(
        targets=(evil("target"),),
        status=REFUSED,
        reasons=(evil("reason"),),
        quantization=evil("quantization"),
        log=evil("log"),
        measurement=measured,
    )
    hostile = report(
        refused,
        name=evil("name"),
        checkpoint=evil("checkpoint"),
        labels=(evil("label"), "POSITIVE"),
        evaluation=evaluated({"accuracy": 0.5}, evil("path"), evil("digest"), evil("meaning")),
        calibration=evil("calibration"),
        machine={"model": evil("model"), "isa": [evil("isa")]},
        tools={evil("tool"): evil("version")},
        created=evil("created"),
        notes=(evil("note"),),
    )
    harmless = report(outcome(status=REFUSED, reasons=("r",), log="l"), notes=("n",))
    parsed = page(hostile)
    assert all(text in parsed.text for text in written)
    assert {tag for tag, _ in parsed.elements} == {tag for tag, _ in page(harmless).elements}
    assert {key for _, has in parsed.elements for key in has} == {
        key for _, has in page(harmless).elements for key in has
    }


def test_nothing_is_loaded_from_elsewhere():
    text = to_html(many(6))
    names = {name for _, attributes in Page(text).elements for name in attributes}
    assert not names & {"src", "href", "xlink:href", "srcset", "data", "action", "background", "style"}
    assert not any(name.startswith("on") for name in names)
    assert "http://" not in text and "https://" not in text
    assert "url(" not in text and "@import" not in text and "@font-face" not in text
