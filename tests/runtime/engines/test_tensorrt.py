"""The TensorRT engine, on boards whose TensorRT computes right answers and takes nothing that the real one refuses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.jetson.board import FakeBoard

VERSIONS = ("8.6", "10.3", "11")
Board = Callable[..., FakeBoard]

CLOSE = {"fp32": 1e-4, "fp16": 1e-3, "int8": 0.05}

TEXTS = [
    "I loved it.",
    "Dull and far too long.",
    "",
    "An honest, moving and beautifully acted film that stays with you for days after you have seen it, and more.",
]

USE = """
import json, sys, warnings
import edgebert
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    with edgebert.load(sys.argv[1], **json.loads(sys.argv[2])) as model:
        answers = model(json.loads(sys.argv[3]))
        explanation = model.explain()
        facts = dict(explanation.facts.details)
print(json.dumps({
    "artifact": explanation.chosen, "answers": answers, "facts": facts,
    "verdicts": {one.artifact: [one.status, one.reason] for one in explanation.verdicts},
    "warnings": [f"{one.category.__name__}: {one.message}" for one in caught],
}))
"""


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return lambda version="10.3", **more: FakeBoard(tmp_path / "board", version, **more)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, jetson_bundle: Path) -> FakeBoard:
    """A board with TensorRT 10.3 and the plan of tensorrt-fp16; for tests that leave it as it is."""
    orin = FakeBoard(tmp_path_factory.mktemp("built"))
    assert orin.edgebert("build-plan", jetson_bundle).returncode == 0
    orin.forget()
    return orin


def use(board: FakeBoard, bundle: Path, texts: list[str] = TEXTS, **how: Any) -> dict[str, Any]:
    """What a process tells that loads the bundle and answers the texts."""
    variables = {name: how.pop(name) for name in list(how) if name.isupper()}
    done = board.python(USE, bundle, json.dumps(how), json.dumps(texts), **variables)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def nothing_is_left(board: FakeBoard) -> bool:
    return all(not any(leak[kind] for kind in ("bytes", "streams", "graphs", "events")) for leak in board.leaks())


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_answers_are_those_of_onnx_runtime(version: str, precision: str, board: Board, jetson_bundle: Path) -> None:
    if (version, precision) == ("8.6", "int8"):
        pytest.skip("int8 needs TensorRT 10")
    orin = board(version)
    artifact = f"tensorrt-{precision}"
    assert orin.edgebert("build-plan", jetson_bundle, "--artifact", artifact).returncode == 0
    orin.forget()
    told = use(orin, jetson_bundle, artifact=artifact, strict=True)
    right = use(orin, jetson_bundle, artifact="onnx-fp32", strict=True)
    assert (told["artifact"], told["warnings"]) == (artifact, [])
    for ours, theirs in zip(told["answers"], right["answers"], strict=True):
        assert ours["label"] == theirs["label"]
        assert ours["score"] == pytest.approx(
            theirs["score"], abs={"fp32": 1e-4, "fp16": 1e-3, "int8": 0.05}[precision]
        )
    assert told["facts"]["CUDA graphs"] == "on"
    assert orin.calls("build") == []
    assert nothing_is_left(orin)


def test_without_a_plan_the_next_artifact_answers_and_the_warning_says_what_to_run(
    board: Board, jetson_bundle: Path
) -> None:
    orin = board()
    told = use(orin, jetson_bundle)
    assert told["artifact"] == "onnx-fp32"
    [warning] = told["warnings"]
    assert warning.startswith("BackendFallbackWarning: Artifact tensorrt-fp16 (and tensorrt-int8, tensorrt-fp32)")
    assert "No plan of tensorrt-fp16 is built on this device for Orin and TensorRT 10.3.0" in warning
    assert "`edgebert build-plan`" in warning
    assert "build=True" in warning
    assert told["verdicts"]["tensorrt-fp16"][0] == "no plan"
    assert orin.calls() == []


def test_a_missing_plan_is_an_error_if_asked(board: Board, jetson_bundle: Path) -> None:
    code = "import sys, edgebert; edgebert.load(sys.argv[1], strict=True)"
    done = board().python(code, jetson_bundle)
    assert "edgebert.errors.PlanError: No plan of tensorrt-fp16 is built" in done.stderr


def test_what_to_run_is_said_when_nothing_else_may_run(board: Board, jetson_bundle: Path) -> None:
    done = board().edgebert("predict", jetson_bundle, "x", "--artifact", "tensorrt-fp16")
    assert done.returncode == 1
    assert "tensorrt-fp16: No plan of tensorrt-fp16 is built" in done.stderr
    assert "Hint: Run `edgebert build-plan` with the bundle." in done.stderr


def test_load_builds_only_if_asked_and_only_once(board: Board, jetson_bundle: Path) -> None:
    orin = board()
    first = use(orin, jetson_bundle, build=True)
    assert (first["artifact"], first["warnings"]) == ("tensorrt-fp16", [])
    second = use(orin, jetson_bundle, build=True)
    assert second["answers"] == first["answers"]
    assert len(orin.calls("build")) == 1


def test_a_build_that_fails_in_load_is_a_fallback(board: Board, jetson_bundle: Path) -> None:
    orin = board()
    told = use(orin, jetson_bundle, build=True, FAKE_TENSORRT_FAULT="oom-build")
    assert told["artifact"] == "onnx-fp32"
    assert len(orin.calls("build")) == 1  # minutes, for each that is tried
    [warning] = told["warnings"]
    assert "tensorrt-fp16 is not built: TensorRT 10.3.0 has too little memory" in warning


def test_a_cache_that_cannot_be_written_is_a_fallback(board: Board, jetson_bundle: Path) -> None:
    orin = board()
    (orin.folder / "occupied").write_text("")
    told = use(orin, jetson_bundle, build=True, EDGEBERT_PLAN_CACHE=str(orin.folder / "occupied/plans"))
    assert told["artifact"] == "onnx-fp32"
    assert "occupied" in told["warnings"][0]


def test_a_plan_of_the_users_choice_needs_no_warning_for_a_better_one(board: Board, jetson_bundle: Path) -> None:
    orin = board()
    assert orin.edgebert("build-plan", jetson_bundle, "--artifact", "tensorrt-int8").returncode == 0
    told = use(orin, jetson_bundle)
    assert (told["artifact"], told["warnings"]) == ("tensorrt-int8", [])
    assert told["verdicts"]["tensorrt-fp16"][0] == "no plan"


def change_gpu(orin: FakeBoard, bundle: Path) -> None:
    orin.put_driver(GPUS='"Orin NX"')


def change_capability(orin: FakeBoard, bundle: Path) -> None:
    orin.put_driver(MINORS="9")


def change_driver(orin: FakeBoard, bundle: Path) -> None:
    orin.put_driver(VERSION="12080")


def change_cuda(orin: FakeBoard, bundle: Path) -> None:
    from tests.jetson import fake_cudart

    fake_cudart.build(orin.folder / "lib", "libcudart.so.12", 12080)


def change_tensorrt(orin: FakeBoard, bundle: Path) -> None:
    shutil.rmtree(orin.folder / "python")
    FakeBoard(orin.folder, "11")


def change_recipe(orin: FakeBoard, bundle: Path) -> None:
    replace_file(bundle, "artifacts/tensorrt-fp16/recipe.json", b'"workspace_mb": 64', b'"workspace_mb": 65')


def change_artifact(orin: FakeBoard, bundle: Path) -> None:
    replace_file(bundle, "artifacts/tensorrt-fp16/model.onnx", b"pytorch", b"qytorch")


def replace_file(bundle: Path, name: str, old: bytes, new: bytes) -> None:
    """Changes a file of a bundle, and what the manifest says of it."""
    import hashlib

    before = (bundle / name).read_bytes()
    assert old in before
    after = before.replace(old, new, 1)
    (bundle / name).write_bytes(after)
    manifest = (bundle / "manifest.json").read_text()
    digests = [hashlib.sha256(data).hexdigest() for data in (before, after)]
    assert digests[0] in manifest
    (bundle / "manifest.json").write_text(manifest.replace(*digests))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (change_gpu, "foreign: gpu was 'Orin' and is 'Orin NX'"),
        (change_capability, "foreign: compute_capability was (8, 7) and is (8, 9)"),
        (change_driver, "stale: cuda_driver was '12.6' and is '12.8'"),
        (change_cuda, "stale: cuda_runtime was '12.6' and is '12.8'"),
        (change_tensorrt, "stale: tensorrt was '10.3.0' and is '11"),
        (change_recipe, "stale: artifact was "),
        (change_artifact, ""),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_plan_is_never_deserialized_when_a_part_of_its_key_has_changed(
    change: Callable[[FakeBoard, Path], None], said: str, board: Board, jetson_bundle: Path, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(jetson_bundle, bundle)
    orin = board()
    assert orin.edgebert("build-plan", bundle).returncode == 0
    assert use(orin, bundle)["artifact"] == "tensorrt-fp16"
    change(orin, bundle)
    orin.forget()
    told = use(orin, bundle)
    assert told["artifact"] == "onnx-fp32"
    assert "No plan of tensorrt-fp16 is built on this device" in told["warnings"][0]
    if change not in (change_recipe, change_artifact):  # another artifact is another plan: nothing of it lies there
        assert said in told["warnings"][0]
    assert orin.calls() == []


@pytest.mark.parametrize("damage", ["flipped", "cut short", "longer", "open to others", "a link"])
def test_a_damaged_plan_is_never_deserialized(damage: str, board: Board, jetson_bundle: Path) -> None:
    orin = board()
    assert orin.edgebert("build-plan", jetson_bundle).returncode == 0
    [plan] = orin.plans.glob("*.plan")
    data = plan.read_bytes()
    if damage == "flipped":
        plan.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    elif damage == "cut short":
        plan.write_bytes(data[:-1])
    elif damage == "longer":
        plan.write_bytes(data + b"\0")
    elif damage == "open to others":
        plan.chmod(0o622)
    else:
        plan.rename(plan.with_suffix(".old"))
        plan.symlink_to(plan.with_suffix(".old"))
    orin.forget()
    told = use(orin, jetson_bundle)
    assert told["artifact"] == "onnx-fp32"
    kind = "foreign" if damage in ("open to others", "a link") else "corrupted"
    assert f"the plan at '{plan}' is {kind}" in told["warnings"][0]
    assert orin.calls() == []
    assert use(orin, jetson_bundle, build=True)["artifact"] == "tensorrt-fp16"


@pytest.mark.parametrize("version", VERSIONS)
def test_without_a_driver_nothing_of_tensorrt_is_called(version: str, board: Board, jetson_bundle: Path) -> None:
    orin = board(version)
    assert orin.edgebert("build-plan", jetson_bundle).returncode == 0
    orin.remove_driver()
    orin.forget()
    told = use(orin, jetson_bundle, build=True)
    assert (told["artifact"], told["warnings"]) == ("onnx-fp32", [])
    assert told["verdicts"]["tensorrt-fp16"] == [
        "cannot run",
        "needs an NVIDIA GPU; there is no NVIDIA driver (libcuda.so.1)",
    ]
    # Nor does an engine that is opened by hand, past the selection.
    code = """
