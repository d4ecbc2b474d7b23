"""Every task on emulated ARM CPUs: what EdgeBERT's wheel answers there, against the same files on this machine."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path

import pytest

from edgebert.assets import calibration_texts
from edgebert.bundle.schema import TASKS
from tests.arm64.compare import assert_same_answers
from tests.arm64.conftest import ARTIFACTS, Told, ask_all, ask_board, jobs
from tests.arm64.root import Board

pytestmark = pytest.mark.full  # over a minute: every task on an emulated CPU

TEXTS = 10
SENTENCES = 40
DOT_PRODUCT = {"cortex-a53": False, "cortex-a72": False, "cortex-a76": True, "cortex-a78ae": True}
"""Which CPUs have SDOT and UDOT, by ARM's manuals."""

_RUN_SDOT = """
import ctypes, mmap, struct
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(struct.pack("<2I", 0x4E829420, 0xD65F03C0))  # sdot v0.4s, v1.16b, v2.16b; ret
ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
"""


@pytest.fixture(scope="module")
def answers(board: Board, task_bundles: Mapping[str, Path]) -> dict[str, Told]:
    from tests.convert import models

    texts = [*models.texts(TEXTS - 1, seed=5, longest=30), "a charming film " * 40]  # the last one needs windows
    paths = [task_bundles[task] for task in TASKS]
    return ask_all(board, {"answer": jobs(paths, ARTIFACTS, texts), "verify": [str(path) for path in paths]})


@pytest.fixture(scope="module")
def sentences(board: Board, default_bundle: Path) -> dict[str, Told]:
    return ask_all(board, {"answer": jobs([default_bundle], ["tflite-int8"], calibration_texts()[:SENTENCES])})


def test_the_cpu_is_told_by_its_name_and_its_instructions(answers: Mapping[str, Told], cpu: str) -> None:
    machine = answers[cpu]["machine"]
    assert (machine["architecture"], machine["vendor"]) == ("aarch64", "ARM")
    assert machine["model"].lower() == cpu
    assert ("asimddp" in machine["isa"]) == DOT_PRODUCT[cpu]


def test_an_instruction_that_the_cpu_lacks_kills(board: Board, cpu: str) -> None:
    """Else none of these tests would say that the libraries keep to the instructions that a board has."""
    done = board.run(cpu, ["-c", _RUN_SDOT])
    assert done.returncode == (0 if DOT_PRODUCT[cpu] else -signal.SIGILL), done.stderr


@pytest.mark.parametrize("artifact", ARTIFACTS)
@pytest.mark.parametrize("task", TASKS)
def test_every_task_answers_as_on_this_machine(answers: Mapping[str, Told], cpu: str, task: str, artifact: str) -> None:
    place = list(TASKS).index(task) * len(ARTIFACTS) + ARTIFACTS.index(artifact)
    theirs, ours = answers[cpu]["answer"][place], answers["host"]["answer"][place]
    assert theirs["facts"]["artifact"] == artifact
    assert theirs["self_test"]["max_abs_diff"] <= theirs["self_test"]["tolerance"]
    assert len(theirs["results"]) == TEXTS
    assert_same_answers(theirs, ours, artifact.split("-")[1])


def test_xnnpack_is_in_use(answers: Mapping[str, Told], cpu: str) -> None:
    facts = [one["facts"] for one in answers[cpu]["answer"] if one["facts"]["backend"] == "tflite"]
    assert len(facts) == sum(name.startswith("tflite") for name in ARTIFACTS) * len(TASKS)
    assert {(one["distribution"], one["details"]["XNNPACK"]) for one in facts} == {("ai-edge-litert", "applied")}


def test_every_artifact_verifies_at_every_length(answers: Mapping[str, Told], cpu: str) -> None:
    for results in answers[cpu]["verify"]:
        assert [(one["artifact"], one["status"]) for one in results] == [(name, "passed") for name in ARTIFACTS]


def test_one_int8_file_gives_the_same_labels_everywhere(sentences: Mapping[str, Told], cpu: str) -> None:
    theirs, ours = (sentences[name]["answer"][0] for name in (cpu, "host"))
    assert len({result[0]["label"] for result in ours["results"]}) > 1
    assert theirs["facts"]["details"] == {"XNNPACK": "applied"}
    assert_same_answers(theirs, ours, "int8")


def test_the_command_line_works_on_a_board(board: Board, default_bundle: Path) -> None:
    arguments = ["-m", "edgebert", "predict", str(default_bundle), calibration_texts()[0], "--explain"]
    done = board.run("cortex-a72", arguments)
    assert done.returncode == 0, done.stderr
    assert "XNNPACK applied" in done.stdout + done.stderr


def test_a_lean_install_answers(board: Board, default_bundle: Path, tmp_path: Path) -> None:
    """The route of ``benchmarks/install_size.py``: without click, huggingface_hub and all else that is never loaded."""
    lean = board.keep_only(["edgebert", "numpy", "tokenizers", "ai-edge-litert"], tmp_path)
    told = ask_board(lean, "cortex-a53", {"answer": jobs([default_bundle], ["tflite-int8"], calibration_texts()[:2])})
    assert len(told["answer"][0]["results"]) == 2
    missing = lean.run("cortex-a53", ["-c", "import huggingface_hub"])
    assert "ModuleNotFoundError" in missing.stderr
