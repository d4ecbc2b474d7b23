"""``edgebert prune``, and the recovery of ``edgebert drop-layers``, as a user runs them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

for name in ("torch", "transformers", "accelerate", "optimum", "rich"):
    pytest.importorskip(name, reason="`edgebert prune` needs it")

from tests.cli.command import Result, run  # noqa: E402
from tests.compress.distillation.checkpoints import save_bert, save_distilbert, write_data  # noqa: E402
from tests.convert import models  # noqa: E402

Edgebert = Callable[..., Result]


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    return save_distilbert(tmp_path / "whole", n_layers=2)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_data(tmp_path, "text-classification")


def test_a_pruned_checkpoint_and_what_is_told_of_it(
    edgebert: Edgebert, whole: Path, data: Path, tmp_path: Path
) -> None:
    done = edgebert("prune", whole, "-o", "small", "--data", data, "--heads", "2", "--eval", data, "--limit", "20")
    assert done.code == 0 and done.messages == "", done
    wrote, accuracy, _ = done.out.splitlines()
    assert wrote.startswith("Wrote small: heads 4 -> 2, width 32 -> 16; ")
    assert wrote.endswith(" of 25,379 parameters. Nothing was trained.")
    assert accuracy.startswith("accuracy: checkpoint ") and ", pruned " in accuracy
    assert "measuring importance on 20 examples" in done.progress
    facts = json.loads((tmp_path / "small/prune.json").read_text())
    assert facts["command"][:2] == ["edgebert", "prune"] and facts["command"][-1] == "20"


def test_json_and_quiet(edgebert: Edgebert, whole: Path, data: Path, tmp_path: Path) -> None:
    done = edgebert("prune", whole, "-o", "small", "--data", data, "--hidden-dim", "8", "--json", "-q")
    assert done.code == 0 and done.err == ""
    assert json.loads(done.out) == json.loads((tmp_path / "small/prune.json").read_text())


def test_a_recovered_checkpoint_can_be_converted(edgebert: Edgebert, whole: Path, data: Path, tmp_path: Path) -> None:
    for library in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(library, reason="`edgebert convert` needs it")
    board = models.write_target(tmp_path / "board", ["onnx-fp32"])
    options = ("--recover", data, "--max-steps", "2", "--batch-size", "4", "--eval", data)
    done = edgebert("prune", whole, "-o", "small", "--data", data, "--heads", "2", "--hidden-dim", "24", *options)
    assert done.code == 0 and " parameters. Trained 2 steps.\n" in done.out, done
    assert done.out.splitlines()[1].count("recovered 0.") == 1
    done = edgebert("convert", "small", "-o", "small.edgebert", "--target", board)
    assert done.code == 0, done


def test_dropped_layers_recover(edgebert: Edgebert, whole: Path, data: Path, tmp_path: Path) -> None:
    options = ("--recover", data, "--max-steps", "2", "--eval", data)
    done = edgebert("drop-layers", whole, "--keep", "1", "-o", "half", *options)
    assert done.code == 0 and done.messages == "", done
    assert done.out.startswith("Wrote half: 1 of 2 layers, ") and " parameters. Trained 2 steps.\n" in done.out
    assert ", dropped 0." in done.out and ", recovered 0." in done.out
    assert json.loads((tmp_path / "half/drop.json").read_text())["recovery"]["steps"] == 2


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ((), "Nothing is to be pruned"),
        (("--heads", "4"), "heads=4 is not allowed: the checkpoint has 4"),
        (("--hidden-dim", "65"), "hidden_dim=65 is not allowed: the checkpoint has 64"),
        (("--heads", "2", "--data", "none.tsv"), "none.tsv: cannot be read"),
        (("--heads", "2", "--eval", "none.tsv"), "none.tsv: cannot be read"),
        (("--heads", "2", "--recover", "none.tsv"), "none.tsv: cannot be read"),
        (("--heads", "2", "--label-column", "none"), "no column 'none'"),
        (("--heads", "2", "-o", "no/where"), "is no folder"),
        (("--heads", "2", "-o", "whole"), "'whole' exists already"),
    ],
)
def test_one_error_and_a_hint(
    options: tuple[str, ...], reason: str, edgebert: Edgebert, whole: Path, data: Path, tmp_path: Path
) -> None:
    before = sorted(path.name for path in tmp_path.iterdir())
    given = ("-o", "small") if "-o" not in options else ()
    assert reason in edgebert("prune", whole, *given, "--data", data, *options).refusal()
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_bert(edgebert: Edgebert, data: Path, tmp_path: Path) -> None:
    bert = save_bert(tmp_path / "bert")
    said = edgebert("prune", bert, "-o", "small", "--data", data, "--heads", "2").refusal()
    assert "only a DistilBERT can be pruned" in said


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--heads", "0"), "0 is not in the range x>=1"),
        (("--heads", "2", "--max-steps", "3"), "--max-steps is of a recovery: give --recover as well"),
        (("--heads", "2", "--resume"), "--resume is of a recovery: give --recover as well"),
    ],
)
def test_wrong_usage(options: tuple[str, ...], reason: str, edgebert: Edgebert, whole: Path, data: Path) -> None:
    assert reason in edgebert("prune", whole, "-o", "small", "--data", data, *options).usage_error()


def test_no_data(edgebert: Edgebert, whole: Path) -> None:
    assert "Missing option '--data'" in edgebert("prune", whole, "-o", "small", "--heads", "2").usage_error()


def test_nothing_but_errors_is_printed_by_libraries(whole: Path, data: Path, tmp_path: Path) -> None:
    done = run("prune", whole, "-o", "small", "--data", data, "--hidden-dim", "8", "-q", cwd=tmp_path)
    assert (done.code, done.out, done.err) == (0, "", "")
