"""The example in C++ answers as `edgebert.load` does, and refuses what it must."""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import edgebert
from edgebert.bundle import Profile, Requires, Shapes
from tests.examples.cpp.program import Program
from tests.runtime import tiny

pytestmark = pytest.mark.full  # half a minute to compile, as much to run

ASSETS = Path(__file__).parents[3] / "edgebert" / "assets"
TEXTS = (
    "",
    "the film is not very good, it is dull.",
    "A charming journey!",
    "awful, awful plot",
    "Ünïcödé für ALLE",
    "the very very very great movie was fine",
)
KINDS = {
    "three": ("single_label_classification", ("NEGATIVE", "NEUTRAL", "POSITIVE")),
    "multi": ("multi_label_classification", ("joy", "anger", "fear", "calm")),
    "regression": ("regression", ("how good",)),
    "single": ("single_label_classification", ("SPAM",)),
}


def assert_answers_as_python(program: Program, bundle: Path, texts: tuple[str, ...], artifact: str) -> None:
    with edgebert.load(bundle, artifact=artifact, threads=1) as model:
        expected = model(list(texts))
    answers = program.answers(bundle, *texts)
    assert [label for label, _ in answers] == [answer["label"] for answer in expected]
    assert [score for _, score in answers] == pytest.approx([answer["score"] for answer in expected], abs=1e-4)


def tiny_files(checkpoint: tiny.Checkpoint, folder: Path) -> dict[str, bytes]:
    folder.mkdir(parents=True)
    return tiny.openvino_files(tiny.onnx_bytes(checkpoint), folder)


def with_manifest(bundle: Path, change: Callable[[Any], object]) -> Path:
    """The bundle, after ``change`` has altered the JSON of its manifest."""
    path = bundle / "manifest.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")
    return bundle


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cpp")
    checkpoint = tiny.make_checkpoint(*KINDS["three"])
    files = tiny_files(checkpoint, folder / "ir")
    return tiny.write_bundle(folder / "tiny.edgebert", checkpoint, [(tiny.artifact("openvino-fp32"), files)])


@pytest.fixture(scope="session")
def two_checkpoints(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[tiny.Checkpoint, dict[str, bytes]]]:
    """Two that answer differently, each with its OpenVINO files."""
    folder = tmp_path_factory.mktemp("two")
    checkpoints = [tiny.make_checkpoint(*KINDS["three"], seed=seed) for seed in (0, 1)]
    return [(checkpoint, tiny_files(checkpoint, folder / str(index))) for index, checkpoint in enumerate(checkpoints)]


@pytest.fixture
def bundle(pristine: Path, tmp_path: Path) -> Path:
    """A copy, to be damaged at will."""
    return Path(shutil.copytree(pristine, tmp_path / "tiny.edgebert"))


@pytest.mark.parametrize("precision", ["fp16", pytest.param("int8", marks=pytest.mark.full)])  # int8: 30 s to calibrate
def test_labels_and_scores_of_the_embedded_checkpoint(precision: str, program: Program, tmp_path: Path) -> None:
    for name in ("torch", "transformers", "optimum", "onnxscript", "nncf"):
        pytest.importorskip(name, reason="converting needs it")
    from edgebert.convert.pipeline import convert
    from tests.convert import models

    artifact = f"openvino-{precision}"
    target = models.write_target(tmp_path / "board", [artifact])
    bundle = tmp_path / "default.edgebert"
    convert(str(ASSETS / "default"), bundle, targets=[target])
    texts = (ASSETS / "calibration.txt").read_text(encoding="utf-8").splitlines()
    assert len(texts) >= 200
    assert_answers_as_python(program, bundle, tuple(texts), artifact)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_classifier(kind: str, program: Program, tmp_path: Path) -> None:
    checkpoint = tiny.make_checkpoint(*KINDS[kind])
    files = tiny_files(checkpoint, tmp_path / "ir")
    bundle = tiny.write_bundle(tmp_path / "t.edgebert", checkpoint, [(tiny.artifact("openvino-fp32"), files)])
    assert_answers_as_python(program, bundle, TEXTS, "openvino-fp32")


def test_an_artifact_with_buckets_gets_padded_texts(program: Program, tmp_path: Path) -> None:
    checkpoint = tiny.make_checkpoint(*KINDS["three"])
    artifact = tiny.artifact("openvino-fp32", shapes=Shapes("buckets", 16, (8, 16)))
    bundle = tiny.write_bundle(
        tmp_path / "t.edgebert", checkpoint, [(artifact, tiny_files(checkpoint, tmp_path / "ir"))]
    )
    assert_answers_as_python(program, bundle, TEXTS, "openvino-fp32")
    assert "the limit is 16" in program.refusal(bundle, "good " * 15)


