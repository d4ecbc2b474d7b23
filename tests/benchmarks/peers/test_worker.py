"""The protocol, with a real worker that serves a tiny bundle."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from time import sleep

import pytest
from harness.client import Worker, worker_command
from harness.files import clean_environment

import edgebert
from edgebert.errors import BackendError

REPOSITORY = Path(__file__).parents[3]
TEXTS = ["the film is good", "the plot is dull, and the movie is not good", "great", ""]


def start(bundle: Path, variant: str = "onnx-fp32", module: str = "edgebert_bundle") -> Worker:
    command = worker_command(Path(sys.executable), module, variant, bundle, 1)
    return Worker("tiny", command, clean_environment(1, REPOSITORY))


@pytest.fixture(scope="module")
def worker(bundle_path: Path) -> Iterator[Worker]:
    started = start(bundle_path)
    yield started
    started.close()


def test_texts_are_answered_as_the_model_answers_them(worker: Worker, bundle_path: Path) -> None:
    with edgebert.load(bundle_path, artifact="onnx-fp32", threads=1) as model:
        expected = [model(text)[0]["label"] for text in TEXTS]
    each = worker.ask({"do": "each", "texts": TEXTS})
    assert each["labels"] == expected
    assert len(each["ms"]) == len(TEXTS) and min(each["ms"]) > 0
    bulk = worker.ask({"do": "bulk", "texts": TEXTS * 3, "batch_size": 2})
    assert bulk["labels"] == expected * 3 and bulk["seconds"] > 0


def test_facts_tell_versions_threads_and_memory(worker: Worker) -> None:
    told = worker.ask({"do": "facts"})
    assert told["facts"]["edgebert"] == edgebert.__version__
    assert told["facts"]["ranking"].startswith("profile ")
    assert told["facts"]["artifact"] == "onnx-fp32" and told["facts"]["threads"] == 1
    assert told["peak_rss_bytes"] is None or told["peak_rss_bytes"] > 10**7


def test_a_job_that_fails_is_an_error_and_the_worker_lives(worker: Worker) -> None:
    with pytest.raises(BackendError, match=r"tiny: ValueError: unknown job 'dance'"):
        worker.ask({"do": "dance"})
    assert worker.ask({"do": "each", "texts": TEXTS[:1]})["labels"]


def test_a_paused_worker_takes_no_time_and_goes_on(worker: Worker) -> None:
    worker.ask({"do": "each", "texts": TEXTS})
    worker.pause()
    before = worker.cpu_seconds()
    if before is None:
        pytest.skip("the system does not tell the processor time of other processes")
    sleep(0.05)
    assert worker.cpu_seconds() == before
    worker.resume()
    assert worker.ask({"do": "each", "texts": TEXTS})["labels"]


def test_a_peer_that_does_not_load_says_why(bundle_path: Path) -> None:
    worker = start(bundle_path, variant="nothing-int8")
    try:
        with pytest.raises(BackendError, match=r"tiny: it does not load: \w+: .*nothing-int8"):
            worker.ask({"do": "facts"})
    finally:
        worker.close()


def test_a_worker_that_dies_without_a_word_is_an_error() -> None:
    code = "import os, sys; sys.stderr.write('out of luck\\n'); sys.stderr.flush(); os.abort()"
    worker = Worker("tiny", [sys.executable, "-c", code], clean_environment(1))
    try:
        with pytest.raises(BackendError, match=r"tiny: the process was killed by SIGABRT: out of luck"):
            worker.ask({"do": "facts"})
    finally:
        worker.close()


def test_what_libraries_print_is_not_taken_for_an_answer(tmp_path: Path) -> None:
    (tmp_path / "serving").mkdir()
    (tmp_path / "worker.py").write_bytes((REPOSITORY / "benchmarks" / "peers" / "worker.py").read_bytes())
    (tmp_path / "serving" / "loud.py").write_text(
        "import os\n"
        "def serve(files, variant, threads):\n"
        "    print('hello')\n"
        "    os.write(1, b'hello\\n')\n"
        "    return Loud()\n"
        "class Loud:\n"
        "    def one(self, text):\n"
        "        print(text)\n"
        "        return text.upper()\n"
    )
    command = [sys.executable, str(tmp_path / "worker.py"), "loud", "", "", "1"]
    worker = Worker("loud", command, clean_environment(1))
    try:
        assert worker.ask({"do": "each", "texts": ["été"]})["labels"] == ["ÉTÉ"]
    finally:
        worker.close()


def test_nothing_of_this_python_reaches_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    variables = clean_environment(2)
    assert "PYTHONPATH" not in variables and variables["OMP_NUM_THREADS"] == "2"
    assert clean_environment(2, Path("/here"))["PYTHONPATH"] == "/here"
