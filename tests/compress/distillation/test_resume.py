"""A training that is killed and resumed ends as one that was not."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="needs the compress extra")
for name in ("transformers", "accelerate", "optimum", "rich"):
    pytest.importorskip(name, reason="needs the compress extra")

from safetensors.torch import load_file  # noqa: E402

from edgebert.compress.distillation import pipeline, trainer  # noqa: E402
from edgebert.compress.distillation.losses import Losses, Weights, triple_loss  # noqa: E402
from edgebert.compress.distillation.pipeline import Inputs, distill  # noqa: E402
from edgebert.compress.distillation.recipe import Recipe  # noqa: E402
from edgebert.compress.distillation.student import StudentShape  # noqa: E402
from edgebert.errors import EdgebertError, OutputError  # noqa: E402
from tests.compress.distillation.checkpoints import save_distilbert, write_data  # noqa: E402

STEPS = 60
SEED = int(os.environ.get("EDGEBERT_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)


class Stopped(Exception):
    pass


class StopAt:
    """Ends the training by an exception after a step."""

    def __init__(self, last: int) -> None:
        self._last = last
        self.stages: list[str] = []

    def stage(self, text: str) -> None:
        self.stages.append(text)

    def step(self, done: int, total: int, losses: object) -> None:
        if done >= self._last:
            raise Stopped


def command(folder: Path, out: str, *more: str) -> list[str]:
    return [
        sys.executable, "-m", "edgebert", "distill", str(folder / "teacher"), "-o", str(folder / out), "--data",
        str(folder / "0.txt"), "--layers", "2", "--max-steps", str(STEPS), "--batch-size", "4", "--save-every", "4",
        "--learning-rate", "1e-3", *more,
    ]  # fmt: skip


ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def test_kill_9_three_times(tmp_path: Path) -> None:
    """Of a masked language model: what is masked, and what dropout drops, is as it would have been."""
    print(f"EDGEBERT_TEST_SEED={SEED}")
    choice = random.Random(SEED)
    save_distilbert(tmp_path / "teacher", "fill-mask", dropout=0.1)
    write_data(tmp_path, "fill-mask", count=90)
    subprocess.run(command(tmp_path, "whole"), env=ENVIRONMENT, check=True, capture_output=True)
    kills = 0
    for moment in sorted(choice.sample(range(1, STEPS - 2), 3)):
        process = subprocess.Popen(
            command(tmp_path, "killed", "--resume"), env=ENVIRONMENT, stderr=subprocess.PIPE, text=True, bufsize=1
        )
        assert process.stderr is not None
        for line in process.stderr:
            if " step " in line and int(line.partition(" step ")[2].partition("/")[0]) >= moment:
                break
        time.sleep(choice.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.stderr.close()
        kills += process.wait() == -signal.SIGKILL
    assert kills == 3
    assert not (tmp_path / "killed").exists()
    done = subprocess.run(command(tmp_path, "killed", "--resume"), env=ENVIRONMENT, check=True, capture_output=True)
    assert b"continuing checkpoint-" in done.stderr
    one, other = weights(tmp_path / "whole"), weights(tmp_path / "killed")
    assert one.keys() == other.keys()
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())
    facts = json.loads((tmp_path / "killed/distill.json").read_text())
    assert facts["runs"] == kills + 1 and facts["curve"][-1]["step"] == STEPS
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.txt", "killed", "teacher", "whole"]


def start(folder: Path, *, last: int, resume: bool = False, recipe: Recipe | None = None, **options: object) -> StopAt:
    progress = StopAt(last)
    distill(
        str(folder / "teacher"),
        folder / "student",
        Inputs([folder / "0.tsv"]),
        recipe=recipe or Recipe(max_steps=12, batch_size=4, learning_rate=1e-3),
        save_every=3,
        resume=resume,
        progress=progress,
        **options,  # type: ignore[arg-type]
    )
    return progress


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """A folder with a training that was stopped after seven steps."""
    save_distilbert(tmp_path / "teacher")
    write_data(tmp_path, "text-classification")
    with pytest.raises(Stopped):
        start(tmp_path, last=7)
    return tmp_path


def checkpoints(folder: Path) -> set[str]:
    return {path.name for path in (folder / "student.partial/checkpoints").iterdir()}


def test_a_training_goes_on_from_its_last_checkpoint(stopped: Path) -> None:
    assert checkpoints(stopped) == {"checkpoint-3", "checkpoint-6"}
    heard = start(stopped, last=99, resume=True)
    assert "continuing checkpoint-6 of 12 steps" in heard.stages
    assert (stopped / "student/config.json").is_file() and not (stopped / "student.partial").exists()


def test_a_checkpoint_that_was_cut_off_is_not_taken(stopped: Path) -> None:
    latest = stopped / "student.partial/checkpoints/checkpoint-6"
    (latest / "complete").unlink()
    (latest / "optimizer.pt").write_bytes(b"half")
    heard = start(stopped, last=99, resume=True)
    assert "continuing checkpoint-3 of 12 steps" in heard.stages


def test_a_training_that_was_over_is_written_without_another_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_distilbert(tmp_path / "teacher")
    write_data(tmp_path, "text-classification")

    def full(*arguments: object) -> None:
        raise OutputError("full")

    with monkeypatch.context() as patch, pytest.raises(OutputError, match="full"):
        patch.setattr(pipeline, "write_result", full)
        start(tmp_path, last=99)
    state = load_file(tmp_path / "student.partial/checkpoints/checkpoint-12/model.safetensors")
    heard = start(tmp_path, last=12, resume=True)  # any step would stop it
    assert "continuing checkpoint-12 of 12 steps" in heard.stages
    for name, tensor in weights(tmp_path / "student").items():
        assert torch.equal(tensor, state[f"student.{name}"])
    facts = json.loads((tmp_path / "student/distill.json").read_text())
    assert facts["runs"] == 2 and [entry["step"] for entry in facts["curve"]] == list(range(1, 13))


def refusal(folder: Path, **options: object) -> str:
    before = checkpoints(folder)
    with pytest.raises(OutputError) as caught:
        start(folder, last=99, **options)  # type: ignore[arg-type]
    assert checkpoints(folder) == before and not (folder / "student").exists()
    return str(caught.value)


def test_another_run_is_not_continued(stopped: Path) -> None:
    said = refusal(stopped, resume=True, recipe=Recipe(max_steps=12, batch_size=4, learning_rate=2e-3))
    assert "holds a training with other arguments: learning_rate was 0.001, is 0.002." in said
    assert "Resume with the same ones" in said
    assert "layers was 2, is 1; take_layers was [0, 2], is [0]" in refusal(
        stopped, resume=True, shape=StudentShape(layers=1)
    )
    write_data(stopped, "text-classification", count=20)
    assert "data was [" in refusal(stopped, resume=True)


def test_a_training_is_not_begun_anew_by_accident(stopped: Path) -> None:
    assert "holds a training that was not finished. Continue it with --resume" in refusal(stopped)


def test_a_work_folder_of_somebody_else(stopped: Path) -> None:
    (stopped / "mine").mkdir()
    (stopped / "mine/thesis.txt").touch()
    for resume in (False, True):
        assert "is not the work folder of a distillation" in refusal(stopped, work=stopped / "mine", resume=resume)
    assert (stopped / "mine/thesis.txt").exists()


def test_a_work_folder_in_use(stopped: Path) -> None:
    import fcntl

    lock = os.open(stopped / "student.partial", os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "is in use by another process" in refusal(stopped, resume=True)
    finally:
        os.close(lock)


@pytest.mark.parametrize("left", [(), ("run.json.new",), ("run.json", "data.new/ids.bin")])
def test_killed_before_the_first_step(left: tuple[str, ...], tmp_path: Path) -> None:
    save_distilbert(tmp_path / "teacher")
    write_data(tmp_path, "text-classification")
    with pytest.raises(Stopped):
        start(tmp_path, last=1)
    arguments = (tmp_path / "student.partial/run.json").read_text()
    shutil.rmtree(tmp_path / "student.partial")
    (tmp_path / "student.partial/data.new").mkdir(parents=True)
    for name in left:
        (tmp_path / "student.partial" / name).write_text(arguments if name == "run.json" else "{")
    if "data.new/ids.bin" not in left:
        (tmp_path / "student.partial/data.new").rmdir()
    start(tmp_path, last=99, resume=True)
    assert (tmp_path / "student/distill.json").is_file() and not (tmp_path / "student.partial").exists()


def test_a_full_disk(tmp_path: Path) -> None:
    """A limit on the size of files stands for it: the optimizer's state is larger than it."""
    save_distilbert(tmp_path / "teacher", dim=64, hidden_dim=512)
    write_data(tmp_path, "fill-mask", count=20)
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (200_000,) * 2)"
    script = f"{limit}; from edgebert.cli import main; main()"
    arguments = command(tmp_path, "student")
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments[3:]], env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    messages = [line for line in done.stderr.splitlines() if not line.startswith("[")]
    assert done.returncode == 1, done.stderr
    assert messages[0].startswith("Error: Cannot write ") and messages[1].startswith("Hint: ")
    assert not (tmp_path / "student").exists()


