"""The teacher is asked once where its answers never change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the compress extra")
for name in ("transformers", "accelerate", "optimum", "rich"):
    pytest.importorskip(name, reason="needs the compress extra")

from safetensors.torch import load_file  # noqa: E402

from edgebert.compress.distillation.losses import Weights  # noqa: E402
from edgebert.compress.distillation.pipeline import Inputs, distill  # noqa: E402
from edgebert.compress.distillation.recipe import Recipe  # noqa: E402
from edgebert.compress.distillation.student import StudentShape  # noqa: E402
from edgebert.compress.distillation.teacher import Teacher  # noqa: E402
from tests.compress.distillation.checkpoints import save_bert, save_distilbert, write_data  # noqa: E402

ASKING = "asking the teacher"


class Stopped(Exception):
    pass


class Listener:
    """Notes the stages; ends the run by an exception at a step of one."""

    def __init__(self, stage: str = "", step: int = 0) -> None:
        self._wanted = (stage, step)
        self.stages: list[str] = []
        self.batches: list[tuple[int, int]] = []

    def stage(self, text: str) -> None:
        self.stages.append(text)

    def step(self, done: int, total: int, losses: object) -> None:
        stage, step = self._wanted
        if self.stages[-1] == ASKING:
            self.batches.append((done, total))
        if stage and stage in self.stages[-1] and done >= step:
            raise Stopped


def run(
    folder: Path, data: Path, *, heard: Listener | None = None, resume: bool = False, **changes: Any
) -> dict[str, torch.Tensor]:
    """The weights of a student after two epochs of 12 steps, without the cosine."""
    options: dict[str, Any] = {"epochs": 2, "batch_size": 4, "learning_rate": 1e-3, "weights": Weights(cos=0.0)}
    out = folder / f"student-{len(list(folder.iterdir()))}" if not resume else folder / "resumed"
    distill(
        str(folder / "teacher"),
        out,
        Inputs([data]),
        shape=StudentShape(layers=2),
        recipe=Recipe(**{**options, **changes}),
        resume=resume,
        save_every=5,
        progress=heard,
    )
    return load_file(out / "model.safetensors")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the batches that any teacher is asked about from now on."""
    sizes: list[int] = []
    original = Teacher.ask

    def ask(self: Teacher, inputs: Any, **options: Any) -> Any:
        sizes.append(len(inputs["input_ids"]))
        return original(self, inputs, **options)

    monkeypatch.setattr(Teacher, "ask", ask)
    return sizes


@pytest.mark.parametrize("save", [save_distilbert, save_bert])
@pytest.mark.parametrize("task", ["text-classification", "token-classification", "question-answering"])
def test_a_student_learns_the_same_from_kept_answers(
    save: Any, task: str, tmp_path: Path, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "teacher", task)
    data = write_data(tmp_path, task)
    heard = Listener()
    kept = run(tmp_path, data, heard=heard)
    assert ASKING in heard.stages and heard.batches == [(1, 1)]
    assert asked == [48]  # every example once, in one batch, whatever the epochs
    asked.clear()
    # In each epoch anew, as before the first step nothing was asked: the same logits but for the last bits.
    monkeypatch.setattr("edgebert.compress.distillation.training.ask_teacher", lambda *given, **named: None)
    monkeypatch.setattr("edgebert.compress.distillation.store.TrainingData.open_answers", lambda data: None)
    anew = run(tmp_path, data)
    assert asked == [4] * 24
    assert kept.keys() == anew.keys()
    # These biases move all that a softmax compares alike, which it does not see: AdamW makes steps of noise.
    far = [name for name, tensor in kept.items() if not torch.allclose(tensor, anew[name], atol=1e-4)]
    assert [name for name in far if not name.endswith(("k_lin.bias", "qa_outputs.bias"))] == []


@pytest.mark.parametrize(
    ("task", "changes"),
    [
        ("text-classification", {"weights": Weights()}),  # hidden states are compared
        ("text-classification", {"epochs": 1}),  # no example comes twice
        ("text-classification", {"max_steps": 12}),
        ("fill-mask", {}),  # other words are masked each time
    ],
)
def test_a_teacher_whose_answers_are_of_no_use_later_is_asked_as_it_goes(
    task: str, changes: dict[str, Any], tmp_path: Path, asked: list[int]
) -> None:
    save_distilbert(tmp_path / "teacher", task)
    heard = Listener()
    run(tmp_path, write_data(tmp_path, task), heard=heard, **changes)
    assert ASKING not in heard.stages
    assert asked == [4] * (12 if changes.get("epochs") == 1 or "max_steps" in changes else 24)


@pytest.mark.parametrize(("stage", "step", "asked_again"), [(ASKING, 1, True), ("training", 8, False)])
def test_a_stopped_training_goes_on_with_the_same_answers(
    stage: str, step: int, asked_again: bool, tmp_path: Path, asked: list[int]
) -> None:
    save_distilbert(tmp_path / "teacher", dropout=0.1)
    data = write_data(tmp_path, "text-classification")
    whole = run(tmp_path, data)
    with pytest.raises(Stopped):
        run(tmp_path, data, heard=Listener(stage, step), resume=True)
    left = sorted(path.name for path in (tmp_path / "resumed.partial/data").glob("answers*"))
    assert left == (["answers.bin.0"] if asked_again else ["answers.bin"])
    asked.clear()
    heard = Listener()
    resumed = run(tmp_path, data, heard=heard, resume=True)
    assert (asked, ASKING in heard.stages) == (([48], True) if asked_again else ([], False))
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in whole.items())
    assert not (tmp_path / "resumed.partial").exists()


def test_many_texts_are_asked_in_batches_of_similar_length(tmp_path: Path, asked: list[int]) -> None:
    save_distilbert(tmp_path / "teacher")
    heard = Listener("training", 1)
    with pytest.raises(Stopped):
        run(tmp_path, write_data(tmp_path, "text-classification", count=150), heard=heard, batch_size=50)
    assert heard.batches == [(1, 3), (2, 3), (3, 3)] and asked[:3] == [64, 64, 22]
    [answers] = tmp_path.glob("*.partial/data/answers.bin")
    logits = np.fromfile(answers, "<f4").reshape(150, -1)
    assert np.isfinite(logits).all() and len(np.unique(logits, axis=0)) > 100
