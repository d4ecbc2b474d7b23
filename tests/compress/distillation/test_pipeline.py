"""A whole distillation: a student learns, and is an ordinary checkpoint afterwards."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the compress extra")
transformers = pytest.importorskip("transformers", reason="needs the compress extra")
for name in ("accelerate", "optimum", "rich"):
    pytest.importorskip(name, reason="needs the compress extra")

from edgebert.compress.distillation.facts import Facts  # noqa: E402
from edgebert.compress.distillation.losses import Weights  # noqa: E402
from edgebert.compress.distillation.pipeline import Inputs, distill  # noqa: E402
from edgebert.compress.distillation.recipe import Recipe  # noqa: E402
from edgebert.compress.distillation.student import StudentShape  # noqa: E402
from edgebert.errors import CheckpointError, DataError, EdgebertError, OptionError, OutputError  # noqa: E402
from tests.compress.distillation.checkpoints import HEADS, save_bert, save_distilbert, write_data  # noqa: E402
from tests.convert import models  # noqa: E402
from tests.convert.checkpoints import edit_json  # noqa: E402

SHORT = Recipe(max_steps=4, batch_size=8, learning_rate=1e-3)


class Heard:
    def __init__(self) -> None:
        self.stages: list[str] = []
        self.steps: list[tuple[int, int]] = []
        self.losses: list[Mapping[str, float]] = []

    def stage(self, text: str) -> None:
        self.stages.append(text)

    def step(self, done: int, total: int, losses: Mapping[str, float]) -> None:
        self.steps.append((done, total))
        if losses:
            self.losses.append(losses)


def run(folder: Path, teacher: Path, data: Path, **options: Any) -> Facts:
    evaluation = options.pop("evaluation", None)
    options = {"recipe": SHORT, **options}
    facts = distill(str(teacher), folder / "student", Inputs([data], evaluation), **options)
    assert facts is not None
    return facts


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture(scope="module")
def good_teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier that is right in more than nine texts of ten."""
    folder = tmp_path_factory.mktemp("good") / "teacher"
    return models.save(models.trained_model(n_layers=2, dim=48), folder)


def test_a_student_learns_from_its_teacher_alone(good_teacher: Path, tmp_path: Path) -> None:
    """Another width, so that nearly everything begins random; and no labels."""
    texts = models.write_texts(tmp_path / "train.txt", models.opinions(1500, seed=1))
    dev = models.write_eval(tmp_path / "dev.tsv", models.opinions(300, seed=2))
    heard = Heard()
    facts = run(
        tmp_path,
        good_teacher,
        texts,
        evaluation=dev,
        shape=StudentShape(layers=1, dim=16, heads=2),
        recipe=Recipe(epochs=3, batch_size=32, learning_rate=5e-3, seed=1),
        progress=heard,
    )
    assert facts.evaluation is not None and facts.data.labelled == 0
    assert facts.evaluation.teacher["accuracy"] > 0.9
    assert facts.evaluation.student["accuracy"] > 0.85
    assert facts.student["parameters"] < facts.teacher["parameters"] / 3
    assert [done for done, _ in heard.steps if done == 141] and heard.steps[-1][1] == 141
    assert heard.losses[-1]["kl"] < heard.losses[0]["kl"] / 3
    assert all(losses["task"] == 0 for losses in heard.losses)


@pytest.mark.parametrize("task", HEADS)
@pytest.mark.parametrize("kind", ["distilbert", "bert"])
def test_each_task_is_distilled(task: str, kind: str, tmp_path: Path) -> None:
    teacher = (save_bert if kind == "bert" else save_distilbert)(tmp_path / "teacher", task)
    dev = write_data(tmp_path, task, count=8, seed=9)
    data = write_data(tmp_path, task)
    facts = run(tmp_path, teacher, data, evaluation=dev, command=["edgebert", "distill", "x"])
    student = tmp_path / "student"
    assert facts.task == task and facts.evaluation is not None
    assert all(0 <= value <= 1 for value in {**facts.evaluation.student, **facts.evaluation.teacher}.values())
    assert json.loads((student / "distill.json").read_text()) == json.loads(json.dumps(facts.to_dict()))
    card = (student / "README.md").read_text()
    assert "edgebert distill x" in card and "losses.svg" in card and str(tmp_path) not in card
    assert (student / "losses.svg").read_text().startswith("<svg ")
    model = getattr(transformers, f"DistilBert{HEADS[task]}").from_pretrained(student)
    assert model.config.n_layers == 2
    assert transformers.AutoTokenizer.from_pretrained(student)("good film")["input_ids"][0] == 2
    assert names(tmp_path) == {"teacher", "student", data.name, dev.name}
    assert len({path.stat().st_mode for path in student.iterdir()}) == 1
    # The cosine is over the teacher's width without a projection, so the student has nothing but itself.
    assert not [name for name in model.state_dict() if "projection" in name]


@pytest.mark.parametrize("task", ["text-classification", "fill-mask"])
def test_a_student_is_what_convert_takes(task: str, tmp_path: Path) -> None:
    for library in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(library, reason="`edgebert convert` needs it")
    from edgebert.convert.pipeline import convert

    teacher = save_bert(tmp_path / "teacher", task)
    run(tmp_path, teacher, write_data(tmp_path, task), shape=StudentShape(dim=16, heads=2, layers=1))
    board = models.write_target(tmp_path / "board", ["onnx-fp32"])
    report = convert(str(tmp_path / "student"), tmp_path / "student.edgebert", targets=[board])
    assert [outcome.status for outcome in report.artifacts] == ["passed"]


