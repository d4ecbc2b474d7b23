"""Which checkpoints can be teachers, and which can be starts."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the convert extra")
transformers = pytest.importorskip("transformers", reason="needs the convert extra")
pytest.importorskip("optimum", reason="needs the convert extra")

from edgebert.compress.distillation.teacher import load_start, load_teacher  # noqa: E402
from edgebert.errors import CheckpointError  # noqa: E402
from tests.compress.distillation.checkpoints import HEADS, save_bert, save_distilbert  # noqa: E402
from tests.convert import models  # noqa: E402
from tests.convert.checkpoints import edit_json, edit_weights  # noqa: E402


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_teacher(str(path))
    assert caught.value.hint
    return str(caught.value)


@pytest.mark.parametrize("task", HEADS)
def test_a_bert_answers_as_transformers_has_it(task: str, tmp_path: Path) -> None:
    folder = save_bert(tmp_path / "teacher", task)
    teacher = load_teacher(str(folder))
    other = getattr(transformers, f"Bert{HEADS[task]}").from_pretrained(folder).eval()
    ids = torch.arange(5, 25).reshape(2, 10)
    types = torch.tensor([[0] * 5 + [1] * 5] * 2)
    with torch.inference_mode():
        one, two = (model(input_ids=ids, token_type_ids=types).to_tuple() for model in (teacher.model, other))
    assert teacher.task.name == task and teacher.reads_types
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(one, two, strict=True))


def test_old_names_are_understood(tmp_path: Path) -> None:
    folder = save_bert(tmp_path / "teacher", "fill-mask")
    before = load_teacher(str(folder)).distilbert.tensors

    def age(tensors: dict) -> None:
        for name in list(tensors):
            old = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
            tensors[old] = tensors.pop(name)
        tensors["cls.seq_relationship.weight"] = torch.zeros(2, 32)
        tensors["bert.pooler.dense.bias"] = torch.zeros(32)

    edit_weights(folder, age)
    after = load_teacher(str(folder)).distilbert.tensors
    assert before.keys() == after.keys()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


def test_neither_bert_nor_distilbert(tmp_path: Path) -> None:
    folder = save_distilbert(tmp_path / "teacher")
    edit_json(folder / "config.json", model_type="roberta")
    assert "model_type is 'roberta': neither a BERT nor a DistilBERT" in refusal(folder)


def test_no_configuration(tmp_path: Path) -> None:
    folder = save_distilbert(tmp_path / "teacher")
    (folder / "config.json").unlink()
    assert "config.json: no such file" in refusal(folder)


@pytest.mark.parametrize("kind", ["regression", "multi_label_classification"])
def test_problem_types_that_cannot_be_distilled(kind: str, tmp_path: Path) -> None:
    folder = save_distilbert(tmp_path / "teacher")
    edit_json(folder / "config.json", problem_type=kind)
    assert f"its problem_type is {kind}, which cannot be distilled" in refusal(folder)


def test_a_bare_encoder(tmp_path: Path) -> None:
    models.save(models.random_head("DistilBertModel"), tmp_path / "teacher")
    assert "is for feature-extraction, which cannot be distilled" in refusal(tmp_path / "teacher")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"architectures": ["BertForNextSentencePrediction"]}, "cannot be a teacher"),
        ({"hidden_act": "gelu_new"}, "hidden_act 'gelu_new' is none of DistilBERT's"),
        ({"position_embedding_type": "relative_key"}, "positions that are relative"),
        ({"num_attention_heads": 5}, "cannot be shared by num_attention_heads 5"),
        ({"num_hidden_layers": 6}, "the weights lack bert.encoder.layer.4"),
        ({"num_hidden_layers": 3}, "unknown tensor: bert.encoder.layer.3"),
        ({"intermediate_size": 60}, "asks for bert.encoder.layer.0.intermediate.dense"),
    ],
)
def test_berts_that_do_not_fit(change: dict[str, object], reason: str, tmp_path: Path) -> None:
    folder = save_bert(tmp_path / "teacher")
    edit_json(folder / "config.json", **change)
    assert reason in refusal(folder)


def test_a_start_reads_the_same_tokens(tmp_path: Path) -> None:
    teacher = load_teacher(str(save_bert(tmp_path / "teacher")))
    start = save_distilbert(tmp_path / "start", "fill-mask", n_layers=1)
    assert load_start(str(start), teacher).config["n_layers"] == 1
    tokens = (start / "tokenizer.json").read_text()
    assert '"charming"' in tokens
    (start / "tokenizer.json").write_text(tokens.replace('"charming"', '"alarming"'))
    with pytest.raises(CheckpointError, match=r"its tokenizer is not that of the teacher .*: 2 tokens .*'alarming'"):
        load_start(str(start), teacher)