class Diverging:
    """The triple loss, which goes wrong from a call on: ``value`` is NaN, or its gradient is."""

    def __init__(self, wrong: str, call: int) -> None:
        self._wrong = wrong
        self._left = call

    def __call__(self, student: torch.Tensor, *arguments: object) -> Losses:
        losses = triple_loss(student, *arguments)
        self._left -= 1
        if self._left > 0:
            return losses
        total = losses.total * float("nan") if self._wrong == "value" else losses.total + (0 * student).sqrt().sum()
        return replace(losses, total=total)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [("value", "The loss is not a finite number at step 8"), ("gradient", "The weights are not finite numbers after")],
)
def test_the_last_good_checkpoint_is_kept(
    wrong: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_distilbert(tmp_path / "teacher")
    write_data(tmp_path, "text-classification")
    with monkeypatch.context() as patch, pytest.raises(EdgebertError, match=reason) as caught:
        patch.setattr(trainer, "triple_loss", Diverging(wrong, 8 if wrong == "value" else 9))
        start(tmp_path, last=99)
    assert caught.value.hint.endswith(
        f"The last good checkpoint is {tmp_path}/student.partial/checkpoints/checkpoint-6."
    )
    heard = start(tmp_path, last=99, resume=True)
    assert "continuing checkpoint-6 of 12 steps" in heard.stages
    assert all(torch.isfinite(tensor).all() for tensor in weights(tmp_path / "student").values())


def test_a_disk_that_is_too_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_distilbert(tmp_path / "teacher")
    write_data(tmp_path, "text-classification")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=500_000))
    with pytest.raises(OutputError, match="No space left on device") as caught:
        start(tmp_path, last=99)
    assert "Free at least 1.0 MB there" in caught.value.hint
    assert not (tmp_path / "student.partial").exists()


