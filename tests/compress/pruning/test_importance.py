"""Importance, held against what removal does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the convert extra")
pytest.importorskip("transformers", reason="needs the convert extra")
pytest.importorskip("optimum", reason="needs the convert extra")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from edgebert.compress.distillation.teacher import load_teacher  # noqa: E402
from edgebert.compress.pruning.importance import (  # noqa: E402
    Batch,
    Importance,
    measure_importance,
    residual_norms,
)
from tests.compress.distillation.checkpoints import save_distilbert  # noqa: E402

STEP = 1e-3


def model_of(folder: Path, task: str = "text-classification") -> nn.Module:
    return load_teacher(str(save_distilbert(folder / "model", task, n_layers=2))).model.double()


def batch_of(labels: list[object]) -> Batch:
    """Texts of four and six tokens, the first with padding behind it."""
    ids = torch.arange(5, 5 + 6 * len(labels)).reshape(len(labels), 6)
    mask = torch.ones_like(ids)
    mask[0, 4:] = 0
    return {"input_ids": ids, "attention_mask": mask, "labels": torch.tensor(labels)}


@contextmanager
def scaled(module: nn.Module, places: slice, factor: float, *, before: bool) -> Iterator[None]:
    """Multiplies some columns of what goes into a module, or comes out of it."""

    def change(values: torch.Tensor) -> torch.Tensor:
        values = values.clone()
        values[..., places] *= factor
        return values

    if before:
        hook = module.register_forward_pre_hook(lambda module, given: (change(given[0]),))
    else:
        hook = module.register_forward_hook(lambda module, given, output: change(output))
    with hook:
        yield


def losses(model: nn.Module, batch: Batch) -> torch.Tensor:
    with torch.inference_mode():
        logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    return functional.cross_entropy(logits, batch["labels"], reduction="none")


def slope(model: nn.Module, batch: Batch, modules: list[nn.Module], places: slice, *, before: bool) -> float:
    """The mean absolute derivative of the loss, by finite differences."""
    sides = []
    for factor in (1 + STEP, 1 - STEP):
        with scaled_all(modules, places, factor, before=before):
            sides.append(losses(model, batch))
    return float((sides[0] - sides[1]).abs().mean()) / (2 * STEP)


@contextmanager
def scaled_all(modules: list[nn.Module], places: slice, factor: float, *, before: bool) -> Iterator[None]:
    if not modules:
        yield
        return
    with scaled(modules[0], places, factor, before=before), scaled_all(modules[1:], places, factor, before=before):
        yield


def test_it_is_the_derivative_by_what_a_part_passes_on(tmp_path: Path) -> None:
    model, batch = model_of(tmp_path), batch_of([0, 2, 1])
    importance = measure_importance(model, "text-classification", [batch])
    layer = model.get_submodule("distilbert.transformer.layer.1")
    head = slope(model, batch, [layer.get_submodule("attention.out_lin")], slice(16, 24), before=True)
    assert importance.heads[1, 2].item() == pytest.approx(head, rel=1e-3)
    unit = slope(model, batch, [layer.get_submodule("ffn.lin2")], slice(7, 8), before=True)
    assert importance.units[1, 7].item() == pytest.approx(unit, rel=1e-3)
    channel = slope(model, batch, list(residual_norms(model).values()), slice(3, 4), before=False)
    assert importance.channels[3].item() == pytest.approx(channel, rel=1e-3)
    pooled = slope(model, batch, [model.get_submodule("classifier")], slice(9, 10), before=True)
    assert importance.pooled is not None
    assert importance.pooled[9].item() == pytest.approx(pooled, rel=1e-3)


def values(importance: Importance) -> list[torch.Tensor]:
    found = [importance.heads, importance.units, importance.channels, importance.pooled]
    return [tensor for tensor in found if tensor is not None]


def test_how_examples_are_grouped_does_not_matter(tmp_path: Path) -> None:
    model, batch = model_of(tmp_path), batch_of([0, 2, 1])
    ones = [{name: tensor[row : row + 1] for name, tensor in batch.items()} for row in range(3)]
    together, apart = (measure_importance(model, "text-classification", some) for some in ([batch], ones))
    for one, other in zip(values(together), values(apart), strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-9)


def test_without_a_label_the_models_own_answer_is_right(tmp_path: Path) -> None:
    model, batch = model_of(tmp_path), batch_of([-100, 2, -100])
    with torch.inference_mode():
        own = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits.argmax(dim=1).tolist()
    answered = batch_of([own[0], 2, own[2]])
    bare, full = (measure_importance(model, "text-classification", [some]) for some in (batch, answered))
    assert all(torch.equal(one, other) for one, other in zip(values(bare), values(full), strict=True))
    assert bare.heads.min() > 0


@pytest.mark.parametrize(
    ("task", "labels"),
    [
        ("token-classification", [[-100] * 6, [-100, 1, 2, -100, 0, -100]]),
        ("question-answering", [[1, 2], [0, 0]]),
        ("fill-mask", [[-100] * 6, [-100, 9, -100, -100, 7, -100]]),
    ],
)
def test_each_task_tells_its_parts_apart(task: str, labels: list[object], tmp_path: Path) -> None:
    importance = measure_importance(model_of(tmp_path, task), task, [batch_of(labels)])
    assert importance.pooled is None
    assert [tuple(one.shape) for one in values(importance)] == [(2, 4), (2, 64), (32,)]
    assert all(bool((one > 0).all()) and len(one.flatten().unique()) > one.numel() // 2 for one in values(importance))


def test_a_part_that_nothing_reads_does_not_matter(tmp_path: Path) -> None:
    model, batch = model_of(tmp_path), batch_of([0, 2, 1])
    layer = model.get_submodule("distilbert.transformer.layer.0")
    with torch.no_grad():
        layer.get_parameter("ffn.lin2.weight")[:, 5] = 0
        layer.get_parameter("attention.out_lin.weight")[:, 8:16] = 0
    importance = measure_importance(model, "text-classification", [batch])
    assert importance.units[0, 5] == 0 and importance.heads[0, 1] == 0
    assert (importance.units[0] == 0).sum() == 1 and (importance.heads == 0).sum() == 1
