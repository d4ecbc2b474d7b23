"""A whole pruning: the result is an ordinary checkpoint, and a recovery makes it better."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the compress extra")
transformers = pytest.importorskip("transformers", reason="needs the compress extra")
for name in ("accelerate", "optimum"):
    pytest.importorskip(name, reason="needs the compress extra")

from safetensors.torch import load_file  # noqa: E402

from edgebert.compress.distillation.drop import drop_layers  # noqa: E402
from edgebert.compress.distillation.recipe import Recipe  # noqa: E402
from edgebert.compress.distillation.recovery import Recovery  # noqa: E402
from edgebert.compress.pruning.pipeline import prune  # noqa: E402
from edgebert.errors import (  # noqa: E402
    CheckpointError,
    DataError,
    EdgebertError,
    OptionError,
    OutputError,
    TrainingError,
)
from tests.compress.distillation.checkpoints import HEADS, save_bert, save_distilbert, write_data  # noqa: E402
from tests.convert import models  # noqa: E402
from tests.convert.checkpoints import edit_json  # noqa: E402

SHORT = Recipe(max_steps=4, batch_size=4, learning_rate=1e-3)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


class Heard:
    """Listens, and ends the training by an exception after a step."""

    def __init__(self, last: int = 99) -> None:
        self._last = last
        self.stages: list[str] = []

    def stage(self, text: str) -> None:
        self.stages.append(text)

    def step(self, done: int, total: int, losses: object) -> None:
        if done >= self._last:
            raise Stopped


class Stopped(Exception):
    pass


@pytest.mark.parametrize("task", HEADS)
def test_the_result_is_an_ordinary_checkpoint(task: str, tmp_path: Path) -> None:
    whole, data = save_distilbert(tmp_path / "whole", task, n_layers=2), write_data(tmp_path, task)
    out = tmp_path / "small"
    facts = prune(
        str(whole), out, [data], heads=2, hidden_dim=24, evaluation=data, command=["edgebert", "prune", "whole"]
    )
    model = getattr(transformers, f"DistilBert{HEADS[task]}").from_pretrained(out)
    config = model.config
    assert (config.n_layers, config.n_heads, config.dim, config.hidden_dim) == (2, 2, 16, 24)
    assert facts.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert facts.sizes == {"heads": [4, 2], "dim": [32, 16], "hidden_dim": [64, 24]}
    assert json.loads((out / "prune.json").read_text()) == json.loads(json.dumps(facts.to_dict()))
    assert facts.recovery is None and facts.evaluation is not None and facts.data["measured"] == 48
    for part, scores in facts.scores.items():
        if part in ("heads", "units"):
            for kept, some in zip(facts.kept[part], scores, strict=True):
                assert min(some[unit] for unit in kept) >= sorted(some)[-len(kept)]
    card = (out / "README.md").read_text()
    assert "heads 4 -> 2, width 32 -> 16, feed-forward 64 -> 24" in card and "edgebert prune whole" in card
    assert "Nothing was trained" in card and str(tmp_path) not in card
    assert names(tmp_path) == {"whole", "small", data.name}
    assert transformers.AutoTokenizer.from_pretrained(out)("good film")["input_ids"][0] == 2


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier that is right in more than nine texts of ten, and its texts."""
    folder = tmp_path_factory.mktemp("good")
    models.save(models.trained_model(), folder / "whole")
    models.write_eval(folder / "train.tsv", models.opinions(200, seed=1))
    models.write_texts(folder / "train.txt", models.opinions(200, seed=1))
    models.write_eval(folder / "dev.tsv", models.opinions(300, seed=2))
    return folder


@pytest.mark.parametrize("data", ["train.tsv", "train.txt"])
def test_what_matters_is_kept_with_labels_or_without(data: str, good: Path, tmp_path: Path) -> None:
    dev = good / "dev.tsv"
    facts = prune(str(good / "whole"), tmp_path / "small", [good / data], hidden_dim=8, evaluation=dev)
    assert facts.data["labelled"] == (200 if data == "train.tsv" else 0)
    assert facts.evaluation is not None
    whole, small = (facts.evaluation[side]["accuracy"] for side in ("teacher", "student"))
    assert whole > 0.9 and small > whole - 0.05


