"""Targets: what to build for a family of devices, what to require of it, and how to run it there.

A target is a folder with a ``target.toml``, its whole description, and no Python. The folders under ``targets/`` are
installed with the package; a user's own folder works the same.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgebert.bundle.schema import ARCHITECTURES
from edgebert.convert.target_fields import TargetField, did_you_mean
from edgebert.devices import KNOWN_ISA, KNOWN_VENDORS
from edgebert.errors import TargetError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TARGET_FILE = "target.toml"

PRECISIONS: Mapping[str, tuple[str, ...]] = {
    "onnx": ("fp32", "int8"),
    "openvino": ("fp16", "int8"),
    "tflite": ("fp32", "fp16", "int8"),
    "tensorrt": ("fp32", "fp16", "int8"),
}
"""Backend -> the precisions that the converter builds for it."""

STATIC_SHAPES = ("tflite", "tensorrt")
"""Backends whose artifacts have fixed input lengths, and so need buckets."""

ACCELERATORS = ("cuda",)

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_VENDOR_CODE = re.compile(r"0x[0-9a-f]{2}")
_MAX_FILE_BYTES = 64 * 1024
_MAX_BUCKETS = 64
_MAX_TOKENS = 65_536
_MAX_THREADS = 1024


@dataclass(frozen=True)
class DeviceSpec:
    """What a device of the target has.

    ``architectures`` are the ones it may have (at least one), ``isa`` the instruction-set features that it must have
    (``/proc/cpuinfo`` names), ``vendor`` the ``/proc/cpuinfo`` vendor id or ``None`` for any, ``memory_mb`` the least
    total memory as the kernel reports it, in 10^6 bytes, ``accelerator`` one of ``ACCELERATORS`` or ``None``.
    """

    architectures: tuple[str, ...]
    isa: tuple[str, ...]
    vendor: str | None
    memory_mb: int
    accelerator: str | None


@dataclass(frozen=True)
class ArtifactSpec:
    """An artifact to build: a backend at a precision."""

    backend: str
    precision: str

    @property
    def id(self) -> str:
        """The artifact's id in a bundle, as in ``onnx-int8``."""
        return f"{self.backend}-{self.precision}"


@dataclass(frozen=True)
class GateLimits:
    """What an artifact must reach against the float32 checkpoint.

    ``min_label_agreement`` is a share in [0, 1]; ``max_metric_drop`` the largest loss of the task metric, in the
    metric's own unit in [0, 1] (0.01 is one point of accuracy); ``max_logit_difference`` the largest
    difference of an output, as a share of the checkpoint's largest |output| where that is above 1, ``None`` for no
    limit.
    """

    min_label_agreement: float
    max_metric_drop: float
    max_logit_difference: float | None


@dataclass(frozen=True)
class Target:
    """A family of devices.

    ``artifacts`` stand in the order in which a device prefers them. ``buckets`` are input lengths in tokens,
    ascending; empty when no artifact needs them. ``threads`` is ``None`` for one per physical core. ``install`` are
    the lines that install the runtime there. ``workspace_mb`` is the memory that a TensorRT kernel may use beside
    weights and activations, in 10^6 bytes, ``None`` when no artifact is for TensorRT. ``gates`` maps each precision of
    ``artifacts`` to its limits.
    """

    name: str
    title: str
    device: DeviceSpec
    artifacts: tuple[ArtifactSpec, ...]
    buckets: tuple[int, ...]
    threads: int | None
    install: tuple[str, ...]
    workspace_mb: int | None
    gates: Mapping[str, GateLimits]


def load_target(name_or_path: str) -> Target:
    """Read one target.

    Args:
        name_or_path: the name of an installed target (``x86-cpu``), a folder (``./my-board/``), or the path of a
            ``.toml`` file. What has no separator and does not end in ``.toml`` is a name.

    Raises:
        TargetError: there is no such target, or its description is wrong; the message names the key and the reason,
            the hint what is allowed.
    """
    separators = [separator for separator in (os.sep, os.altsep) if separator]
    is_path = name_or_path.endswith(".toml") or name_or_path in (".", "..") or name_or_path.startswith("~")
    if is_path or any(separator in name_or_path for separator in separators):
        return _read(_target_file(name_or_path))
    installed = _installed()
    if name_or_path in installed:
        return _read(installed[name_or_path])
    hint = f"The targets are {', '.join(installed)}; your own is given as a path."
    if name_or_path and _is_dir(Path(name_or_path)):
        hint = f"To use the folder of that name, write ./{name_or_path}. {hint}"
    raise TargetError(f"There is no target {name_or_path!a}{did_you_mean(name_or_path, installed)}.", hint=hint)


