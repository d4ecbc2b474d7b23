"""The part of the manifest that makes a bundle the first stage of a cascade."""

from __future__ import annotations

import math

from edgebert.bundle import limits
from edgebert.bundle.fields import Field
from edgebert.bundle.references import ID, ID_RULE, file_ref, keys
from edgebert.bundle.schema import CASCADED, MANIFEST_NAME, Cascade, CascadeHeadline, Task


def read_cascade(place: Field, task: Task) -> Cascade:
    """The cascade of a bundle for ``task``.

    Raises:
        ManifestError: it breaks the format.
    """
    if task.problem_type != CASCADED:
        raise place.fault(f"is given for {task.problem_type or task.name}", f"null, but for {CASCADED}")
    field = place.object(keys(Cascade))
    folder = field["bundle"].match(ID, ID_RULE)
    places = field["files"].array(1, limits.MAX_CASCADE_FILES)
    files = tuple(map(file_ref, places))
    for at, file in zip(places, files, strict=True):
        if not file.path.startswith(f"{folder}/"):
            raise Field(None, f"{at.path}.path").fault(f"is '{file.path}'", f"a path under '{folder}/'")
    if f"{folder}/{MANIFEST_NAME}" not in {file.path for file in files}:
        raise field["files"].fault(f"lacks '{folder}/{MANIFEST_NAME}'", "every file of the bigger bundle")
    temperature = field["temperature"].number(0.0, math.inf, "a finite number > 0")
    if temperature == 0:
        raise field["temperature"].fault("is 0", "a finite number > 0")
    return Cascade(
        bundle=folder,
        files=files,
        temperature=temperature,
        threshold=field["threshold"].number(0.0, 1.0, "a number from 0 to 1"),
        headline=_headline(field["headline"]),
        evidence=file_ref(field["evidence"]),
        report=file_ref(field["report"]),
    )


def _headline(place: Field) -> CascadeHeadline:
    field = place.object(keys(CascadeHeadline))
    finite = "a finite number"
    return CascadeHeadline(
        texts=field["texts"].integer(1, limits.MAX_DIMENSION),
        metric=field["metric"].text(limits.MAX_NAME),
        value=field["value"].number(-math.inf, math.inf, finite),
        reference=field["reference"].number(-math.inf, math.inf, finite),
        escalated=field["escalated"].number(0.0, 1.0, "a number from 0 to 1"),
    )