def test_examples_are_chosen_by_chance_and_seed(good: Path, tmp_path: Path) -> None:
    made = {}
    for name, options in {"a": {}, "b": {}, "c": {"seed": 1}, "d": {"limit": 10}}.items():
        options = {"limit": 20, **options}
        facts = prune(str(good / "whole"), tmp_path / name, [good / "train.tsv"], heads=2, **options)
        assert facts.data["measured"] == options["limit"] and facts.data["examples"] == 200
        made[name] = facts.scores
    assert made["a"] == made["b"] and made["a"] != made["c"] and made["a"] != made["d"]
    one, other = weights(tmp_path / "a"), weights(tmp_path / "b")
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def recovered(good: Path, out: Path, **options: Any) -> Any:
    recipe = options.pop("recipe", SHORT)
    recovery = Recovery([good / "train.tsv"], recipe, resume=options.pop("resume", False), save_every=2)
    options = {"heads": 1, "hidden_dim": 8, **options}
    return prune(str(good / "whole"), out, [good / "train.tsv"], recovery=recovery, **options)


def test_a_recovery_makes_it_better(good: Path, tmp_path: Path) -> None:
    recipe = Recipe(epochs=4, batch_size=32, learning_rate=5e-3)
    out, dev = tmp_path / "small", good / "dev.tsv"
    before = weights(good / "whole")
    facts = recovered(good, out, recipe=recipe, evaluation=dev, command=["edgebert", "prune", "whole"])
    assert facts.recovery["steps"] == 28 and facts.recovery["facts"] == "distill.json"
    assert facts.recovery["evaluation"]["student"]["accuracy"] > facts.evaluation["student"]["accuracy"] + 0.05
    assert json.loads((out / "prune.json").read_text()) == json.loads(json.dumps(facts.to_dict()))
    trained = json.loads((out / "distill.json").read_text())
    assert trained["student"]["dim"] == 8 and trained["steps"] == 28
    card = (out / "README.md").read_text()
    assert card.count("# small\n") == 1 and "## Scores" in card and "## Before the training\n\n`whole`, pruned" in card
    assert names(tmp_path) == {"small"}
    assert all(torch.equal(tensor, before[name]) for name, tensor in weights(good / "whole").items())


def test_a_recovery_goes_on_where_it_was_stopped(good: Path, tmp_path: Path) -> None:
    whole = recovered(good, tmp_path / "whole").to_dict()
    with pytest.raises(Stopped):
        recovered(good, tmp_path / "small", progress=Heard(3))
    work = tmp_path / "small.partial"
    assert (work / "pruned/prune.json").is_file() and not (tmp_path / "small").exists()
    for options, reason in (
        ({}, "holds a training that was not finished"),
        ({"resume": True, "heads": 2}, "other arguments: heads was 1, is 2"),
        ({"resume": True, "recipe": Recipe(max_steps=5, batch_size=4)}, "max_steps was 4, is 5"),
    ):
        with pytest.raises(OutputError, match=reason):
            recovered(good, tmp_path / "small", **options)
    heard = Heard()
    facts = recovered(good, tmp_path / "small", resume=True, progress=heard).to_dict()
    assert "continuing checkpoint-2 of 4 steps" in heard.stages
    assert not [stage for stage in heard.stages if stage.startswith("measuring importance")]
    assert names(tmp_path) == {"small", "whole"}
    assert facts["scores"] == whole["scores"] and facts["recovery"]["steps"] == 4
    one, other = weights(tmp_path / "small"), weights(tmp_path / "whole")
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_dropped_layers_recover(tmp_path: Path) -> None:
    whole, data = save_distilbert(tmp_path / "whole"), write_data(tmp_path, "text-classification")
    facts = drop_layers(
        str(whole), tmp_path / "half", (0, 2), evaluation=data, recovery=Recovery([data], SHORT), command=["edgebert"]
    )
    assert facts.recovery is not None and facts.recovery["steps"] == 4 and facts.evaluation is not None
    assert names(tmp_path) == {"whole", "half", data.name}
    assert {"drop.json", "distill.json", "losses.svg"} <= names(tmp_path / "half")
    model = transformers.DistilBertForSequenceClassification.from_pretrained(tmp_path / "half")
    assert model.config.n_layers == 2
    name = "distilbert.transformer.layer.1.ffn.lin1.weight"
    start = weights(whole)["distilbert.transformer.layer.2.ffn.lin1.weight"]
    moved = (model.state_dict()[name] - start).abs().max()
    assert 0 < moved < 0.01  # from that layer, by four small steps
    assert "## Before the training\n\n`whole` with 2 of its 4 layers" in (tmp_path / "half/README.md").read_text()


