"""Cascades: which model answers, what explain() and stream() tell of it, and what is refused."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import edgebert
from edgebert.bundle import BundleWriter, Cascade, CascadeHeadline, open_bundle
from edgebert.runtime.cascade import confidence
from edgebert.runtime.verify import verify
from tests.runtime import tiny

Files = Mapping[str, Mapping[str, bytes]]
TEXTS = ["a charming film", "dull", "the plot is not very good", "great journey", "awful", "fine", "", "bad movie"]
LABELS = ("NEGATIVE", "NEUTRAL", "POSITIVE")
HEADLINE = CascadeHeadline(436, "accuracy", 0.89, 0.891, 0.2)


def write_cascade(
    out: Path, small: Path, big: Path, *, threshold: float, temperature: float = 1.0, folder: str = "bigger"
) -> Path:
    """The two bundles as one, as `edgebert cascade` lays them out."""
    manifest = open_bundle(small).manifest
    with BundleWriter(out) as writer:
        for ref in manifest.files:
            writer.write(ref.path, (small / ref.path).read_bytes())
        inner = ["manifest.json", *(ref.path for ref in open_bundle(big).manifest.files)]
        files = tuple(writer.write(f"{folder}/{path}", (big / path).read_bytes()) for path in inner)
        evidence, report = writer.write("cascade.json", b"{}"), writer.write("cascade.html", b"<p>")
        rule = Cascade(folder, files, temperature, threshold, HEADLINE, evidence, report)
        writer.commit(replace(manifest, cascade=rule))
    return out


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of other weights, with ONNX alone."""
    checkpoint = tiny.make_checkpoint("single_label_classification", LABELS, seed=1)
    files = {"model.onnx": tiny.onnx_bytes(checkpoint)}
    return tiny.write_bundle(
        tmp_path_factory.mktemp("big") / "b.edgebert", checkpoint, [(tiny.artifact("onnx-fp32"), files)]
    )


@pytest.fixture(scope="module")
def threshold(bundle_path: Path) -> float:
    """One that half of TEXTS are below."""
    with edgebert.load(bundle_path, artifact="onnx-fp32") as model:
        scores = sorted(result["score"] for result in model(TEXTS))
    assert scores[3] < scores[4]
    return float(scores[3] + scores[4]) / 2


