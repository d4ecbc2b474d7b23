"""A board without network: the wheelhouse of a build host, installed by the board's own Python and pip."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("packaging", reason="`edgebert wheelhouse` needs it")

from edgebert.assets import calibration_texts
from edgebert.bundle.schema import TASKS
from edgebert.convert.target import load_target
from edgebert.convert.wheelhouse import make_wheelhouse
from edgebert.convert.wheelhouse.pip import Pip
from edgebert.convert.wheelhouse.project import build_project_wheel
from edgebert.errors import OutputError, TargetError
from tests.arm64.compare import CLOSE, assert_same_answers, scores_in, without_scores
from tests.arm64.conftest import ask_board, ask_host, jobs, told_by
from tests.arm64.root import REPOSITORY, Board

CPU = "cortex-a72"
"""Raspberry Pi 4."""

BY_LIST = ("--no-deps", "-r", "requirements.txt")
MEGABYTE = 1e6

_ANSWER = """
import json, sys, edgebert
told = []
for job in json.load(sys.stdin):
    with edgebert.load(job["bundle"], artifact=job["artifact"], threads=1, strict=True) as model:
        explanation = model.explain()
        results = [model(item, **options) for item, options in map(model.example, job["texts"])]
        told.append({"on": explanation.facts.distribution, "explanation": str(explanation), "results": results})
print(json.dumps(told))
"""
"""What ``board.py`` does, and not the golden outputs, which are compared at load: the first runtime is missing here."""

Install = Callable[..., Board]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    try:
        return build_project_wheel(Pip(folder), folder)
    except OutputError as error:
        pytest.skip(_no_network(error))


def _no_network(error: OutputError) -> str:
    if "reaches no package index" in error.message:
        return error.message
    raise error


@pytest.fixture
def install(board: Board, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Fill a wheelhouse for the board, and install from it on a board that has nothing yet."""
    told = board.run(CPU, ["-c", "import sys; print(*sys.version_info[:2], sep='.')"])

    def run(*wanted: str, runtime: str = "ai-edge-litert", lean: bool = False, tokenizers: bool = True) -> Board:
        if runtime == "ai-edge-litert":  # the old one needs another numpy than that of the constraints
            monkeypatch.setenv("PIP_CONSTRAINT", str(REPOSITORY / "constraints.txt"))
        try:
            house = make_wheelhouse(
                tmp_path / "wheelhouse", load_target("arm64-linux"), pythons=[told.stdout.strip()], runtimes=[runtime],
                lean=lean, tokenizers=tokenizers, project=project,
            )  # fmt: skip
        except OutputError as error:
            pytest.skip(_no_network(error))
        except TargetError as error:  # a newer Debian has a Python that the old runtime has no wheels for
            pytest.skip(error.message)
        fresh = board.keep_only([], tmp_path)
        pip = importlib.util.find_spec("pip")
        assert pip is not None and pip.submodule_search_locations is not None
        (tmp_path / "site/pip").symlink_to(pip.submodule_search_locations[0])
        arguments = ["--no-index", "--find-links", house.path, "--target", tmp_path / "site", "--no-compile"]
        words = [str(house.path / one) if one == "requirements.txt" else one for one in wanted]
        done = fresh.run(CPU, ["-m", "pip", "install", *arguments, *words])
        assert done.returncode == 0, done.stderr
        (tmp_path / "site/pip").unlink()
        return fresh

    return run


def megabytes(site: Path) -> float:
    files = [path for path in site.rglob("*") if path.is_file() and not path.is_symlink() and path.suffix != ".pyc"]
    return sum(path.stat().st_size for path in files) / MEGABYTE


@pytest.mark.full  # a second whole install on the emulated board
def test_by_name_it_brings_all_that_pip_would(install: Install, default_bundle: Path, tmp_path: Path) -> None:
    """The command of INSTALL.txt, and of the target's page."""
    fresh = install("edgebert[tflite]")
    asked = {"answer": jobs([default_bundle], ["tflite-int8"], calibration_texts()[:2])}
    theirs, ours = ask_board(fresh, CPU, asked)["answer"][0], ask_host(asked)["answer"][0]
    assert theirs["facts"]["details"] == ours["facts"]["details"]
    assert_same_answers(theirs, ours, "int8")
    assert (tmp_path / "site/huggingface_hub").is_dir()
    assert list((tmp_path / "site/edgebert/assets").glob("default/*")) == []
    demo = fresh.run(CPU, ["-c", "from edgebert.assets import default_checkpoint; default_checkpoint()"])
    assert "CheckpointError: This installation has no embedded checkpoint" in demo.stderr


@pytest.mark.full  # a whole install on the emulated board
def test_lean_it_takes_120_mb_at_most(install: Install, default_bundle: Path, tmp_path: Path) -> None:
    fresh = install(*BY_LIST, lean=True)
    assert megabytes(tmp_path / "site") <= 120
    done = fresh.run(CPU, ["-m", "edgebert", "predict", str(default_bundle), calibration_texts()[0], "--explain"])
    assert done.returncode == 0, done.stderr
    assert "tokenizer: tokenizers " in done.stdout + done.stderr
    assert "ModuleNotFoundError" in fresh.run(CPU, ["-c", "import huggingface_hub"]).stderr


@pytest.mark.full  # a minute: a whole install on the emulated board, and every task
def test_the_least_takes_60_mb_and_answers_every_task_alike(
    install: Install, task_bundles: Mapping[str, Path], tmp_path: Path
) -> None:
    """tflite-runtime and EdgeBERT's own tokenizer, against ai-edge-litert and ``tokenizers`` on this machine."""
    fresh = install(*BY_LIST, runtime="tflite-runtime", lean=True, tokenizers=False)
    assert megabytes(tmp_path / "site") <= 60
    from tests.convert import models

    texts = [*models.texts(4, seed=6, longest=30), "a charming film " * 40]  # the last one needs windows
    asked = json.dumps(jobs([task_bundles[task] for task in TASKS], ["tflite-fp32"], texts))
    told = told_by(fresh.run(CPU, ["-c", _ANSWER], stdin=asked))
    host = subprocess.run([sys.executable, "-c", _ANSWER], input=asked, capture_output=True, text=True)
    assert len(told) == len(TASKS)
    for theirs, ours in zip(told, told_by(host), strict=True):
        assert (theirs["on"], ours["on"]) == ("tflite-runtime", "ai-edge-litert")
        assert "tokenizer: Python alone, slower, as tokenizers cannot be imported" in theirs["explanation"]
        assert "tokenizer: tokenizers " in ours["explanation"]
        assert without_scores(theirs["results"]) == without_scores(ours["results"])
        scores, expected = (list(scores_in(one["results"])) for one in (theirs, ours))
        np.testing.assert_allclose(scores, expected, rtol=0, atol=CLOSE["fp32"])
    doctor = fresh.run(CPU, ["-m", "edgebert", "doctor"])
    assert doctor.returncode == 0, doctor.stderr
    assert "tflite: tflite-runtime 2.14.0" in doctor.stdout
    assert "a tokenizer in Python alone takes its place" in doctor.stdout
