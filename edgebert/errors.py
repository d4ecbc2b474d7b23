"""Every error that EdgeBERT raises on purpose.

The tree::

    EdgebertError
    ├── InputError            a text or an option given to a model
    │   └── OptionError       an option that the task does not have, or not with this value
    ├── DataError             an evaluation or calibration file
    ├── CheckpointError       the checkpoint to convert
    ├── TargetError           a target description
    ├── BundleError           a bundle on disk
    │   ├── ManifestError     manifest.json or a recipe.json breaks the format
    │   └── IntegrityError    a file is missing, altered or not a plain file
    ├── OutputError           a result cannot be written (exists, disk full, no permission)
    ├── TrainingError         a training cannot run, or has diverged
    ├── ConversionError       an artifact cannot be made
    │   └── GateError         an artifact was made and is not good enough
    └── BackendError          a backend cannot run an artifact
        ├── PlanError         an artifact must be built on this device first, or cannot be
        ├── SelfTestError     an artifact runs and gives wrong answers
        └── SelectionError    no artifact of the bundle works on this device

    UserWarning
    ├── BackendFallbackWarning    a better artifact was passed over
    ├── RankingWarning            the ranking that was measured on this device cannot be used
    └── SlowBackendWarning        the artifact that runs is slower than it could be

Each class has a stable ``code`` (for logs and programs) and an ``exit_code`` (for the command line). Each error says
what is wrong and why in its message, and what to do about it in its ``hint``.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import ClassVar


class EdgebertError(Exception):
    """Base of all EdgeBERT errors.

    Args:
        message: what is wrong, naming the file, key or value, and why.
        hint: what the user can do about it; empty when the message says it all.
    """

    code: ClassVar[str] = "edgebert"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


class InputError(EdgebertError):
    """A text or an option given to a model is not usable.

    ``place`` is where the text stands among several, such as ``inputs[3]``, and then begins the message; else empty.
    """

    code = "input"
    place = ""

    def at(self, place: str) -> InputError:
        """The same error, of the same class, about an input at this place instead of the one that it had."""
        error = copy.copy(self)
        error.place = place
        error.message = f"{place}: {self.message.removeprefix(f'{self.place}: ')}"
        error.args = (error.message,)
        return error


class OptionError(InputError):
    """An option given to a model is unknown to its task, or its value is not allowed.

    Args:
        message: what is wrong.
        option: the option's name in Python.
        reason: what is wrong without that name, such as ``0 is not allowed.``; empty where the message tells it all.
        allowed: the names of the options that the task has, where ``option`` is none of them; else empty.
        hint: what the user can do about it.
    """

    code = "input.option"

    # Defaults, since pickle makes an error of its message alone and then sets the rest.
    def __init__(
        self, message: str, *, option: str = "", reason: str = "", allowed: Sequence[str] = (), hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.option = option
        self.reason = reason
        self.allowed = tuple(allowed)


class DataError(EdgebertError):
    """An evaluation or calibration file is not usable."""

    code = "data"


class CheckpointError(EdgebertError):
    """The checkpoint is not a DistilBERT that can be converted."""

    code = "checkpoint"


class TargetError(EdgebertError):
    """A target is unknown or its description is wrong."""

    code = "target"


class BundleError(EdgebertError):
    """A bundle on disk cannot be used."""

    code = "bundle"


class ManifestError(BundleError):
    """``manifest.json``, or a TensorRT artifact's ``recipe.json``, breaks the bundle format."""

    code = "bundle.manifest"


class IntegrityError(BundleError):
    """A file of the bundle is missing, altered, or not a plain file."""

    code = "bundle.integrity"


class OutputError(EdgebertError):
    """A result cannot be written: it exists, the disk is full, or permission is missing."""

    code = "output"


class TrainingError(EdgebertError):
    """A training cannot run here, or has diverged."""

    code = "training"


class ConversionError(EdgebertError):
    """An artifact cannot be made from the checkpoint.

    ``report`` is the :class:`edgebert.convert.report.Report` of the whole conversion, where there is one.
    """

    code = "conversion"

    def __init__(self, message: str, *, hint: str = "", report: object | None = None) -> None:
        super().__init__(message, hint=hint)
        self.report = report


class GateError(ConversionError):
    """An artifact was made, measured, and is not good enough to ship."""

    code = "conversion.gate"
    exit_code = 3


class BackendError(EdgebertError):
    """A backend is missing or cannot run an artifact."""

    code = "backend"


class PlanError(BackendError):
    """No plan of a TensorRT artifact is built on this device for what it has now, or none can be built."""

    code = "backend.plan"


class SelfTestError(BackendError):
    """An artifact runs on this device and gives wrong answers."""

    code = "backend.self-test"


class SelectionError(BackendError):
    """No artifact of the bundle works on this device."""

    code = "backend.selection"


class BackendFallbackWarning(UserWarning):
    """A better artifact was passed over; the message says which and why."""


class RankingWarning(UserWarning):
    """The ranking that ``edgebert tune`` keeps of a bundle cannot be used; the message says why."""


class SlowBackendWarning(UserWarning):
    """The artifact that runs gives right answers, slower than its backend does elsewhere; the message says why."""