def list_targets() -> list[Target]:
    """All installed targets, by name.

    Raises:
        TargetError: a description is wrong, or none is installed.
    """
    return [_read(path) for path in _installed().values()]


def _installed() -> dict[str, Path]:
    # An installed package holds the folders as edgebert/targets; a source checkout, run in place or installed
    # editable, has them beside edgebert/.
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "targets", package.parent / "targets"):
        found = {path.parent.name: path for path in sorted(folder.glob(f"*/{TARGET_FILE}"))}
        if found:
            return found
    raise TargetError("This installation has no targets.", hint="Install edgebert again.")


def _is_dir(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # a name too long, or with NUL in it
        return False


def _target_file(text: str) -> Path:
    try:
        path = Path(text).expanduser()
    except RuntimeError as error:  # ~nobody/
        raise TargetError(f"{text!a}: {error}", hint="Give the path of a target folder.") from error
    if _is_dir(path):
        path /= TARGET_FILE
        if not path.exists():
            raise TargetError(f"{path} does not exist: the folder is no target.", hint=f"Put a {TARGET_FILE} there.")
    return path


def _read(path: Path) -> Target:
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise TargetError(f"{path} is not a plain file.", hint=f"Give a folder with a {TARGET_FILE}.")
            data = file.read(_MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise TargetError(f"{str(path)!a} cannot be read: {reason}.", hint="Check the path.") from error
    if len(data) > _MAX_FILE_BYTES:
        raise TargetError(f"{path} is larger than {_MAX_FILE_BYTES} bytes.", hint="That is no target description.")
    return _target(TargetField(_parse(data, path), "", str(path)))


def _open_at_once(path: str, flags: int) -> int:
    # A FIFO without a writer would otherwise block the open for ever.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _parse(data: bytes, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        reason = f"line {line} is not UTF-8"
    except RecursionError:
        reason = "it is nested too deeply"
    except ValueError as error:  # TOMLDecodeError, which names line and column; or a number with too many digits
        reason = str(error)
    raise TargetError(f"{path} is not TOML: {reason}.", hint="Correct the line; the syntax is that of toml.io 1.0.")


def _target(top: TargetField) -> Target:
    keys = top.table(["name", "title", "device", "artifact", "runtime", "gate"], ["shapes", "tensorrt"])
    if not isinstance(keys["name"].value, str) or not _NAME.fullmatch(keys["name"].value):
        raise keys["name"].fault("is not a target's name", "lower-case letters, digits and hyphens, as in 'my-board'")
    artifacts = _artifacts(keys["artifact"])
    runtime = keys["runtime"].table(["install"], ["threads"])
    return Target(
        name=keys["name"].value,
        title=keys["title"].text(),
        device=_device(keys["device"]),
        artifacts=artifacts,
        buckets=_buckets(top, keys.get("shapes"), artifacts),
        threads=runtime["threads"].integer(1, _MAX_THREADS) if "threads" in runtime else None,
        install=_install(runtime["install"]),
        workspace_mb=_workspace(top, keys.get("tensorrt"), artifacts),
        gates=_gates(keys["gate"], artifacts),
    )


def _device(field: TargetField) -> DeviceSpec:
    keys = field.table(["architectures", "memory_mb"], ["isa", "vendor", "accelerator"])
    architectures = keys["architectures"].choices(ARCHITECTURES, "an architecture")
    on = " and ".join(architectures)
    vendor = None
    if "vendor" in keys and not (
        isinstance(keys["vendor"].value, str) and _VENDOR_CODE.fullmatch(keys["vendor"].value)
    ):
        vendor = keys["vendor"].choice(_on_all(KNOWN_VENDORS, architectures), f"a CPU vendor on {on}")
    elif "vendor" in keys:
        vendor = keys["vendor"].value
    isa: tuple[str, ...] = ()
    if "isa" in keys and keys["isa"].value != []:
        # A feature that one of the architectures never has would make the target match nothing there.
        isa = keys["isa"].choices(_on_all(KNOWN_ISA, architectures), f"an ISA feature known on {on}")
    accelerator = keys["accelerator"].choice(ACCELERATORS, "an accelerator") if "accelerator" in keys else None
    return DeviceSpec(architectures, isa, vendor, keys["memory_mb"].integer(1, 100_000_000), accelerator)


def _on_all(known: Mapping[str, frozenset[str]], architectures: tuple[str, ...]) -> list[str]:
    return sorted(frozenset.intersection(*(known[name] for name in architectures)))


def _artifacts(field: TargetField) -> tuple[ArtifactSpec, ...]:
    artifacts: list[ArtifactSpec] = []
    for item in field.items("one or more [[artifact]] tables"):
        keys = item.table(["backend", "precision"])
        backend = keys["backend"].choice(PRECISIONS, "a backend that can be built for")
        precision = keys["precision"].choice(PRECISIONS[backend], f"a precision that is built for {backend}")
        artifact = ArtifactSpec(backend, precision)
        if artifact in artifacts:
            raise item.fault(f"{artifact.id} stands there twice", "each artifact once, the preferred one first")
        artifacts.append(artifact)
    return tuple(artifacts)


def _buckets(top: TargetField, field: TargetField | None, artifacts: tuple[ArtifactSpec, ...]) -> tuple[int, ...]:
    static = [artifact.id for artifact in artifacts if artifact.backend in STATIC_SHAPES]
    allowed = f"1 to {_MAX_BUCKETS} input lengths in tokens, ascending, as in [16, 64, 128]"
    if field is None:
        if static:
            raise top.fault(f"shapes.buckets: the key is missing, and {static[0]} needs it", allowed)
        return ()
    if not static:
        backends = ", ".join(STATIC_SHAPES)
        raise field.fault("no artifact has fixed input lengths, so nothing uses it", f"[shapes] only with {backends}")
    place = field.table(["buckets"])["buckets"]
    items = place.items(allowed)
    if len(items) > _MAX_BUCKETS:
        raise place.fault(f"has {len(items)} items", allowed)
    buckets: list[int] = []
    for item in items:
        length = item.integer(2, _MAX_TOKENS)  # the least input is the two special tokens
        if buckets and length <= buckets[-1]:
            raise item.fault(f"{length} comes after {buckets[-1]}", allowed)
        buckets.append(length)
    return tuple(buckets)


def _workspace(top: TargetField, field: TargetField | None, artifacts: tuple[ArtifactSpec, ...]) -> int | None:
    plans = [artifact.id for artifact in artifacts if artifact.backend == "tensorrt"]
    if field is None:
        if plans:
            allowed = "memory in 10^6 bytes, as in 1000"
            raise top.fault(f"tensorrt.workspace_mb: the key is missing, and {plans[0]} needs it", allowed)
        return None
    if not plans:
        raise field.fault("no artifact is for TensorRT, so nothing uses it", "[tensorrt] only with tensorrt")
    return field.table(["workspace_mb"])["workspace_mb"].integer(1, 100_000_000)


def _install(field: TargetField) -> tuple[str, ...]:
    if isinstance(field.value, str):
        return (field.text(),)
    return tuple(item.text() for item in field.items("a shell line, or a list of them"))


def _gates(field: TargetField, artifacts: tuple[ArtifactSpec, ...]) -> dict[str, GateLimits]:
    built = list(dict.fromkeys(artifact.precision for artifact in artifacts))
    gates: dict[str, GateLimits] = {}
    for precision, place in field.table(built).items():
        keys = place.table(["min_label_agreement", "max_metric_drop"], ["max_logit_difference"])
        share, difference = "a number from 0 to 1", keys.get("max_logit_difference")
        gates[precision] = GateLimits(
            min_label_agreement=keys["min_label_agreement"].number(share, 1.0),
            max_metric_drop=keys["max_metric_drop"].number(share, 1.0),
            max_logit_difference=difference.number("a number above 0", above_zero=True) if difference else None,
        )
    return {precision: gates[precision] for precision in built}