import sys, edgebert
from edgebert.bundle import open_bundle
from edgebert.devices import find_runtimes
from edgebert.runtime.engines import build_engine
bundle = open_bundle(sys.argv[1])
artifact = bundle.manifest.artifact("tensorrt-fp16")
[runtime] = find_runtimes("tensorrt")
try:
    build_engine(artifact, [bundle.file(ref) for ref in artifact.files], 1, runtime)
except edgebert.BackendError as error:
    print(error)
"""
    assert "There is no NVIDIA driver (libcuda.so.1)" in orin.python(code, jetson_bundle).stdout
    assert orin.calls() == []


THREADS = """
import json, sys, threading
import edgebert
texts = json.loads(sys.argv[2]) * 3
with edgebert.load(sys.argv[1], artifact="tensorrt-fp16") as model:
    right = [f"{one['label']} {one['score']:.5f}" for one in model(texts)]
    wrong, barrier = [], threading.Barrier(16)
    def work(number):
        barrier.wait()
        for index in range(len(texts)):
            place = (index + number) % len(texts)
            [answer] = model([texts[place]])
            if f"{answer['label']} {answer['score']:.5f}" != right[place]:
                wrong.append((number, place, answer, right[place]))
    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
print(json.dumps(wrong))
"""


@pytest.mark.parametrize("graphs", ["1", "0"])
def test_sixteen_threads_answer_as_one(graphs: str, built: FakeBoard, jetson_bundle: Path) -> None:
    built.forget()
    done = built.python(THREADS, jetson_bundle, json.dumps(TEXTS), EDGEBERT_CUDA_GRAPHS=graphs)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []
    contexts = built.calls("create_execution_context")
    assert 1 < len(contexts) <= 8  # four lanes of two lengths
    assert nothing_is_left(built)


def test_threads_for_which_there_is_no_memory_wait(built: FakeBoard, jetson_bundle: Path) -> None:
    built.forget()
    # The plan takes 6.6 MB, and each lane 0.3 MB and more.
    done = built.python(THREADS, jetson_bundle, json.dumps(TEXTS), FAKE_CUDA_MEMORY=str(7_900_000))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []
    assert nothing_is_left(built)


def test_too_little_memory_is_one_clear_error(built: FakeBoard, jetson_bundle: Path) -> None:
    told = use(built, jetson_bundle, FAKE_CUDA_MEMORY=str(1_000_000))
    assert told["artifact"] == "onnx-fp32"
    status, reason = told["verdicts"]["tensorrt-fp16"]
    assert status == "failed"
    assert "out of memory" in reason
    done = built.edgebert("predict", jetson_bundle, "x", "--artifact", "tensorrt-fp16", "--strict",
                          FAKE_CUDA_MEMORY=str(1_000_000))  # fmt: skip
    assert done.returncode == 1
    assert "Close other programs that use the GPU" in done.stderr


def test_where_no_graph_can_be_recorded_kernels_are_launched_one_by_one(built: FakeBoard, jetson_bundle: Path) -> None:
    right = use(built, jetson_bundle)
    told = use(built, jetson_bundle, FAKE_CUDA_FAULT="no-capture")
    assert told["answers"] == right["answers"]
    assert told["facts"]["CUDA graphs"].startswith("cannot be used: cudaStreamBeginCapture")
    off = use(built, jetson_bundle, EDGEBERT_CUDA_GRAPHS="0")
    assert off["answers"] == right["answers"]
    assert off["facts"]["CUDA graphs"] == "off (EDGEBERT_CUDA_GRAPHS=0)"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("wrong-answers", "fails its self-test"),
        ("nan", "fails its self-test"),
        ("deserialize-none", "refuses the plan"),
        ("fail-run", "does not run the plan"),
        ("oom-context", "OutOfMemory"),
    ],
)
def test_a_plan_that_does_not_work_is_passed_over(fault: str, said: str, built: FakeBoard, jetson_bundle: Path) -> None:
    told = use(built, jetson_bundle, FAKE_TENSORRT_FAULT=fault)
    assert told["artifact"] == "onnx-fp32"
    assert said in told["warnings"][0]
    assert said in told["verdicts"]["tensorrt-fp16"][1]


def test_a_gpu_that_fails_while_it_is_used_is_an_error(built: FakeBoard, jetson_bundle: Path) -> None:
    code = """
