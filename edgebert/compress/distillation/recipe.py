"""How a student is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from edgebert.compress.distillation.losses import Weights
from edgebert.errors import OptionError

PRECISIONS = ("fp32", "bf16", "fp16")
REPORTERS = ("none", "tensorboard", "wandb")


@dataclass(frozen=True, slots=True)
class Recipe:
    """The hyper-parameters of a training run; AdamW, the learning rate rises and falls linearly.

    Attributes:
        epochs: passes over the data.
        max_steps: end after so many steps in place of ``epochs``.
        batch_size: examples of a step, on all devices together.
        learning_rate: the highest.
        warmup: the share of the steps in which it rises.
        weight_decay: of matrices; biases and norms do not decay.
        weights: of the three losses, and the temperature.
        max_length: longest input in tokens; the teacher's limit by default, for question answering 384 at most.
        seed: of random weights, order, masks and dropout.
        precision: ``fp32``, ``bf16`` or ``fp16`` arithmetic; weights and optimizer stay float32.
    """

    epochs: int = 3
    max_steps: int | None = None
    batch_size: int = 32
    learning_rate: float = 5e-5
    warmup: float = 0.05
    weight_decay: float = 0.01
    weights: Weights = field(default_factory=Weights)
    max_length: int | None = None
    seed: int = 0
    precision: str = "fp32"

    def to_dict(self) -> dict[str, Any]:
        """The values by name, those of the losses as ``alpha_kl``, ``alpha_task``, ``alpha_cos``, ``temperature``."""
        values = asdict(self)
        weights: Mapping[str, float] = values.pop("weights")
        renamed = {"kl": "alpha_kl", "task": "alpha_task", "cos": "alpha_cos"}
        return {**values, **{renamed.get(name, name): value for name, value in weights.items()}}

    def check(self, *, longest: int) -> None:
        """Raises ``OptionError`` for a value that no training can have.

        Args:
            longest: the longest input of teacher and student in tokens.
        """
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise _refused(name, getattr(self, name), "Use a whole number of at least 1.")
        if self.max_steps is not None and self.max_steps < 1:
            raise _refused("max_steps", self.max_steps, "Use a whole number of at least 1.")
        if not 0 <= self.seed < 2**32:
            raise _refused("seed", self.seed, "Use a whole number from 0 to 4294967295.")
        if not 0 < self.learning_rate < 1:
            raise _refused("learning_rate", self.learning_rate, "Use a number between 0 and 1, such as 5e-5.")
        if not 0 <= self.warmup <= 1:
            raise _refused("warmup", self.warmup, "Use a share from 0 to 1.")
        if not 0 <= self.weight_decay < 1:
            raise _refused("weight_decay", self.weight_decay, "Use a number from 0 to 1.")
        if self.precision not in PRECISIONS:
            raise _refused("precision", self.precision, f"Use one of {', '.join(PRECISIONS)}.")
        if not self.weights.temperature > 0:
            raise _refused("temperature", self.weights.temperature, "Use a number above 0.")
        alphas = {"alpha_kl": self.weights.kl, "alpha_task": self.weights.task, "alpha_cos": self.weights.cos}
        for name, value in alphas.items():
            if not 0 <= value < float("inf"):
                raise _refused(name, value, "Use a number of at least 0.")
        if not any(alphas.values()):
            raise _refused("alpha_kl", 0, "All three losses are switched off: give one of them a weight.")
        if self.max_length is not None and not 3 <= self.max_length <= longest:
            raise _refused("max_length", self.max_length, f"Use 3 to {longest} tokens.")


def _refused(option: str, value: object, hint: str) -> OptionError:
    return OptionError(f"{option}={value} is not allowed.", option=option, hint=hint)
