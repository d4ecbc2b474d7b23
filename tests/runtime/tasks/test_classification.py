"""Text classification against ``transformers.pipeline`` on the same checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import TextClassificationPipeline

import edgebert
from edgebert.bundle import Task
from edgebert.runtime.tasks import open_task
from edgebert.runtime.tokenization import TextTokenizer
from tests.runtime import tiny
from tests.runtime.conftest import KINDS


@pytest.fixture(scope="module", params=sorted(KINDS))
def both(
    request: pytest.FixtureRequest, checkpoints: Mapping[str, tiny.Checkpoint], tmp_path_factory: pytest.TempPathFactory
) -> tuple[edgebert.Model, TextClassificationPipeline]:
    """The same checkpoint as our model and as their pipeline, for each problem type."""
    checkpoint = checkpoints[request.param]
    artifacts = [(tiny.artifact("onnx-fp32"), {"model.onnx": tiny.onnx_bytes(checkpoint)})]
    path = tiny.write_bundle(tmp_path_factory.mktemp(request.param) / "b.edgebert", checkpoint, artifacts)
    model = edgebert.load(path, threads=1)
    request.addfinalizer(model.close)
    return model, checkpoint.pipeline()


def assert_same(ours: Any, theirs: Any) -> None:
    """Equal shape, labels and order; scores within 1e-5."""
    assert type(ours) is type(theirs)
    if isinstance(theirs, list):
        assert len(ours) == len(theirs)
        for mine, other in zip(ours, theirs, strict=True):
            assert_same(mine, other)
    else:
        assert list(ours) == list(theirs) == ["label", "score"]
        assert ours["label"] == theirs["label"]
        assert type(ours["score"]) is float
        assert ours["score"] == pytest.approx(theirs["score"], abs=1e-5)


valid = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
texts = st.one_of(st.lists(st.sampled_from([*tiny.WORDS, "🙂", "é", "שלום", "\x00"]), max_size=15).map(" ".join), valid)
items = st.one_of(
    texts,
    st.builds(lambda text: {"text": text}, texts),
    st.builds(lambda text, pair: {"text": text, "text_pair": pair}, texts, texts),
    st.builds(lambda text, pair: [[text, pair]], texts, texts),
)
options = st.fixed_dictionaries(
    {},
    optional={
        "top_k": st.one_of(st.none(), st.integers(1, 6)),
        "function_to_apply": st.sampled_from(["sigmoid", "softmax", "none", "SoftMax", None]),
        "truncation": st.just(True),
    },
)


@given(batch=st.lists(items, min_size=1, max_size=6), kwargs=options)
@settings(deadline=None, max_examples=60)
def test_a_list_answers_as_transformers(both: tuple[Any, Any], batch: list[Any], kwargs: dict[str, Any]) -> None:
    model, pipeline = both
    assert_same(model(batch, **kwargs), pipeline(batch, **{"truncation": True, **kwargs}))


@given(item=texts | st.builds(lambda a, b: {"text": a, "text_pair": b}, texts, texts), kwargs=options)
@settings(deadline=None, max_examples=60)
def test_a_single_input_answers_as_transformers(both: tuple[Any, Any], item: Any, kwargs: dict[str, Any]) -> None:
    model, pipeline = both
    assert_same(model(item, **kwargs), pipeline(item, **{"truncation": True, **kwargs}))


def test_long_text_is_cut_as_transformers_on_request(both: tuple[Any, Any]) -> None:
    model, pipeline = both
    text = "charming film, " * 50 + "awful plot " * 50
    assert_same(model(text, truncation=True), pipeline(text, truncation=True))


def test_a_tuple_is_a_pair(both: tuple[Any, Any]) -> None:
    model, pipeline = both
    assert_same(model(("good", "bad film")), pipeline({"text": "good", "text_pair": "bad film"}))
    assert_same(model([("good", "bad film")]), [pipeline({"text": "good", "text_pair": "bad film"})])
    assert_same(model({"text": "good", "text_pair": None}), pipeline({"text": "good"}))


def test_long_text_is_the_weighted_mean_of_its_windows(checkpoint: tiny.Checkpoint, bundle_path: Path) -> None:
    text = "charming film, " * 30 + "awful plot " * 7
    tokenizer = TextTokenizer(tiny.tokenizer_json(), max_length=tiny.MAX_LENGTH)
    windows = tokenizer.encode(text)
    assert len(windows) > 1
    rows = [checkpoint.logits(w.input_ids[None], np.ones_like(w.input_ids[None]))[0] for w in windows]
    expected = np.average(rows, axis=0, weights=[window.fresh for window in windows])
    with edgebert.load(bundle_path) as model:
        scores = model(text, top_k=None, function_to_apply="none")
        ours = {entry["label"]: entry["score"] for entry in scores}
    assert list(ours.values()) == sorted(ours.values(), reverse=True)
    assert [ours[label] for label in checkpoint.task.labels] == pytest.approx(expected, abs=1e-5)


def finish(task: Task, logits: list[float], **kwargs: Any) -> Any:
    handler = open_task(task)
    parsed = handler.parse_options(**kwargs)
    prepared = handler.prepare(TextTokenizer(tiny.tokenizer_json(), max_length=8), "good", parsed)
    return handler.finish(prepared, [{"logits": np.array(logits, np.float32)}], parsed)


def test_ties_stay_in_class_order() -> None:
    task = Task("text-classification", "single_label_classification", ("a", "b", "c", "d"))
    assert finish(task, [0, 2, 1, 2])["label"] == "b"
    assert [entry["label"] for entry in finish(task, [0, 2, 0, 2], top_k=None)] == ["b", "d", "a", "c"]


def test_extreme_logits_give_finite_scores_without_a_warning() -> None:
    task = Task("text-classification", "multi_label_classification", ("a", "b"))
    assert finish(task, [-200, 200], top_k=None) == [{"label": "b", "score": 1.0}, {"label": "a", "score": 0.0}]
    assert finish(task, [-3e38, 3e38], function_to_apply="softmax")["score"] == 1.0


@pytest.mark.parametrize(
    ("kwargs", "named"),
    [
        ({"top_k": 0}, "top_k=0"),
        ({"top_k": -1}, "top_k=-1"),
        ({"top_k": True}, "top_k=True"),
        ({"top_k": "all"}, "top_k='all'"),
        ({"function_to_apply": "relu"}, "function_to_apply='relu'"),
        ({"function_to_apply": 3}, "function_to_apply=3"),
        ({"truncation": "longest_first"}, "truncation='longest_first'"),
        ({"truncation": None}, "truncation=None"),
        ({"return_all_scores": True}, "'return_all_scores'"),
    ],
)
def test_wrong_options_are_refused_by_name(bundle_path: Path, kwargs: dict[str, Any], named: str) -> None:
    with edgebert.load(bundle_path) as model, pytest.raises(edgebert.InputError) as caught:
        model(["good"], **kwargs)
    assert named in caught.value.message
    assert caught.value.hint


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(edgebert.BundleError, match="text-to-speech"):
        open_task(Task("text-to-speech", "regression", ("x",)))
