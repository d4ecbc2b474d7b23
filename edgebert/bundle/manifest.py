"""``manifest.json`` to ``Manifest`` and back, strictly: what the format does not allow is refused by name.

``docs/bundle-format.md`` is the normative text of the rules that are checked here.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from itertools import pairwise

from edgebert.bundle import limits, schema
from edgebert.bundle.cascade import read_cascade
from edgebert.bundle.fields import Field, read_json
from edgebert.bundle.paths import first_collision
from edgebert.bundle.references import ID, ID_RULE, SHA256, SHA256_RULE, file_ref, keys
from edgebert.bundle.schema import (
    FORMAT,
    MANIFEST_NAME,
    Artifact,
    Headline,
    Manifest,
    Profile,
    Provenance,
    Requires,
    Setting,
    Shapes,
    Task,
    TensorSpec,
    Tokenizer,
)
from edgebert.bundle.tensors import check_inputs, check_outputs
from edgebert.errors import ManifestError

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_IDENTIFIER_RULE = "1 to 64 of A-Z, a-z, 0-9 and '_', the first no digit"
_ISA = re.compile(r"[a-z0-9][a-z0-9._]{0,31}")
_ISA_RULE = "a feature name of /proc/cpuinfo"
_DISTRIBUTION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
_VERSION = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9}){0,5}")
_VERSION_RULE = "a release number such as '1.22' or '2.14.0'"
_TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]{1,9})?(Z|\+00:00)")
_TIME_RULE = "an RFC 3339 time in UTC such as '2026-01-31T12:00:00Z'"


def parse_manifest(data: bytes) -> Manifest:
    """Reads and checks the bytes of ``manifest.json``.

    Args:
        data: the whole file, UTF-8 JSON.

    Raises:
        ManifestError: the bytes break the format; the message names the JSON path of the fault, the reason and what is
            allowed there.
    """
    root = read_json(data)
    _check_version(root)
    manifest = _manifest(root)
    _check_paths(manifest)
    return manifest


def dump_manifest(manifest: Manifest) -> bytes:
    """Writes a manifest canonically: UTF-8, schema order, free keys sorted, indent 1, one newline at the end.

    Equal manifests give equal bytes, and ``parse_manifest(dump_manifest(m)) == m``.

    Raises:
        ManifestError: the manifest breaks the format, so nobody could read it.
    """
    try:
        text = json.dumps(_plain(manifest), ensure_ascii=False, indent=1)
        data = (text + "\n").encode("utf-8")
    except (TypeError, ValueError) as error:
        raise ManifestError(f"{MANIFEST_NAME} cannot be written as JSON: {error}.") from error
    if parse_manifest(data) != manifest:
        raise ManifestError(
            f"{MANIFEST_NAME} would not read back as it was given.",
            hint="Use tuples for sequences, str keys for mappings and float for numbers with a fraction.",
        )
    return data


def _plain(value: object) -> object:
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(value[key]) for key in sorted(value)}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value


def _check_version(root: Field) -> None:
    # Before the keys: another version may have others, and "unknown key" would hide the reason.
    version = root.value.get("format", FORMAT) if isinstance(root.value, dict) else FORMAT
    if isinstance(version, str) and re.fullmatch(r"edgebert/[0-9]{1,9}", version) and version != FORMAT:
        raise ManifestError(
            f"{MANIFEST_NAME}: format: the bundle has format '{version}'; this EdgeBERT reads '{FORMAT}'.",
            hint="Install an EdgeBERT that reads it, or convert the checkpoint again with this one.",
        )
    Field(version, "format").choice((FORMAT,))


def _check_paths(manifest: Manifest) -> None:
    files = manifest.files
    collision = first_collision(file.path for file in files)
    if collision is not None:
        index, earlier = collision
        raise Field(None, _places(manifest)[index]).fault(
            f"'{files[index].path}' collides with '{earlier}'",
            "paths that differ in more than case, none of them a folder of another",
        )


def _places(manifest: Manifest) -> list[str]:
    # The JSON paths of ``manifest.files``, in its order.
    shared = ["tokenizer.file.path", "golden.path", "evidence.path", "report.path"]
    artifacts = enumerate(manifest.artifacts)
    cascade = manifest.cascade
    bigger = () if cascade is None else cascade.files
    return [
        *shared,
        *(f"artifacts[{a}].files[{f}].path" for a, item in artifacts for f in range(len(item.files))),
        *([] if cascade is None else ["cascade.evidence.path", "cascade.report.path"]),
        *(f"cascade.files[{f}].path" for f in range(len(bigger))),
    ]


def _manifest(root: Field) -> Manifest:
    field = root.object(keys(Manifest))
    task = _task(field["task"])
    inputs = tuple(map(_tensor, field["inputs"].array(1, limits.MAX_TENSORS)))
    outputs = tuple(map(_tensor, field["outputs"].array(1, limits.MAX_TENSORS)))
    names = [*field["inputs"].array(0, limits.MAX_TENSORS), *field["outputs"].array(0, limits.MAX_TENSORS)]
    _unique(names, [tensor.name for tensor in (*inputs, *outputs)], "name", "tensor names that differ")
    check_inputs(field["inputs"], inputs, task)
    check_outputs(field["outputs"], outputs, task)
    places = field["artifacts"].array(1, limits.MAX_ARTIFACTS)
    artifacts = tuple(map(_artifact, places))
    ids = [artifact.id for artifact in artifacts]
    _unique(places, ids, "id", "artifact ids that differ")
    places = field["profiles"].array(0, limits.MAX_PROFILES)
    profiles = tuple(_profile(place, frozenset(ids)) for place in places)
    _unique(places, [profile.target for profile in profiles], "target", "one profile for each target")
    return Manifest(
        format=FORMAT,
        name=field["name"].text(limits.MAX_NAME),
        task=task,
        provenance=_provenance(field["provenance"]),
        tokenizer=_tokenizer(field["tokenizer"]),
        inputs=inputs,
        outputs=outputs,
        golden=file_ref(field["golden"], limits.MAX_GOLDEN_BYTES),
        evidence=file_ref(field["evidence"]),
        report=file_ref(field["report"]),
        artifacts=artifacts,
        profiles=profiles,
        cascade=None if field["cascade"].value is None else read_cascade(field["cascade"], task),
    )


def _tensor(place: Field) -> TensorSpec:
    field = place.object(keys(TensorSpec))
    return TensorSpec(
        name=field["name"].match(_IDENTIFIER, _IDENTIFIER_RULE),
        dtype=field["dtype"].choice(schema.DTYPES),
        shape=tuple(map(_dimension, field["shape"].array(0, limits.MAX_RANK))),
    )


def _dimension(place: Field) -> int | str:
    if isinstance(place.value, str):
        return place.match(_IDENTIFIER, f"an integer, or the name of a free dimension: {_IDENTIFIER_RULE}")
    return place.integer(1, limits.MAX_DIMENSION)


def _task(place: Field) -> Task:
    field = place.object(keys(Task))
    name = field["name"].choice(tuple(schema.TASKS))
    wanted = schema.TASKS[name]
    places = field["labels"].array(*((1, limits.MAX_LABELS) if wanted.labels else (0, 0)))
    labels = tuple(label.text(limits.MAX_TEXT) for label in places)
    _unique(places, labels, "", "labels that differ")
    settings = field["settings"].object(tuple(wanted.settings))
    values = {key: _setting(settings[key], kind, labels) for key, kind in wanted.settings.items()}
    problem_type = field["problem_type"]
    if wanted.problem_types:
        return Task(name, problem_type.choice(wanted.problem_types), labels, values)
    if problem_type.value is not None:
        raise problem_type.fault(f"is given for {name}", "null")
    return Task(name, None, labels, values)


def _setting(place: Field, kind: type | tuple[str, ...], labels: Sequence[str]) -> Setting:
    if isinstance(kind, tuple):
        return place.choice(kind)
    if kind is bool:
        return place.flag()
    if kind is int:  # the index of a label
        return place.integer(0, len(labels) - 1)
    return place.text(limits.MAX_NAME)


def _provenance(place: Field) -> Provenance:
    field = place.object(keys(Provenance))
    created = field["created"].match(_TIME, _TIME_RULE)
    try:
        datetime.fromisoformat(created[:19])
    except ValueError as error:
        raise field["created"].fault(f"is '{created}' ({error})", _TIME_RULE) from None
    sources = field["files"].entries(1, limits.MAX_ENTRIES)
    tools = field["tools"].entries(0, limits.MAX_ENTRIES)
    for container, entries in ((field["files"], sources), (field["tools"], tools)):
        for key in entries:
            Field(key, f"{container.path}[{key!a:.60}]").text(limits.MAX_PATH)
    return Provenance(
        checkpoint=field["checkpoint"].text(limits.MAX_TEXT),
        files={key: value.match(SHA256, SHA256_RULE) for key, value in sources.items()},
        tools={key: value.text(limits.MAX_NAME) for key, value in tools.items()},
        command=tuple(item.argument() for item in field["command"].array(0, limits.MAX_ENTRIES)),
        created=created,
    )


def _tokenizer(place: Field) -> Tokenizer:
    field = place.object(keys(Tokenizer))
    return Tokenizer(
        file=file_ref(field["file"]),
        max_length=field["max_length"].integer(1, limits.MAX_TOKENS),
        pad_id=field["pad_id"].integer(0, limits.MAX_DIMENSION),
    )


def _artifact(place: Field) -> Artifact:
    field = place.object(keys(Artifact))
    artifact_id = field["id"].match(ID, ID_RULE)
    places = field["files"].array(1, limits.MAX_ARTIFACT_FILES)
    files = tuple(map(file_ref, places))
    folder = f"artifacts/{artifact_id}/"
    for at, file in zip(places, files, strict=True):
        if not file.path.startswith(folder):
            raise Field(None, f"{at.path}.path").fault(f"is '{file.path}'", f"a path under '{folder}'")
    tolerance = field["tolerance"].number(0.0, math.inf, "a finite number > 0")
    if tolerance == 0:
        raise field["tolerance"].fault("is 0", "a finite number > 0")
    return Artifact(
        id=artifact_id,
        backend=field["backend"].choice(schema.BACKENDS),
        precision=field["precision"].choice(schema.PRECISIONS),
        quantization=field["quantization"].text(limits.MAX_TEXT),
        shapes=_shapes(field["shapes"]),
        files=files,
        requires=_requires(field["requires"]),
        tolerance=tolerance,
        evidence=_headline(field["evidence"]),
    )


def _shapes(place: Field) -> Shapes:
    field = place.object(keys(Shapes))
    policy = field["policy"].choice(("dynamic", "buckets"))
    longest = field["max_length"].integer(1, limits.MAX_TOKENS)
    items = field["buckets"].array(0, limits.MAX_BUCKETS)
    buckets = tuple(item.integer(1, limits.MAX_TOKENS) for item in items)
    if policy == "dynamic" and buckets:
        raise field["buckets"].fault("is given although the policy is 'dynamic'", "an empty array")
    if policy == "buckets":
        if not buckets or buckets[-1] != longest:
            raise field["buckets"].fault(f"is {list(buckets)}", f"lengths of which the last is max_length ({longest})")
        if any(later <= earlier for earlier, later in pairwise(buckets)):
            raise field["buckets"].fault(f"is {list(buckets)}", "lengths in ascending order, each once")
    return Shapes(policy, longest, buckets)


def _architectures(place: Field) -> tuple[str, ...]:
    items = place.array(0, len(schema.ARCHITECTURES))
    names = tuple(item.choice(schema.ARCHITECTURES) for item in items)
    _unique(items, names, "", "each architecture once")
    return names


def _requires(place: Field) -> Requires:
    field = place.object(keys(Requires))
    isa = _features(field["isa"])
    runtimes = field["runtimes"].entries(1, limits.MAX_ENTRIES)
    for key in runtimes:
        Field(key, f"{place.path}.runtimes").match(_DISTRIBUTION, "names of Python distributions as keys")
    return Requires(
        architectures=_architectures(field["architectures"]),
        isa=isa,
        runtimes={key: version.match(_VERSION, _VERSION_RULE) for key, version in runtimes.items()},
        accelerator=_accelerator(field["accelerator"]),
    )


def _headline(place: Field) -> Headline:
    field = place.object(keys(Headline))
    metric, value, reference = (field[key] for key in ("metric", "value", "reference"))
    given = [item.value is not None for item in (metric, value, reference)]
    if any(given) and not all(given):
        raise place.fault("has only some of metric, value and reference", "all three, or null for all three")
    finite = "a finite number"
    return Headline(
        max_abs_diff=field["max_abs_diff"].number(0.0, math.inf, "a finite number >= 0"),
        label_agreement=field["label_agreement"].number(0.0, 1.0, "a number from 0 to 1"),
        metric=metric.text(limits.MAX_NAME) if all(given) else None,
        value=value.number(-math.inf, math.inf, finite) if all(given) else None,
        reference=reference.number(-math.inf, math.inf, finite) if all(given) else None,
    )


def _profile(place: Field, ids: frozenset[str]) -> Profile:
    field = place.object(keys(Profile))
    items = field["order"].array(0, limits.MAX_ARTIFACTS)
    order = tuple(item.match(ID, ID_RULE) for item in items)
    for item in items:
        if item.value not in ids:
            raise item.fault(f"names the unknown artifact '{item.value}'", "ids of artifacts of this bundle")
    _unique(items, order, "", "each artifact once")
    return Profile(
        target=field["target"].text(limits.MAX_NAME),
        architectures=_architectures(field["architectures"]),
        vendor=None if field["vendor"].value is None else field["vendor"].text(limits.MAX_NAME),
        order=order,
        threads=None if field["threads"].value is None else field["threads"].integer(1, limits.MAX_THREADS),
        isa=_features(field["isa"]),
        memory_mb=None if field["memory_mb"].value is None else field["memory_mb"].integer(1, limits.MAX_MEMORY_MB),
        accelerator=_accelerator(field["accelerator"]),
    )


def _accelerator(place: Field) -> str | None:
    return None if place.value is None else place.match(ID, f"null, or {ID_RULE}")


def _features(place: Field) -> tuple[str, ...]:
    items = place.array(0, limits.MAX_ENTRIES)
    isa = tuple(item.match(_ISA, _ISA_RULE) for item in items)
    _unique(items, isa, "", "each feature once")
    return isa


def _unique(places: Iterable[Field], values: Iterable[str], key: str, allowed: str) -> None:
    seen: set[str] = set()
    for place, value in zip(places, values, strict=True):
        if value in seen:
            at = Field(None, f"{place.path}.{key}" if key else place.path)
            raise at.fault(f"{value!a:.80} stands there twice", allowed)
        seen.add(value)
