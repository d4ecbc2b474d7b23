"""A report read back from its JSON file, for ``--compare`` and for a page made later."""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from edgebert.bench.report import FORMAT, BenchmarkReport
from edgebert.errors import DataError

_HINT = "Give a file that `edgebert bench --out` wrote."
_MAX_BYTES = 256 * 1024 * 1024
"""Far above any report: 20 artifacts of 100 rounds of 1,000 repetitions of 8 lengths have about 200 MB."""

_LARGEST = 1e100
"""Two rounds that disagree can have an interval of many decades; nothing comes near to where floats end."""


class _WrongError(Exception):
    """A value of the JSON is not what stands there in a report; the message names its place."""


def read_report(path: Path) -> BenchmarkReport:
    """Read what :meth:`BenchmarkReport.to_json` wrote.

    Keys that a report does not have are not read: those that follow from others (``noisy``) and those that people add.

    Raises:
        DataError: the file cannot be read, is no JSON, or no report of this format.
    """
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= _MAX_BYTES else None
    except OSError as error:
        raise DataError(f"'{path}' cannot be read: {error.strerror}.", hint=_HINT) from None
    if content is None:
        raise DataError(f"'{path}' has {size:,} bytes, which no report has.", hint=_HINT)
    try:
        value = json.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise DataError(f"'{path}' is not UTF-8 (byte {error.start}).", hint=_HINT) from None
    except RecursionError:
        raise DataError(f"'{path}' is nested too deeply.", hint=_HINT) from None
    except ValueError as error:
        raise DataError(f"'{path}' is not JSON, or was cut off: {error}.", hint=_HINT) from None
    _check_format(path, value)
    try:
        report = cast("BenchmarkReport", _build(BenchmarkReport, value, ""))
        _check_figures(report)
        return report
    except _WrongError as error:
        raise DataError(f"'{path}' is not a whole report of a benchmark: {error}.", hint=_HINT) from None


def _check_format(path: Path, value: object) -> None:
    found = value.get("format") if isinstance(value, dict) else None
    if found == FORMAT:
        return
    kind = FORMAT.partition("/")[0]
    if not isinstance(found, str) or not found.startswith(f"{kind}/"):
        raise DataError(f"'{path}' is not a report of a benchmark: its `format` is not {FORMAT!r}.", hint=_HINT)
    if found == f"{kind}/1":
        reason = "which does not hold the single measurements"
    else:
        reason = "which another version of EdgeBERT wrote"
    raise DataError(
        f"'{path}' has the format {found!r}, {reason}; this version reads {FORMAT!r}.",
        hint="Measure again: edgebert bench BUNDLE --out FILE",
    )


def _check_figures(report: BenchmarkReport) -> None:
    """What types do not say, and whoever reads the figures counts on: there are some, and times are above 0."""
    for name in ("edgebert", "python"):
        if name not in report.versions:
            raise _WrongError(f"versions.{name} is missing")
    for index, artifact in enumerate(report.artifacts):
        measured, place = artifact.measurements, f"artifacts[{index}].measurements"
        if measured is None:
            continue
        _check_positive((artifact.bytes,), f"artifacts[{index}].bytes")
        if set(measured.latency_ms) != set(report.plan.lengths) or set(measured.tokenization_ms) != set(
            report.plan.lengths
        ):
            raise _WrongError(f"{place} is not of the lengths in plan.lengths")
        latencies = {f"latency_ms['{length}']": latency for length, latency in measured.latency_ms.items()}
        for name, latency in {**latencies, "texts_latency_ms": measured.texts_latency_ms}.items():
            figures = (latency.p5, latency.p25, latency.p50, latency.p75, latency.p90, latency.p95, latency.p99)
            bounds = (latency.p50_interval.low, latency.p50_interval.high) if latency.p50_interval else ()
            _check_positive(figures + bounds, f"{place}.{name}")
            _check_positive(latency.round_p50, f"{place}.{name}.round_p50")
            for number, samples in enumerate(latency.samples_ms):
                _check_positive(samples, f"{place}.{name}.samples_ms[{number}]")
            if not latency.samples_ms:
                raise _WrongError(f"{place}.{name}.samples_ms is empty")
        for name in ("total_ms", "texts_per_second"):
            _check_positive(getattr(measured, name).values, f"{place}.{name}.values")
        for name in ("first_answer_rss_bytes", "peak_rss_bytes"):
            if (size := getattr(measured, name)) is not None:
                _check_positive((size,), f"{place}.{name}")
        if measured.energy is not None and not measured.energy.joules_per_inference.values:
            raise _WrongError(f"{place}.energy.joules_per_inference.values is empty")
        if measured.accuracy is not None and not measured.accuracy.scores:
            raise _WrongError(f"{place}.accuracy.scores is empty")