import sys, edgebert
model = edgebert.load(sys.argv[1])
for _ in range(3):
    try:
        for _ in range(20):
            model("I loved it.")
    except edgebert.BackendError as error:
        print(error)
model.close()
"""
    done = built.python(code, jetson_bundle, FAKE_CUDA_FAULT="sticky:12")
    assert done.returncode == 0, done.stderr
    errors = done.stdout.splitlines()
    assert len(errors) == 3
    assert all("700 (cudaErrorIllegalAddress" in error and "Start the process again" in error for error in errors)


def test_what_executes_is_what_tensorrt_tells(built: FakeBoard, jetson_bundle: Path) -> None:
    done = built.edgebert("inspect", jetson_bundle, "--ops", "--artifact", "tensorrt-fp16", "--json")
    [listing] = json.loads(done.stdout)
    operators = listing["execution"]["operators"]
    assert {one["executed_by"] for one in operators} == {"TensorRT"}
    assert any(one["type"] == "Normalization" and "FP32" in one["precision"] for one in operators)
    assert listing["execution"]["kernels"]
    other = built.edgebert("inspect", jetson_bundle, "--ops", "--artifact", "tensorrt-fp32")
    assert "tensorrt-fp32: no plan" in other.stdout


def test_verify_tells_of_plans_that_are_not_built(built: FakeBoard, jetson_bundle: Path) -> None:
    done = built.edgebert("verify", jetson_bundle)
    assert done.returncode == 0
    assert "tensorrt-fp16: passed in tensorrt 10.3.0" in done.stdout
    assert "tensorrt-int8: no plan in tensorrt 10.3.0: No plan of tensorrt-int8 is built" in done.stdout


def test_a_tensorrt_that_cannot_be_imported_is_named(board: Board, jetson_bundle: Path) -> None:
    orin = board()
    broken = "raise ImportError('libnvinfer.so.10: cannot open shared object file: No such file or directory')\n"
    (orin.folder / "python/tensorrt/__init__.py").write_text(broken)
    told = use(orin, jetson_bundle)
    assert told["artifact"] == "onnx-fp32"
    assert "tensorrt 10.3.0 cannot be imported: libnvinfer.so.10: cannot open shared object file" in told["warnings"][0]
    done = orin.edgebert("build-plan", jetson_bundle)
    assert done.returncode == 1
    assert "Error: tensorrt 10.3.0 cannot be imported: libnvinfer.so.10" in done.stderr
    assert "LD_LIBRARY_PATH" in done.stderr


def test_a_missing_cuda_runtime_is_named(board: Board, jetson_bundle: Path) -> None:
    orin = board()
    orin.cudart.unlink()
    (orin.folder / "python/tensorrt/__init__.py").write_text("__version__ = '10.3.0'\n")  # it has one inside
    done = orin.edgebert("build-plan", jetson_bundle)
    assert done.returncode == 1
    assert "There is no CUDA runtime library (libcudart.so.12 or libcudart.so.11.0) on this machine" in done.stderr
    assert "nvidia-jetpack" in done.stderr


def test_a_cuda_runtime_that_is_too_old_is_named(board: Board, jetson_bundle: Path, tmp_path: Path) -> None:
    import subprocess

    orin = board()
    source = tmp_path / "old.c"
    source.write_text(
        "int cudaRuntimeGetVersion(int *v) { *v = 10020; return 0; } int cudaGetLastError(void) { return 0; }"
    )
    command = ["cc", "-shared", "-fPIC", "-Wl,-soname,libcudart.so.12", "-o", str(orin.cudart), str(source)]
    subprocess.run(command, check=True)
    (orin.folder / "python/tensorrt/__init__.py").write_text("__version__ = '10.3.0'\n")
    code = """
import edgebert
from edgebert.devices import find_runtimes
from edgebert.runtime.nvidia import open_host
[runtime] = find_runtimes("tensorrt")
host = open_host(runtime)
print(host.cuda.version)
try:
    host.cuda.create_stream()
except edgebert.BackendError as error:
    print(error)
"""
    version, error = orin.python(code).stdout.splitlines()
    assert version == "10.2"
    assert "libcudart.so.12 has no cudaStreamCreateWithFlags: it is too old. EdgeBERT needs CUDA 11.4" in error