@pytest.fixture(scope="module")
def cascade_path(bundle_path: Path, other: Path, threshold: float, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cascade(tmp_path_factory.mktemp("c") / "c.edgebert", bundle_path, other, threshold=threshold)


def alone(path: Path) -> list[dict[str, object]]:
    with edgebert.load(path, artifact="onnx-fp32") as model:
        return [model(text)[0] for text in TEXTS]


def expected(small: Path, big: Path, threshold: float) -> list[dict[str, object]]:
    pairs = zip(alone(small), alone(big), strict=True)
    return [sure if sure["score"] >= threshold else asked for sure, asked in pairs]  # type: ignore[operator]


def close(results: list[dict[str, object]]) -> list[dict[str, object]]:
    return [{"label": one["label"], "score": pytest.approx(one["score"], abs=1e-5)} for one in results]


def test_the_bigger_model_answers_what_the_small_one_is_not_sure_of(
    cascade_path: Path, bundle_path: Path, other: Path, threshold: float
) -> None:
    wanted = close(expected(bundle_path, other, threshold))
    with edgebert.load(cascade_path, artifact="onnx-fp32") as model:
        assert [model(text)[0] for text in TEXTS] == wanted
        assert model(TEXTS) == wanted
        stream = model.stream(iter(TEXTS), batch_size=2)
        assert list(stream) == wanted
        assert (stream.escalations.answered, stream.escalations.escalated) == (8, 4)
        assert stream.escalations.share == 0.5
        bigger = model.explain().bigger
        assert bigger is not None
        assert (bigger.escalations.answered, bigger.escalations.escalated) == (24, 12)
        assert bigger.explanation.chosen == "onnx-fp32" and bigger.explanation.bigger is None
        said = str(model.explain())
    assert "escalated so far: 12 of 24 (50.0%); of 436 held-out texts 20.0%" in said
    assert "accuracy 0.8900 (the bigger model alone 0.8910)" in said


def test_a_ranked_answer_and_raw_logits_come_from_the_same_model(cascade_path: Path, other: Path) -> None:
    with edgebert.load(other) as big, edgebert.load(cascade_path, artifact="onnx-fp32") as model:
        unsure = next(text for text in TEXTS if model([text]) == close(big([text])))
        for options in ({"top_k": None}, {"top_k": 2, "function_to_apply": "none"}):
            assert [one["label"] for one in model([unsure], **options)[0]] == [
                one["label"] for one in big([unsure], **options)[0]
            ]


@pytest.mark.parametrize(("threshold", "escalated"), [(0.0, 0), (1.0, 8)])
def test_never_and_always(bundle_path: Path, other: Path, tmp_path: Path, threshold: float, escalated: int) -> None:
    path = write_cascade(tmp_path / "c.edgebert", bundle_path, other, threshold=threshold)
    with edgebert.load(path, artifact="onnx-fp32") as model:
        stream = model.stream(TEXTS)
        assert list(stream) == close(alone(other if escalated else bundle_path))
        assert stream.escalations.escalated == escalated


def test_a_high_temperature_makes_it_less_sure(
    bundle_path: Path, other: Path, threshold: float, tmp_path: Path
) -> None:
    path = write_cascade(tmp_path / "c.edgebert", bundle_path, other, threshold=threshold, temperature=100.0)
    with edgebert.load(path, artifact="onnx-fp32") as model:
        assert model(TEXTS) == close(alone(other))


def test_a_cascade_of_three(bundle_path: Path, other: Path, cascade_path: Path, tmp_path: Path) -> None:
    path = write_cascade(tmp_path / "c.edgebert", other, cascade_path, threshold=1.0, folder="rest")
    with edgebert.load(path) as model, edgebert.load(cascade_path, artifact="onnx-fp32") as inner:
        assert model(TEXTS) == close(inner(TEXTS))
        first = model.explain().bigger
        assert first is not None and first.explanation.bigger is not None
        assert first.explanation.bigger.escalations.escalated == 4
    assert [one.artifact for one in verify(path)][-1] == "rest/bigger/onnx-fp32"


def test_many_threads(cascade_path: Path, bundle_path: Path, other: Path, threshold: float) -> None:
    wanted = close(expected(bundle_path, other, threshold))
    wrong: list[object] = []
    with edgebert.load(cascade_path, artifact="onnx-fp32") as model:

        def ask() -> None:
            results = [model(text)[0] for text in TEXTS]
            if results != wanted:
                wrong.append(results)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        bigger = model.explain().bigger
    assert not wrong and bigger is not None
    assert (bigger.escalations.answered, bigger.escalations.escalated) == (64, 32)


def test_closing_closes_both(cascade_path: Path) -> None:
    model = edgebert.load(cascade_path, artifact="onnx-fp32")
    model.warmup()
    bigger = model._bigger
    model.close()
    for one in (model, bigger):
        assert one is not None
        with pytest.raises(edgebert.BackendError, match="The model is closed"):
            one(TEXTS)


def test_without_a_bigger_model_nothing_is_escalated(bundle_path: Path) -> None:
    with edgebert.load(bundle_path, artifact="onnx-fp32") as model:
        stream = model.stream(TEXTS)
        list(stream)
        assert (stream.escalations.answered, stream.escalations.share) == (8, 0.0)
        assert model.explain().bigger is None


def test_verify_tells_of_both(cascade_path: Path) -> None:
    results = list(verify(cascade_path))
    assert [one.artifact for one in results] == ["onnx-fp32", "openvino-fp32", "tflite-fp32", "bigger/onnx-fp32"]
    assert {one.status for one in results} == {"passed"}


def test_an_artifact_that_the_bigger_bundle_lacks(cascade_path: Path) -> None:
    with pytest.raises(
        edgebert.SelectionError, match=r"The bigger model of the cascade tiny: .* 'openvino-fp32'"
    ) as told:
        edgebert.load(cascade_path, artifact="openvino-fp32")
    assert told.value.hint == "It has: onnx-fp32."


def test_a_bigger_bundle_that_was_swapped(cascade_path: Path, bundle_path: Path, tmp_path: Path) -> None:
    path = write_cascade(tmp_path / "c.edgebert", bundle_path, bundle_path, threshold=0.5)
    manifest = path / "bigger/manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"pad_id": 0', b'"pad_id": 1'))
    with pytest.raises(edgebert.IntegrityError, match=r"bigger/manifest\.json"):
        edgebert.load(path)


def test_two_tasks(bundle_path: Path, tmp_path: Path) -> None:
    checkpoint = tiny.make_checkpoint("single_label_classification", LABELS[::-1])
    files = {"model.onnx": tiny.onnx_bytes(checkpoint)}
    big = tiny.write_bundle(tmp_path / "b.edgebert", checkpoint, [(tiny.artifact("onnx-fp32"), files)])
    path = write_cascade(tmp_path / "c.edgebert", bundle_path, big, threshold=0.5)
    with pytest.raises(edgebert.BundleError, match="POSITIVE, NEUTRAL, NEGATIVE in 'bigger'"):
        edgebert.load(path)


def test_an_input_that_neither_takes_is_named(cascade_path: Path) -> None:
    with edgebert.load(cascade_path, artifact="onnx-fp32") as model:
        with pytest.raises(edgebert.InputError, match=r"inputs\[1\]"):
            model(["dull", 7])
        with pytest.raises(edgebert.InputError, match=r"inputs\[1\]"):
            model(["dull", "dull " * 100], truncation="error")


@given(
    hnp.arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 6)), elements=st.floats(-50, 50, width=32)),
    st.floats(0.01, 100),
)
def test_confidence_is_the_largest_softmax(logits: np.ndarray, temperature: float) -> None:
    scaled = logits.astype(np.float64) / temperature
    softmax = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    softmax /= softmax.sum(axis=1, keepdims=True)
    found = confidence(logits, temperature)
    assert found == pytest.approx(softmax.max(axis=1))
    assert (found <= 1).all() and (found >= 1 / logits.shape[1] - 1e-12).all()