def _check_positive(values: Sequence[float], place: str) -> None:
    if not values:
        raise _WrongError(f"{place} is empty")
    if min(values) <= 0:
        raise _WrongError(f"{place} holds {min(values):g}, which is not above 0")


def _build(kind: Any, value: Any, place: str) -> Any:  # noqa: ANN401 (a type as an annotation, and what json gives)
    """``value`` as an instance of the annotation ``kind``."""
    if dataclasses.is_dataclass(kind):
        return _object(cast("type[Any]", kind), value, place)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return _one_of(arguments, value, place)
    if origin is tuple:
        return _tuple(arguments, value, place)
    if origin is frozenset:
        return frozenset(_tuple((arguments[0], ...), value, place))
    if origin in (dict, Mapping):
        return _mapping(arguments, value, place)
    return _plain(kind, value, place)


def _object(kind: type[Any], value: Any, place: str) -> Any:  # noqa: ANN401
    if not isinstance(value, dict):
        raise _WrongError(f"{place or 'it'} is not an object")
    hints = typing.get_type_hints(kind)
    given = {}
    for field in dataclasses.fields(kind):
        if not field.init:  # follows from the others
            continue
        where = f"{place}.{field.name}" if place else field.name
        if field.name not in value:
            raise _WrongError(f"{where} is missing")
        given[field.name] = _build(hints[field.name], value[field.name], where)
    return kind(**given)


def _one_of(kinds: tuple[Any, ...], value: Any, place: str) -> Any:  # noqa: ANN401
    if value is None and type(None) in kinds:
        return None
    rest = [kind for kind in kinds if kind is not type(None)]
    for kind in rest[:-1]:
        try:
            return _build(kind, value, place)
        except _WrongError:
            continue
    return _build(rest[-1], value, place)


def _tuple(kinds: tuple[Any, ...], value: Any, place: str) -> tuple[Any, ...]:  # noqa: ANN401
    if not isinstance(value, list):
        raise _WrongError(f"{place} is not a list")
    if kinds[-1] is Ellipsis:
        kinds = (kinds[0],) * len(value)
    if len(value) != len(kinds):
        raise _WrongError(f"{place} has {len(value)} values and not {len(kinds)}")
    return tuple(
        _build(kind, item, f"{place}[{index}]") for index, (kind, item) in enumerate(zip(kinds, value, strict=True))
    )


def _mapping(kinds: tuple[Any, ...], value: Any, place: str) -> dict[Any, Any]:  # noqa: ANN401
    if not isinstance(value, dict):
        raise _WrongError(f"{place} is not an object")
    found: dict[Any, Any] = {}
    for key, item in value.items():
        if kinds[0] is int:  # JSON has strings for keys alone
            if not (key.isascii() and key.isdigit() and len(key) < 10):
                raise _WrongError(f"{place} has the key {key!r}, which is no whole number")
            key = int(key)
        found[key] = _build(kinds[1], item, f"{place}[{key!r}]")
    return found


def _plain(kind: Any, value: Any, place: str) -> Any:  # noqa: ANN401
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) < 2**63 else math.inf
    if kind is Any:
        return value
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise _WrongError(f"{place} is not {_NAMES.get(kind, kind.__name__)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise _WrongError(f"{place} is not a finite number")
    if isinstance(value, (int, float)) and abs(value) > _LARGEST:
        raise _WrongError(f"{place} is larger than anything that is measured")
    return value


_NAMES = {str: "a string", int: "a whole number", float: "a number", bool: "true or false"}
