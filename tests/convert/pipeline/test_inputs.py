"""Wrong input is refused before anything is exported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("optimum")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

from edgebert.convert.pipeline import EvalColumns
from edgebert.errors import CheckpointError, DataError, TargetError
from tests.convert import models
from tests.convert.pipeline.support import EXAMPLES, ONNX, left


@pytest.mark.parametrize(
    ("options", "kind", "said"),
    [
        ({"targets": []}, TargetError, "No target"),
        ({"targets": ["no-such-board"]}, TargetError, "no-such-board"),
        ({"source": "/nonexistent/checkpoint"}, CheckpointError, "/nonexistent/checkpoint"),
        ({"calibration": "/nonexistent.txt"}, DataError, "/nonexistent.txt"),
        ({"evaluation": "/nonexistent.tsv"}, DataError, "/nonexistent.tsv"),
        ({"task": "fill-mask"}, CheckpointError, "fill-mask"),
    ],
)
def test_wrong_input(
    options: dict[str, Any], kind: type[Exception], said: str, run: Any, copied: list[str], tmp_path: Path
) -> None:
    with pytest.raises(kind, match=said):
        run(**options)
    assert copied == []
    assert left(tmp_path) == []


def test_unknown_labels(run: Any, copied: list[str], tmp_path: Path) -> None:
    path = models.write_eval(tmp_path / "wrong.tsv", [*EXAMPLES[:3], ("good", "splendid")])
    with pytest.raises(DataError, match=r"wrong.tsv.*5.*splendid") as caught:
        run(evaluation=path)
    assert "negative, neutral, positive" in caught.value.hint
    assert copied == []
    assert left(tmp_path) == []


def test_calibration_without_a_single_token(run: Any, copied: list[str], tmp_path: Path) -> None:
    path = tmp_path / "silent.txt"
    path.write_text("\u200d\n" * 10, encoding="utf-8")
    with pytest.raises(DataError, match="no token"):
        run(calibration=path)
    assert copied == []


def test_two_targets_of_one_name(run: Any, files: Path, tmp_path: Path, copied: list[str]) -> None:
    other = models.write_target(tmp_path / "other", ONNX)
    with pytest.raises(TargetError, match="Two targets have the name 'tiny-board'"):
        run(targets=[str(files / "onnx"), other])
    assert copied == []


def test_columns_and_limit(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    path.write_text("what,who\n" + "".join(f"{text},{label}\n" for text, label in EXAMPLES))
    report = run(evaluation=path, columns=EvalColumns(text="what", label="who"), limit=10)
    assert report.evaluation.texts == 10
    assert report.evaluation.path == "odd.csv"