def test_a_student_begins_as_a_checkpoint(tmp_path: Path) -> None:
    teacher = save_bert(tmp_path / "teacher")
    start = save_distilbert(tmp_path / "start", "fill-mask", n_layers=1, dim=16, hidden_dim=24)
    facts = run(
        tmp_path, teacher, write_data(tmp_path, "text-classification"), init=str(start),
        recipe=Recipe(max_steps=1, learning_rate=1e-9, warmup=0),
    )  # fmt: skip
    assert facts.init is not None and facts.init["source"] == str(start)
    own = transformers.DistilBertForSequenceClassification.from_pretrained(tmp_path / "student").state_dict()
    for name, tensor in transformers.DistilBertForMaskedLM.from_pretrained(start).state_dict().items():
        if name.startswith("distilbert."):
            assert torch.allclose(own[name], tensor, atol=1e-6), name


def test_without_hidden_states_and_with_them_in_bf16(tmp_path: Path) -> None:
    teacher, data = save_distilbert(tmp_path / "teacher"), write_data(tmp_path, "text-classification")
    heard = Heard()
    run(tmp_path, teacher, data, recipe=Recipe(max_steps=2, weights=Weights(cos=0.0), precision="bf16"), progress=heard)
    assert [losses["cos"] for losses in heard.losses] == [0, 0]
    assert all(losses["kl"] > 0 and losses["task"] > 0 for losses in heard.losses)


def test_a_loss_that_is_no_number(tmp_path: Path) -> None:
    teacher, data = save_distilbert(tmp_path / "teacher"), write_data(tmp_path, "text-classification")
    steep = Recipe(max_steps=3, weights=Weights(kl=3e38, task=3e38, cos=3e38))
    with pytest.raises(EdgebertError, match=r"loss is not a finite number at step 1 \(kl .*, task .*, cos ") as caught:
        run(tmp_path, teacher, data, recipe=steep)
    assert "Lower --learning-rate" in caught.value.hint and "checkpoint" not in caught.value.hint
    assert not (tmp_path / "student").exists()


def refusal(kind: type[EdgebertError], folder: Path, *arguments: Any, **options: Any) -> str:
    before = names(folder)
    with pytest.raises(kind) as caught:
        run(folder, *arguments, **options)
    assert type(caught.value) is kind and caught.value.hint
    assert names(folder) == before
    return caught.value.message


def test_bad_input_is_told_before_anything_is_written(tmp_path: Path) -> None:
    teacher, data = save_distilbert(tmp_path / "teacher"), write_data(tmp_path, "text-classification")
    masked, text = save_distilbert(tmp_path / "masked", "fill-mask"), write_data(tmp_path, "fill-mask")
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "other.tsv").write_text("text\tlabel\ngood film\tpurple\n")
    (tmp_path / "bare.tsv").write_text("text\ngood film\n")
    roberta, other = _roberta(tmp_path), _other(tmp_path)
    assert "neither a BERT" in refusal(CheckpointError, tmp_path, roberta, data)
    assert "unknown label 'purple'" in refusal(DataError, tmp_path, teacher, tmp_path / "other.tsv")
    assert "the file is empty" in refusal(DataError, tmp_path, teacher, tmp_path / "empty.txt")
    assert "the file is empty" in refusal(DataError, tmp_path, masked, tmp_path / "empty.txt")
    assert "mode mlm needs a masked" in refusal(CheckpointError, tmp_path, teacher, data, mode="mlm")
    assert "mode task needs a model" in refusal(CheckpointError, tmp_path, masked, text, mode="task")
    assert "no labels, and" in refusal(
        DataError, tmp_path, teacher, tmp_path / "bare.tsv", recipe=Recipe(weights=Weights(kl=0.0, cos=0.0))
    )
    assert "3 heads cannot" in refusal(OptionError, tmp_path, teacher, data, shape=StudentShape(heads=3))
    assert "temperature=0 is" in refusal(
        OptionError, tmp_path, teacher, data, recipe=Recipe(weights=Weights(temperature=0))
    )
    assert "max_length=65" in refusal(OptionError, tmp_path, teacher, data, recipe=Recipe(max_length=65))
    assert "its tokenizer is not" in refusal(CheckpointError, tmp_path, teacher, data, init=str(other))
    assert "cannot be read" in refusal(DataError, tmp_path, teacher, data, evaluation=tmp_path / "none.tsv")
    assert "unknown label" in refusal(DataError, tmp_path, teacher, data, evaluation=tmp_path / "other.tsv")
    if not torch.cuda.is_available():
        assert "needs a GPU" in refusal(OptionError, tmp_path, teacher, data, recipe=Recipe(precision="fp16"))
    (tmp_path / "student").mkdir()
    assert "exists already" in refusal(OutputError, tmp_path, teacher, data)


def _roberta(folder: Path) -> Path:
    other = save_distilbert(folder / "roberta")
    edit_json(other / "config.json", model_type="roberta")
    return other


def _other(folder: Path) -> Path:
    other = save_distilbert(folder / "other")
    path = other / "tokenizer.json"
    path.write_text(path.read_text().replace('"charming"', '"alarming"'))
    return other


def test_reporters_that_are_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import integrations

    monkeypatch.setattr(integrations, "is_wandb_available", lambda: False)
    teacher, data = save_distilbert(tmp_path / "teacher"), write_data(tmp_path, "text-classification")
    assert "report_to=wandb needs the Python package" in refusal(
        OptionError, tmp_path, teacher, data, report_to="wandb"
    )
