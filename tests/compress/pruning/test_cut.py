"""What cutting takes away, and how what units wrote on the mean is made up for."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the convert extra")
pytest.importorskip("transformers", reason="needs the convert extra")
pytest.importorskip("optimum", reason="needs the convert extra")

from edgebert.compress.distillation.teacher import load_teacher, transformers_model  # noqa: E402
from edgebert.compress.pruning.compensate import compensated, mean_units  # noqa: E402
from edgebert.compress.pruning.cut import Kept, cut, most_important  # noqa: E402
from edgebert.compress.pruning.importance import Importance  # noqa: E402
from edgebert.convert.checkpoint import Checkpoint  # noqa: E402
from tests.compress.distillation.checkpoints import HEADS, save_distilbert  # noqa: E402

LAYER = "distilbert.transformer.layer"
ALL = {"heads": range(4), "units": range(64), "channels": range(32), "pooled": range(32)}


def kept(task: str = "text-classification", **parts: object) -> Kept:
    """Everything of two layers, but for what is named."""
    chosen = {name: torch.tensor(list(parts.get(name, some))) for name, some in ALL.items()}  # type: ignore[call-overload]
    pooled = chosen["pooled"] if task == "text-classification" else None
    return Kept(chosen["heads"].repeat(2, 1), chosen["units"].repeat(2, 1), chosen["channels"], pooled)


def checkpoint_of(folder: Path, task: str = "text-classification", **changes: object) -> Checkpoint:
    return load_teacher(str(save_distilbert(folder / "model", task, n_layers=2, **changes))).distilbert


def batch() -> dict[str, torch.Tensor]:
    ids = torch.arange(5, 25).reshape(2, 10)
    mask = torch.ones_like(ids)
    mask[0, 7:] = 0
    return {"input_ids": ids, "attention_mask": mask}


def logits(checkpoint: Checkpoint) -> list[torch.Tensor]:
    with torch.inference_mode():
        output = transformers_model(checkpoint)(**batch())
    return [value for name, value in output.items() if "logits" in name]


@pytest.mark.parametrize("task", HEADS)
def test_everything_kept_is_the_same_model(task: str, tmp_path: Path) -> None:
    whole = checkpoint_of(tmp_path, task)
    same = cut(whole, kept(task))
    assert all(torch.equal(tensor, same.tensors[name]) for name, tensor in whole.tensors.items())
    for one, other in zip(logits(same), logits(whole), strict=True):
        assert torch.equal(one, other)


def test_units_that_nothing_reads_go_without_a_difference(tmp_path: Path) -> None:
    whole, gone = checkpoint_of(tmp_path), [0, 5, 63]
    for layer in range(2):
        whole.tensors[f"{LAYER}.{layer}.ffn.lin2.weight"][:, gone] = 0
    smaller = cut(whole, kept(units=[unit for unit in range(64) if unit not in gone]))
    assert smaller.config["hidden_dim"] == 61 and smaller.config["dim"] == 32
    assert torch.allclose(logits(smaller)[0], logits(whole)[0], atol=1e-5)


@pytest.mark.parametrize("task", HEADS)
def test_fewer_heads_are_rows_and_columns_of_the_whole(task: str, tmp_path: Path) -> None:
    """A head keeps its eight rows, a channel its place in all weights that read or write it."""
    whole = checkpoint_of(tmp_path, task)
    channels, pooled = torch.arange(1, 32, 2), torch.arange(0, 32, 2)
    smaller = cut(whole, kept(task, heads=[1, 3], channels=channels, pooled=pooled))
    assert (smaller.config["dim"], smaller.config["n_heads"]) == (16, 2)
    heads = torch.cat([torch.arange(8, 16), torch.arange(24, 32)])
    own, theirs = smaller.tensors, whole.tensors
    name = f"{LAYER}.1.attention.k_lin.weight"
    assert torch.equal(own[name], theirs[name][heads][:, channels])
    name = f"{LAYER}.1.attention.out_lin.weight"
    assert torch.equal(own[name], theirs[name][channels][:, heads])
    name = f"{LAYER}.0.ffn.lin2.bias"
    assert torch.equal(own[name], theirs[name][channels])
    name = "distilbert.embeddings.word_embeddings.weight"
    assert torch.equal(own[name], theirs[name][:, channels])
    if task == "text-classification":
        assert torch.equal(own["pre_classifier.weight"], theirs["pre_classifier.weight"][pooled][:, channels])
        assert torch.equal(own["classifier.weight"], theirs["classifier.weight"][:, pooled])
    if task == "fill-mask":
        assert torch.equal(own["vocab_transform.weight"], theirs["vocab_transform.weight"][channels][:, channels])
        assert torch.equal(own["vocab_projector.bias"], theirs["vocab_projector.bias"])
    assert all(torch.isfinite(value).all() for value in logits(smaller))


def test_the_largest_scores_of_each_layer_are_kept_in_order() -> None:
    importance = Importance(
        heads=torch.tensor([[3.0, 1.0, 2.0], [1.0, 1.0, 5.0]]),
        units=torch.tensor([[0.0, 9.0], [9.0, 0.0]]),
        channels=torch.tensor([1.0, 6.0, 2.0, 5.0, 3.0, 4.0]),
        pooled=None,
    )
    chosen = most_important(importance, heads=2, head_size=2, hidden_dim=1)
    assert chosen.heads.tolist() == [[0, 2], [0, 2]]  # of equal ones the first
    assert chosen.units.tolist() == [[1], [0]]
    assert chosen.channels.tolist() == [1, 3, 4, 5] and chosen.pooled is None


def test_a_unit_that_never_changes_is_made_up_for_to_the_digit(tmp_path: Path) -> None:
    whole = checkpoint_of(tmp_path)
    for layer in range(2):  # unit 7 passes on the same whatever it reads
        whole.tensors[f"{LAYER}.{layer}.ffn.lin1.weight"][7] = 0
        whole.tensors[f"{LAYER}.{layer}.ffn.lin1.bias"][7] = 3
    some = kept(units=[unit for unit in range(64) if unit != 7])
    means = mean_units(transformers_model(whole), [batch()])
    bare = cut(whole, some)
    mended = compensated(whole, bare, some, means)
    assert torch.allclose(logits(mended)[0], logits(whole)[0], atol=1e-4)
    assert not torch.allclose(logits(bare)[0], logits(whole)[0], atol=1e-2)


def test_padding_does_not_count_for_the_mean_of_a_unit(tmp_path: Path) -> None:
    model, given = transformers_model(checkpoint_of(tmp_path)), batch()
    alone = [{name: tensor[:1, :7] for name, tensor in given.items()}, {name: t[1:] for name, t in given.items()}]
    together, apart = mean_units(model, [given]), mean_units(model, alone)
    assert together.shape == (2, 64) and torch.allclose(together, apart, atol=1e-5)
    assert together.abs().min() > 0