def test_two_processes_train_as_one_does(tmp_path: Path) -> None:
    """Without dropout, of which each process has its own, and without the cosine, a mean over each one's tokens."""
    save_distilbert(tmp_path / "teacher", dropout=0.0, attention_dropout=0.0, seq_classif_dropout=0.0)
    write_data(tmp_path, "text-classification", count=40)
    recipe = Recipe(max_steps=20, batch_size=4, learning_rate=1e-3, weights=Weights(cos=0.0))
    distill(str(tmp_path / "teacher"), tmp_path / "one", Inputs([tmp_path / "0.tsv"]), recipe=recipe)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    arguments = [
        "-m", "edgebert", "distill", tmp_path / "teacher", "-o", tmp_path / "two", "--data", tmp_path / "0.tsv",
        "--max-steps", "20", "--batch-size", "4", "--learning-rate", "1e-3", "--alpha-cos", "0",
    ]  # fmt: skip
    done = subprocess.run([*launcher, *arguments], env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Wrote ") == 1
    facts = [json.loads((tmp_path / name / "distill.json").read_text()) for name in ("one", "two")]
    assert [fact["processes"] for fact in facts] == [1, 2]
    one, two = ([entry["loss"] for entry in fact["curve"]] for fact in facts)
    assert one == pytest.approx(two, rel=1e-3) and one[-1] < one[0]
    mine, theirs = weights(tmp_path / "one"), weights(tmp_path / "two")
    # The bias of a key moves every score of a query alike, which a softmax does not see: AdamW makes steps of noise.
    far = [name for name, tensor in mine.items() if not torch.allclose(tensor, theirs[name], atol=1e-3)]
    assert [name for name in far if not name.endswith("k_lin.bias")] == []