def test_arguments_and_lines_are_answered_alike(program: Program, pristine: Path) -> None:
    by_lines = program.answers(pristine, *TEXTS)
    done = program.run(pristine, *TEXTS)
    assert done.returncode == 0
    assert done.stdout.decode() == "".join(f"{label}\t{score:.6f}\n" for label, score in by_lines)
    windows = program.run(pristine, stdin=b"\xef\xbb\xbf" + "\r\n".join(TEXTS).encode())  # no end of line at the end
    assert windows.stdout == done.stdout


def test_what_is_not_utf8(program: Program, pristine: Path) -> None:
    # An argument reads as in Python, where a byte that is no text becomes U+FFFD, which the tokenizer drops.
    broken = program.run(pristine, b"the g\xffood\xe2\x82 film")
    assert broken.stdout == program.run(pristine, "the good film").stdout
    answered = program.run(pristine, stdin=b"good\nb\xe4d\n")
    assert answered.stdout.count(b"\n") == 1
    assert answered.stderr == b"Error: Line 2: is not UTF-8.\n"


MACHINE = platform.machine()
ORDERS: Mapping[str, tuple[list[Profile], str]] = {
    "manifest order without a profile": ([], "openvino-fp32-a"),
    "order of the profile": ([Profile("x", (MACHINE,), None, ("openvino-fp32-b",))], "openvino-fp32-b"),
    "an architecture before any": (
        [
            Profile("any", (), None, ("openvino-fp32-a",)),
            Profile("x", (MACHINE,), None, ("openvino-fp32-b",), threads=1),
        ],
        "openvino-fp32-b",
    ),
    "another architecture": ([Profile("x", ("armv7l",), None, ("openvino-fp32-b",))], "openvino-fp32-a"),
    "another vendor": ([Profile("x", (), "Nobody", ("openvino-fp32-b",))], "openvino-fp32-a"),
    "a feature that is missing": ([Profile("x", (), None, ("openvino-fp32-b",), isa=("nosuch",))], "openvino-fp32-a"),
    "too little memory": ([Profile("x", (), None, ("openvino-fp32-b",), memory_mb=10**8)], "openvino-fp32-a"),
    "an accelerator that is not here": (
        [
            Profile("x", (MACHINE,), None, ("openvino-fp32-b",), accelerator="npu"),
            Profile("any", (), None, ("openvino-fp32-a",)),
        ],
        "openvino-fp32-a",
    ),
    "an accelerator that is not here, and nothing else": (
        [Profile("x", (), None, ("openvino-fp32-b",), accelerator="npu")],
        "openvino-fp32-b",
    ),
    "other backends are passed over": ([Profile("x", (), None, ("onnx-fp32", "openvino-fp32-b"))], "openvino-fp32-b"),
    "an artifact that cannot run": (
        [Profile("x", (), None, ("openvino-fp32-c", "openvino-fp32-b"))],
        "openvino-fp32-b",
    ),
}


@pytest.mark.parametrize("case", ORDERS)
def test_the_artifact_that_python_chooses(
    case: str, program: Program, two_checkpoints: list[tuple[tiny.Checkpoint, dict[str, bytes]]], tmp_path: Path
) -> None:
    profiles, expected = ORDERS[case]
    (first, files_of_first), (_, files_of_second) = two_checkpoints
    needy = Requires((), ("nosuch",), {"openvino": "2023.0"})
    # The tolerance lets both pass the self-test on the golden outputs of the first.
    artifacts = [
        (tiny.artifact("onnx-fp32"), {"model.onnx": b"not opened"}),
        (tiny.artifact("openvino-fp32-a", tolerance=100.0), files_of_first),
        (tiny.artifact("openvino-fp32-b", tolerance=100.0), files_of_second),
        (tiny.artifact("openvino-fp32-c", requires=needy), files_of_first),
    ]
    bundle = tiny.write_bundle(tmp_path / "t.edgebert", first, artifacts, profiles=profiles)
    with edgebert.load(bundle, backend="openvino", threads=1) as model:
        assert model.explain().chosen == expected
    assert_answers_as_python(program, bundle, TEXTS, expected)
    other = {"openvino-fp32-a": "openvino-fp32-b", "openvino-fp32-b": "openvino-fp32-a"}[expected]
    with pytest.raises(AssertionError):  # so that the two can be told apart
        assert_answers_as_python(program, bundle, TEXTS, other)


def test_how_it_is_called(program: Program) -> None:
    done = program.run()
    assert (done.returncode, done.stderr) == (2, b"Usage: classify BUNDLE_DIR [TEXT...]\n")


