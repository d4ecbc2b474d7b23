"""``edgebert distill`` and ``edgebert drop-layers`` as a user runs them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

for name in ("torch", "transformers", "accelerate", "optimum", "rich"):
    pytest.importorskip(name, reason="`edgebert distill` needs it")

from tests.cli.command import Result, run  # noqa: E402
from tests.compress.distillation.checkpoints import save_bert, save_distilbert, write_data  # noqa: E402

Edgebert = Callable[..., Result]


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    return save_distilbert(tmp_path / "teacher")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_data(tmp_path, "text-classification")


def test_a_student_and_what_is_told_of_it(edgebert: Edgebert, teacher: Path, data: Path, tmp_path: Path) -> None:
    done = edgebert(
        "distill", teacher, "-o", "student", "--data", data, "--eval", data, "--max-steps", "3", "--take-layers", "1,2"
    )
    assert done.code == 0, done
    assert done.out.startswith("Wrote student: 25,379 of 42,467 parameters.\naccuracy: teacher ")
    assert "training 3 steps" in done.progress and done.messages == ""
    assert [line for line in done.progress if line.startswith("step 3/3: loss ")]
    facts = json.loads((tmp_path / "student/distill.json").read_text())
    assert facts["student"]["taken"] == [1, 2]
    assert facts["command"][:2] == ["edgebert", "distill"] and facts["command"][-1] == "1,2"


def test_json_and_quiet(edgebert: Edgebert, teacher: Path, data: Path) -> None:
    done = edgebert("distill", teacher, "-o", "student", "--data", data, "--max-steps", "1", "--json", "--quiet")
    assert done.code == 0 and done.err == ""
    facts = json.loads(done.out)
    assert facts["recipe"]["alpha_kl"] == 5 and facts["recipe"]["temperature"] == 2 and facts["evaluation"] is None


def test_a_student_can_be_converted_by_the_command(
    edgebert: Edgebert, teacher: Path, data: Path, board: str, tmp_path: Path
) -> None:
    for library in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(library, reason="`edgebert convert` needs it")
    assert edgebert("distill", teacher, "-o", "student", "--data", data, "--max-steps", "2").code == 0
    done = edgebert("convert", "student", "-o", "student.edgebert", "--target", board, "--drop-failing")
    assert done.code == 0, done


def test_without_accelerate(edgebert: Edgebert, teacher: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "accelerate", None)
    said = edgebert("distill", teacher, "-o", "student", "--data", data).refusal()
    assert "needs the Python package accelerate" in said and 'pip install "edgebert[compress]"' in said


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--heads", "5"), "5 heads cannot share a width of 32"),
        (("--layers", "9"), "9 layers, the teacher has 4"),
        (("--take-layers", "0,9"), "take_layers=0,9 is not allowed"),
        (("--mode", "mlm"), "mode mlm needs a masked language model"),
        (("--max-length", "100"), "max_length=100 is not allowed"),
        (("--temperature", "0"), "temperature=0.0 is not allowed"),
        (("--alpha-kl", "-1"), "alpha_kl=-1.0 is not allowed"),
        (("--alpha-kl", "0", "--alpha-task", "0", "--alpha-cos", "0"), "All three losses are switched off"),
        (("--learning-rate", "nan"), "learning_rate=nan is not allowed"),
        (("--label-column", "none"), "no column 'none'"),
        (("--data", "none.tsv"), "none.tsv: cannot be read"),
        (("--eval", "none.tsv"), "none.tsv: cannot be read"),
        (("--init", "none/"), "'none/': there is no such directory"),
        (("-o", "no/where"), "is no folder"),
        (("-o", "teacher"), "'teacher' exists already"),
    ],
)
def test_one_error_and_a_hint(
    options: tuple[str, ...], reason: str, edgebert: Edgebert, teacher: Path, data: Path, tmp_path: Path
) -> None:
    before = sorted(path.name for path in tmp_path.iterdir())
    given = ("-o", "student") if "-o" not in options else ()
    assert reason in edgebert("distill", teacher, *given, "--data", data, *options).refusal()
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_file_twice(edgebert: Edgebert, teacher: Path, data: Path) -> None:
    said = edgebert("distill", teacher, "-o", "student", "--data", data, "--data", data).refusal()
    assert "is given twice" in said


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--limit", "3"), "give --eval as well"),
        (("--init", "x", "--layers", "2"), "leave the sizes out, or --init"),
        (("--take-layers", "a,b"), "'a,b' is no list of layers"),
        (("--precision", "int8"), "'int8' is not one of"),
    ],
)
def test_wrong_usage(options: tuple[str, ...], reason: str, edgebert: Edgebert, teacher: Path, data: Path) -> None:
    assert reason in edgebert("distill", teacher, "-o", "student", "--data", data, *options).usage_error()


def test_dropped_layers(edgebert: Edgebert, teacher: Path, tmp_path: Path) -> None:
    done = edgebert("drop-layers", teacher, "--keep", "0,2", "-o", "half")
    assert (done.code, done.err) == (0, "")
    assert done.out == "Wrote half: 2 of 4 layers, 25,379 of 42,467 parameters. Nothing was trained.\n"
    done = edgebert("drop-layers", teacher, "--keep", "3", "-o", "one", "--json")
    assert json.loads(done.out) == json.loads((tmp_path / "one/drop.json").read_text())
    assert "keep=4 is not allowed" in edgebert("drop-layers", teacher, "--keep", "4", "-o", "none").refusal()
    bert = save_bert(tmp_path / "bert")
    assert "edgebert distill --take-layers 0,2" in edgebert("drop-layers", bert, "--keep", "0,2", "-o", "n").refusal()


def test_nothing_but_errors_is_printed_by_libraries(teacher: Path, data: Path, tmp_path: Path) -> None:
    done = run("distill", teacher, "-o", "student", "--data", data, "--max-steps", "1", "-q", cwd=tmp_path)
    assert (done.code, done.out, done.err) == (0, "", "")
