"""Layers dropped without training."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the convert extra")
transformers = pytest.importorskip("transformers", reason="needs the convert extra")
pytest.importorskip("optimum", reason="needs the convert extra")

from edgebert.compress.distillation.drop import drop_layers  # noqa: E402
from edgebert.errors import CheckpointError, EdgebertError, OptionError, OutputError  # noqa: E402
from tests.compress.distillation.checkpoints import HEADS, save_bert, save_distilbert  # noqa: E402

IDS = torch.arange(5, 25).reshape(2, 10)


def outputs(model: torch.nn.Module) -> tuple[torch.Tensor, ...]:
    with torch.inference_mode():
        return model.eval()(input_ids=IDS).to_tuple()


@pytest.mark.parametrize("task", HEADS)
def test_the_result_is_the_model_without_the_others(task: str, tmp_path: Path) -> None:
    folder = save_distilbert(tmp_path / "whole", task)
    facts = drop_layers(str(folder), tmp_path / "half", (1, 3), command=["edgebert", "drop-layers"])
    kind = getattr(transformers, f"DistilBert{HEADS[task]}")
    whole, half = kind.from_pretrained(folder), kind.from_pretrained(tmp_path / "half")
    layers = whole.distilbert.transformer.layer
    whole.distilbert.transformer.layer = torch.nn.ModuleList([layers[1], layers[3]])
    assert all(torch.equal(one, other) for one, other in zip(outputs(whole), outputs(half), strict=True))
    assert json.loads((tmp_path / "half/drop.json").read_text()) == json.loads(json.dumps(facts.to_dict()))
    assert "with 2 of its 4 layers: 1, 3" in (tmp_path / "half/README.md").read_text()


@pytest.mark.parametrize("task", [task for task in HEADS if task != "text-classification"])
def test_a_bert_with_all_layers_is_a_distilbert_that_answers_alike(task: str, tmp_path: Path) -> None:
    folder = save_bert(tmp_path / "bert", task)
    drop_layers(str(folder), tmp_path / "distilbert", (0, 1, 2, 3))
    bert = getattr(transformers, f"Bert{HEADS[task]}").from_pretrained(folder)
    own = getattr(transformers, f"DistilBert{HEADS[task]}").from_pretrained(tmp_path / "distilbert")
    for one, other in zip(outputs(bert), outputs(own), strict=True):
        assert torch.allclose(one, other, atol=1e-4)


def refusal(kind: type[EdgebertError], folder: Path, keep: tuple[int, ...]) -> str:
    before = sorted(path.name for path in folder.parent.iterdir())
    with pytest.raises(kind) as caught:
        drop_layers(str(folder), folder.parent / "half", keep)
    assert caught.value.hint and sorted(path.name for path in folder.parent.iterdir()) == before
    return str(caught.value)


def test_what_is_refused(tmp_path: Path) -> None:
    folder = save_distilbert(tmp_path / "whole")
    assert "keep=0,4 is not allowed" in refusal(OptionError, folder, (0, 4))
    assert "keep= is not allowed" in refusal(OptionError, folder, ())
    assert "All 4 layers are kept" in refusal(OptionError, folder, (0, 1, 2, 3))
    assert "tanh in its head" in refusal(CheckpointError, save_bert(tmp_path / "bert"), (0, 2))
    (tmp_path / "half").mkdir()
    assert "exists already" in refusal(OutputError, folder, (0, 2))