def test_a_bundle_that_is_not_there(program: Program, tmp_path: Path) -> None:
    assert program.refusal(tmp_path / "none", "a") == f"{tmp_path}/none: no such bundle."
    assert program.refusal(tmp_path, "a") == f"{tmp_path}: is no bundle: it has no manifest.json."


def test_a_bundle_without_openvino(program: Program, tmp_path: Path) -> None:
    checkpoint = tiny.make_checkpoint(*KINDS["three"])
    files = {"model.onnx": b"not opened"}
    bundle = tiny.write_bundle(tmp_path / "t.edgebert", checkpoint, [(tiny.artifact("onnx-fp32"), files)])
    assert "has no artifact for OpenVINO" in program.refusal(bundle, "a")


def test_text_over_the_limit(program: Program, pristine: Path) -> None:
    answered = program.run(pristine, "good " * 62, "good " * 63)
    assert answered.stdout.count(b"\n") == 1
    assert answered.stderr == b"Error: Text 2: The text has 65 tokens; the limit is 64. Shorten it.\n"
    assert program.refusal(pristine, stdin=b"good " * 63).startswith("Line 1: The text has 65 tokens")


REFUSED: list[tuple[Callable[[Any], object], str]] = [
    (lambda m: m.update(format="edgebert/2"), "the format is edgebert/2; this program reads edgebert/1."),
    (lambda m: m["task"].update(name="fill-mask"), "task is fill-mask; this program does text-classification alone."),
    (lambda m: m.update(cascade={}), "is a cascade of two models; this program runs one."),
    (lambda m: m["task"].update(labels=[]), "there are no labels."),
    (lambda m: m["task"].update(labels=["A", "B"]), "gives 3 scores for 2 labels."),
    (lambda m: m.pop("tokenizer"), "manifest.json: key 'tokenizer' not found."),
    (lambda m: m["tokenizer"]["file"].update(path="../tokenizer.json"), 'the path "../tokenizer.json" is not allowed.'),
    (lambda m: m["tokenizer"]["file"].update(path="/etc/passwd"), 'the path "/etc/passwd" is not allowed.'),
    (lambda m: m["tokenizer"]["file"].update(path="no.json"), "no.json: no such file. The bundle is incomplete"),
    (lambda m: m["tokenizer"]["file"].update(size=1), "tokenizer.json: is not the file that manifest.json describes."),
    (lambda m: m["artifacts"][0]["requires"].update(runtimes={"openvino": "9999.1"}), "needs OpenVINO 9999.1, this is"),
    (
        lambda m: m["artifacts"][0]["requires"].update(isa=["nosuch"]),
        "can run here: openvino-fp32 needs a CPU with nosuch.",
    ),
    (lambda m: m["artifacts"][0]["requires"].update(architectures=["armv7l"]), "needs another architecture"),
    (lambda m: m["artifacts"][0]["requires"].update(accelerator="npu"), "needs an accelerator"),
    (lambda m: m["artifacts"][0].update(files=m["artifacts"][0]["files"][1:]), "must have one .xml file."),
]


@pytest.mark.parametrize(("change", "reason"), REFUSED)
def test_a_manifest_that_is_refused(
    change: Callable[[Any], object], reason: str, program: Program, bundle: Path
) -> None:
    assert reason in program.refusal(with_manifest(bundle, change), "a")


def test_an_altered_file_is_refused(program: Program, bundle: Path) -> None:
    weights = bundle / "artifacts" / "openvino-fp32" / "model.bin"
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(data)
    assert program.refusal(bundle, "a").startswith(f"{weights}: is not the file that manifest.json describes.")


def test_links_are_refused(program: Program, bundle: Path, tmp_path: Path) -> None:
    artifacts = bundle / "artifacts"
    artifacts.rename(tmp_path / "elsewhere")
    artifacts.symlink_to(tmp_path / "elsewhere")
    assert program.refusal(bundle, "a") == f"{artifacts}: is a link, which a bundle has not."


def test_a_model_that_openvino_cannot_read(program: Program, tmp_path: Path) -> None:
    checkpoint = tiny.make_checkpoint(*KINDS["three"])
    files = {**tiny_files(checkpoint, tmp_path / "ir"), "model.xml": b"<net></net>"}
    bundle = tiny.write_bundle(tmp_path / "t.edgebert", checkpoint, [(tiny.artifact("openvino-fp32"), files)])
    refused = program.run(bundle, "a")  # OpenVINO tries its readers of other formats, and one of them prints a line
    assert refused.returncode == 1
    last = refused.stderr.decode().splitlines()[-1]
    assert last.startswith("Error: ")
    assert "Unable to read the model" in last
