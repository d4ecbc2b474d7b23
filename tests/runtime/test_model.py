"""A loaded model: neighbours, streams, threads, closing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import edgebert
from tests.runtime import tiny

TEXTS = ["good", "", "the film was awful", "a charming journey, " * 6, "plot?", "dull " * 100, "very very good film"]
slow_fixture = settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def scores(results: object) -> list[dict[str, object]]:
    """The results, made equal to others whose scores differ by at most 1e-5."""
    assert isinstance(results, list)
    return [{"label": result["label"], "score": pytest.approx(result["score"], abs=1e-5)} for result in results]


def test_describes_itself(model: edgebert.Model) -> None:
    assert model.labels == ("NEGATIVE", "NEUTRAL", "POSITIVE")
    assert model.task == "text-classification"
    assert model.max_length == tiny.MAX_LENGTH
    assert model.artifact in repr(model)


def test_every_backend_answers_as_transformers(model: edgebert.Model, checkpoint: tiny.Checkpoint) -> None:
    short = [text for text in TEXTS if len(text) < 200]
    assert scores(model(short)) == checkpoint.pipeline()(short)


@slow_fixture
@given(texts=st.lists(st.sampled_from(TEXTS), max_size=20), batch_size=st.integers(1, 9))
def test_neighbours_do_not_change_an_answer(model: edgebert.Model, texts: list[str], batch_size: int) -> None:
    alone = [model(text)[0] for text in texts]
    assert scores(model(texts, batch_size=batch_size)) == alone
    assert scores(list(model.stream(iter(texts), batch_size=batch_size))) == alone


def test_an_empty_list_gives_an_empty_list(model: edgebert.Model) -> None:
    assert model([]) == []
    assert list(model.stream([])) == []


@pytest.mark.parametrize(
    "text", ["", " \t\n", "\x00", "\ud800 lone", "🙂👩‍👩‍👧", "שלום עולם", "\u202eabc", "x" * 100_000]
)
def test_odd_text_is_answered(model: edgebert.Model, text: str) -> None:
    [result] = model(text)
    assert result["label"] in model.labels
    assert 0 <= result["score"] <= 1


def test_stream_reads_only_what_it_needs(model: edgebert.Model) -> None:
    read = 0

    def endless() -> Iterator[str]:
        nonlocal read
        while True:
            read += 1
            yield "good film"

    results = model.stream(endless(), batch_size=2)
    assert read == 0
    first = next(results)
    assert first["label"] in model.labels
    assert read == 32


def test_stream_answers_what_came_before_a_bad_input(model: edgebert.Model) -> None:
    results = model.stream(["good", "bad", 7, "fine"])
    assert [next(results)["label"], next(results)["label"]] == [r["label"] for r in model(["good", "bad"])]
    with pytest.raises(edgebert.InputError, match=r"inputs\[2\].*int"):
        next(results)


def test_stream_passes_on_the_error_of_its_source(model: edgebert.Model) -> None:
    def broken() -> Iterator[str]:
        yield "good"
        raise OSError("cable pulled")

    results = model.stream(broken())
    assert next(results) == model(["good"])[0]
    with pytest.raises(OSError, match="cable pulled"):
        next(results)


@pytest.mark.parametrize("inputs", ["a text", {"text": "a"}, b"bytes", 7, None])
def test_stream_refuses_what_is_no_iterable_of_inputs(model: edgebert.Model, inputs: object) -> None:
    with pytest.raises(edgebert.InputError, match=type(inputs).__name__):
        model.stream(inputs)  # type: ignore[arg-type]


def test_stream_checks_options_at_once(model: edgebert.Model) -> None:
    with pytest.raises(edgebert.InputError, match="top_q"):
        model.stream(["good"], top_q=1)


def test_a_generator_is_pointed_to_stream(model: edgebert.Model) -> None:
    with pytest.raises(edgebert.InputError, match="generator") as caught:
        model(text for text in TEXTS)
    assert "stream" in caught.value.hint


@pytest.mark.parametrize("batch_size", [0, -1, 1.5, True, "8", None])
def test_a_wrong_batch_size_is_refused(model: edgebert.Model, batch_size: object) -> None:
    with pytest.raises(edgebert.InputError, match="batch_size"):
        model(["good"], batch_size=batch_size)  # type: ignore[arg-type]
    with pytest.raises(edgebert.InputError, match="batch_size"):
        model.stream(["good"], batch_size=batch_size)  # type: ignore[arg-type]


@pytest.mark.parametrize("item", [3, None, b"bytes", ["a", "b"], ("a",), ("a", 3), {"text": 3}, {"txt": "a"}, [["a"]]])
def test_a_wrong_item_is_named_with_its_index(model: edgebert.Model, item: object) -> None:
    with pytest.raises(edgebert.InputError, match=rf"inputs\[1\].*{type(item).__name__}"):
        model(["good", item])


def test_sixteen_threads_get_the_same_answers(model: edgebert.Model) -> None:
    expected = [model(text)[0] for text in TEXTS]
    start = threading.Barrier(16)

    def work(offset: int) -> list[tuple[int, object]]:
        start.wait()
        order = [(offset + step) % len(TEXTS) for step in range(3 * len(TEXTS))]
        return [(index, model(TEXTS[index])[0]) for index in order]

    with ThreadPoolExecutor(16) as pool:
        for answers in pool.map(work, range(16)):
            for index, answer in answers:
                assert scores([answer]) == [expected[index]]


@pytest.mark.parametrize("artifact", ["onnx-fp32", "openvino-fp32", "tflite-fp32"])
def test_close_waits_for_calls_in_progress(bundle_path: Path, artifact: str) -> None:
    model = edgebert.load(bundle_path, artifact=artifact)
    started = threading.Event()
    outcomes: list[str] = []

    def work() -> None:
        try:
            while True:
                assert model(["good film"])[0]["label"] in model.labels
                started.set()
        except edgebert.BackendError as error:
            outcomes.append(error.message)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    started.wait()
    model.close()
    for thread in threads:
        thread.join()
    assert outcomes == ["The model is closed."] * 4


def test_a_closed_model_refuses_work(bundle_path: Path) -> None:
    with edgebert.load(bundle_path) as model:
        results = model.stream(["good"] * 1000, batch_size=1)
        next(results)
    model.close()
    with pytest.raises(edgebert.BackendError, match="closed"):
        model("good")
    with pytest.raises(edgebert.BackendError, match="closed"):
        model.warmup()
    with pytest.raises(edgebert.BackendError, match="closed"):
        list(results)
    assert model.explain().chosen == model.artifact


def test_warmup_runs_every_shape(model: edgebert.Model) -> None:
    before = model("good film")
    model.warmup()
    assert model("good film") == before
