"""What a student begins with."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the convert extra")
pytest.importorskip("transformers", reason="needs the convert extra")
pytest.importorskip("optimum", reason="needs the convert extra")

from edgebert.compress.distillation.student import (  # noqa: E402
    StudentShape,
    alternate_layers,
    new_student,
    student_sizes,
)
from edgebert.compress.distillation.teacher import Teacher, load_teacher  # noqa: E402
from edgebert.errors import OptionError  # noqa: E402
from tests.compress.distillation.checkpoints import HEADS, save_bert, save_distilbert  # noqa: E402

LAYER = "distilbert.transformer.layer"


def student_of(teacher: Teacher, **shape: object) -> torch.nn.Module:
    sizes = student_sizes(StudentShape(**shape), teacher.distilbert.config)  # type: ignore[arg-type]
    return new_student(teacher.distilbert, sizes, 7)


def logits(model: torch.nn.Module, **inputs: torch.Tensor) -> list[torch.Tensor]:
    ids = torch.arange(5, 25).reshape(2, 10)
    with torch.inference_mode():
        output = model.eval()(input_ids=ids, attention_mask=torch.ones_like(ids), **inputs)
    return [value for name, value in output.items() if "logits" in name]


@pytest.mark.parametrize(
    ("count", "of", "layers"),
    [(3, 6, (0, 2, 4)), (6, 12, (0, 2, 4, 6, 8, 10)), (2, 6, (0, 3)), (1, 4, (0,)), (4, 4, (0, 1, 2, 3))],
)
def test_layers_are_evenly_spaced(count: int, of: int, layers: tuple[int, ...]) -> None:
    assert alternate_layers(count, of) == layers


@pytest.mark.parametrize("task", HEADS)
def test_a_student_has_its_teachers_own_weights(task: str, tmp_path: Path) -> None:
    teacher = load_teacher(str(save_distilbert(tmp_path / "teacher", task)))
    state = student_of(teacher).state_dict()
    theirs = teacher.model.state_dict()
    for name, tensor in state.items():
        source = name
        if name.startswith(LAYER):
            layer = int(name.removeprefix(f"{LAYER}.").partition(".")[0])
            source = name.replace(f"{LAYER}.{layer}.", f"{LAYER}.{2 * layer}.")
        assert torch.equal(tensor, theirs[source]), name
    assert sum(name.startswith(LAYER) for name in state) == sum(name.startswith(LAYER) for name in theirs) // 2


@pytest.mark.parametrize("task", HEADS)
def test_with_all_layers_a_student_answers_as_its_distilbert(task: str, tmp_path: Path) -> None:
    teacher = load_teacher(str(save_distilbert(tmp_path / "teacher", task)))
    for one, other in zip(logits(student_of(teacher, layers=4)), logits(teacher.model), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("task", [task for task in HEADS if task != "text-classification"])
def test_with_all_layers_a_student_answers_as_its_bert(task: str, tmp_path: Path) -> None:
    teacher = load_teacher(str(save_bert(tmp_path / "teacher", task)))
    for one, other in zip(logits(student_of(teacher, layers=4)), logits(teacher.model), strict=True):
        assert torch.allclose(one, other, atol=1e-4)


def test_a_student_of_a_bert_classifier_has_its_layers_and_classifier(tmp_path: Path) -> None:
    teacher = load_teacher(str(save_bert(tmp_path / "teacher")))
    state, theirs = student_of(teacher).state_dict(), teacher.model.state_dict()
    assert torch.equal(state["classifier.weight"], theirs["classifier.weight"])
    assert torch.equal(state["pre_classifier.weight"], theirs["bert.pooler.dense.weight"])
    assert torch.equal(
        state[f"{LAYER}.1.attention.q_lin.weight"], theirs["bert.encoder.layer.2.attention.self.query.weight"]
    )


def test_layers_that_are_named_are_taken(tmp_path: Path) -> None:
    teacher = load_teacher(str(save_distilbert(tmp_path / "teacher")))
    state = student_of(teacher, take_layers=(1, 3)).state_dict()
    theirs = teacher.model.state_dict()
    for own, source in ((0, 1), (1, 3)):
        name = "ffn.lin1.weight"
        assert torch.equal(state[f"{LAYER}.{own}.{name}"], theirs[f"{LAYER}.{source}.{name}"])


def test_the_strongest_units_of_a_feed_forward_are_kept(tmp_path: Path) -> None:
    folder = save_distilbert(tmp_path / "teacher")
    teacher = load_teacher(str(folder))
    # Units that nothing reads may go without any difference.
    with torch.no_grad():
        for layer in range(4):
            teacher.distilbert.tensors[f"{LAYER}.{layer}.ffn.lin2.weight"][:, 1::2] = 0
    narrow = student_of(teacher, layers=4, hidden_dim=32)
    assert narrow.config.hidden_dim == 32
    for one, other in zip(logits(narrow), logits(teacher.model), strict=True):
        assert torch.allclose(one, other, atol=1e-4)


def test_other_heads_begin_random_and_the_rest_does_not(tmp_path: Path) -> None:
    teacher = load_teacher(str(save_distilbert(tmp_path / "teacher")))
    state, theirs = student_of(teacher, layers=4, heads=2).state_dict(), teacher.model.state_dict()
    same = {name for name, tensor in state.items() if torch.equal(tensor, theirs[name])}
    assert {name for name in state if name not in same} == {name for name in state if ".attention." in name}


def test_another_width_keeps_what_words_are_near_each_other(tmp_path: Path) -> None:
    teacher = load_teacher(str(save_distilbert(tmp_path / "teacher")))
    table = teacher.distilbert.tensors["distilbert.embeddings.word_embeddings.weight"]
    # A table of rank 8 (and its mean): its first eight axes hold all of it.
    table.copy_(torch.randn(len(table), 8) @ torch.randn(8, 32))
    narrow = student_of(teacher, dim=8, heads=2).state_dict()["distilbert.embeddings.word_embeddings.weight"]
    wide = table - table.mean(dim=0)
    one, other = torch.cdist(wide, wide), torch.cdist(narrow, narrow)
    scale = (table.std() / narrow.std()).item()
    assert narrow.std().item() == pytest.approx(table.std().item(), rel=1e-4)
    assert torch.allclose(one / one.max(), other / other.max(), atol=1e-3), scale


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ({"heads": 3}, "3 heads cannot share a width of 32"),
        ({"layers": 5}, "5 layers, the teacher has 4"),
        ({"take_layers": (0, 4)}, "take_layers=0,4 is not allowed"),
        ({"take_layers": (2, 1)}, "take_layers=2,1 is not allowed"),
        ({"take_layers": (1, 1)}, "take_layers=1,1 is not allowed"),
        ({"take_layers": (0, 1), "layers": 3}, "2 layers are to be taken, the student has 3"),
        ({"take_layers": (0, 1), "dim": 16}, "cannot be taken into a student of width 16"),
    ],
)
def test_impossible_sizes_are_refused(shape: dict[str, object], reason: str, tmp_path: Path) -> None:
    teacher = load_teacher(str(save_distilbert(tmp_path / "teacher")))
    with pytest.raises(OptionError, match=reason) as caught:
        student_of(teacher, **shape)
    assert caught.value.hint
