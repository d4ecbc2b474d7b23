"""The emulated board, the bundles that it is given, and what it says of them; each is made once per run."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from edgebert.assets import calibration_texts, default_checkpoint
from tests.arm64.cpus import PARTS
from tests.arm64.packages import Unavailable
from tests.arm64.root import Board, build_board

CPUS = tuple(PARTS)
ARTIFACTS = ("tflite-int8", "onnx-int8", "tflite-fp16", "tflite-fp32", "onnx-fp32")
"""In the order of the target ``arm64-linux``."""
PROGRAM = Path(__file__).with_name("board.py")

Told = dict[str, Any]


def told_by(done: subprocess.CompletedProcess[str]) -> Told:
    """What the program said."""
    assert done.returncode == 0, f"{done.returncode}: {done.stderr[-4000:]}"
    told: Told = json.loads(done.stdout.splitlines()[-1])
    return told


def ask_board(board: Board, cpu: str, asked: Mapping[str, Any], *, topology: bool = True) -> Told:
    """What the program says on an emulated CPU."""
    return told_by(board.run(cpu, [PROGRAM], stdin=json.dumps(asked), topology=topology))


def ask_host(asked: Mapping[str, Any]) -> Told:
    """What the same program says on this machine."""
    command = [sys.executable, str(PROGRAM)]
    return told_by(subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True))


def ask_all(board: Board, asked: Mapping[str, Any]) -> dict[str, Told]:
    """What the program says on each CPU that the emulator has, and under ``"host"`` on this machine."""
    with ThreadPoolExecutor(2) as pool:
        running: dict[str, Future[Told]] = {"host": pool.submit(ask_host, asked)}
        running |= {cpu: pool.submit(ask_board, board, cpu, asked) for cpu in CPUS if cpu in board.cpus}
        return {name: future.result() for name, future in running.items()}


def jobs(bundles: Sequence[Path], artifacts: Sequence[str], texts: Sequence[str]) -> list[dict[str, Any]]:
    return [{"bundle": str(path), "artifact": name, "texts": texts} for path in bundles for name in artifacts]


@pytest.fixture(scope="session")
def board(tmp_path_factory: pytest.TempPathFactory) -> Board:
    try:
        return build_board(tmp_path_factory.mktemp("board"))
    except Unavailable as error:
        pytest.skip(str(error))


@pytest.fixture(params=CPUS)
def cpu(request: pytest.FixtureRequest, board: Board) -> str:
    if request.param not in board.cpus:
        pytest.skip(f"{board.emulator.name} has no {request.param}: it is too old")
    return str(request.param)


@pytest.fixture(scope="session")
def task_bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny bundle for each task, random in its answers."""
    _need_converter()
    from edgebert.convert.pipeline import convert
    from tests.cli.task_bundles import KINDS, Kind
    from tests.convert import models

    folder = tmp_path_factory.mktemp("tasks")
    kinds = {"text-classification": Kind("DistilBertForSequenceClassification", models.LABELS), **KINDS}
    texts = models.write_texts(folder / "texts.txt", [(text, None) for text in models.texts(32, longest=40)])
    # A random model turns its answers over a rounding of its weights: int8 must run here, not agree.
    target = models.write_target(
        folder / "target", ARTIFACTS, buckets=(16, 64), min_int8_agreement=0.0, max_metric_drop=1.0
    )
    bundles = {}
    for task, kind in kinds.items():
        checkpoint = models.save(models.random_head(kind.architecture, kind.labels, n_layers=1), folder / task)
        bundles[task] = folder / f"{task}.edgebert"
        convert(str(checkpoint), bundles[task], targets=[target], calibration=texts, task=task)
    return bundles


@pytest.fixture(scope="session")
def default_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded checkpoint, which is trained: its labels mean something, and int8 must keep them."""
    _need_converter()
    from edgebert.convert.pipeline import convert
    from tests.convert import models

    folder = tmp_path_factory.mktemp("default")
    target = models.write_target(folder / "target", ["tflite-int8"], buckets=(32, 64), min_int8_agreement=0.9)
    texts = models.write_texts(folder / "texts.txt", [(text, None) for text in calibration_texts()[:100]])
    convert(str(default_checkpoint()), folder / "default.edgebert", targets=[target], calibration=texts)
    return folder / "default.edgebert"


def _need_converter() -> None:
    for name in ("torch", "transformers", "optimum", "onnxscript", "litert_torch", "ai_edge_quantizer"):
        pytest.importorskip(name, reason="the converter needs it")