def refusal(kind: type[EdgebertError], folder: Path, checkpoint: Path, data: list[Path], **options: Any) -> str:
    before = names(folder)
    with pytest.raises(kind) as caught:
        prune(str(checkpoint), folder / "small", data, **{"hidden_dim": 8, **options})
    assert type(caught.value) is kind and caught.value.hint
    assert names(folder) == before
    return caught.value.message


def test_bad_input_is_told_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, data = save_distilbert(tmp_path / "whole", n_layers=1), [write_data(tmp_path, "text-classification")]
    (tmp_path / "empty.tsv").write_text("")
    (tmp_path / "head.tsv").write_text("text\tlabel\n")
    (tmp_path / "other.tsv").write_text("text\tlabel\ngood film\tpurple\n")
    bert, roberta = save_bert(tmp_path / "bert"), save_distilbert(tmp_path / "roberta")
    edit_json(roberta / "config.json", model_type="roberta")
    bare = models.save(models.random_head("DistilBertModel"), tmp_path / "bare")
    for size, there in (("heads", 4), ("hidden_dim", 64)):
        for count in (0, -1, there, there + 1):
            said = refusal(OptionError, tmp_path, whole, data, **{"hidden_dim": None, size: count})
            assert said == f"{size}={count} is not allowed: the checkpoint has {there}."
    assert "Nothing is to be pruned" in refusal(OptionError, tmp_path, whole, data, hidden_dim=None)
    assert "limit=0 is not allowed" in refusal(OptionError, tmp_path, whole, data, limit=0)
    assert "seed=-1 is not allowed" in refusal(OptionError, tmp_path, whole, data, seed=-1)
    assert "no file to measure" in refusal(DataError, tmp_path, whole, [])
    assert "is given twice" in refusal(DataError, tmp_path, whole, data * 2)
    assert "cannot be read" in refusal(DataError, tmp_path, whole, [tmp_path / "none.tsv"])
    assert "the file is empty" in refusal(DataError, tmp_path, whole, [tmp_path / "empty.tsv"])
    assert "no text" in refusal(DataError, tmp_path, whole, [tmp_path / "head.tsv"])
    assert "unknown label 'purple'" in refusal(DataError, tmp_path, whole, [tmp_path / "other.tsv"])
    assert "unknown label 'purple'" in refusal(DataError, tmp_path, whole, data, evaluation=tmp_path / "other.tsv")
    assert "only a DistilBERT can be pruned" in refusal(CheckpointError, tmp_path, bert, data)
    assert "neither a BERT nor a DistilBERT" in refusal(CheckpointError, tmp_path, roberta, data)
    assert "feature-extraction" in refusal(CheckpointError, tmp_path, bare, data)
    bad = {
        "cannot be read": (DataError, Recovery([tmp_path / "none.tsv"])),
        "unknown label 'purple'": (DataError, Recovery([tmp_path / "other.tsv"])),
        "learning_rate=2 is not allowed": (OptionError, Recovery(data, Recipe(learning_rate=2))),
        "save_every=0 is not allowed": (OptionError, Recovery(data, save_every=0)),
    }
    for reason, (kind, recovery) in bad.items():
        assert reason in refusal(kind, tmp_path, whole, data, recovery=recovery)
    with monkeypatch.context() as patch:
        patch.setenv("WORLD_SIZE", "2")
        assert "runs in one process" in refusal(TrainingError, tmp_path, whole, data, recovery=Recovery(data))
    (tmp_path / "small").mkdir()
    assert "exists already" in refusal(OutputError, tmp_path, whole, data)
    assert "exists already" in refusal(OutputError, tmp_path, whole, data, recovery=Recovery(data))
