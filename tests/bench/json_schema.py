"""Checks a value against a JSON Schema, as far as ``edgebert/bench/schema.json`` uses it; any other keyword fails.

Draft 2020-12. The packages that know all of it need a compiled part, or are not kept up.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,), "array": (list,), "string": (str,), "number": (int, float), "integer": (int,),
    "boolean": (bool,), "null": (type(None),),
}  # fmt: skip
_SAY_NOTHING = {"$schema", "$defs", "title", "description"}


def faults(value: Any, schema: dict[str, Any], root: dict[str, Any], place: str = "report") -> Iterator[str]:
    """Where ``value`` does not follow ``schema``, whose references lead into ``root``."""
    for keyword, rule in schema.items():
        match keyword:
            case "$ref":
                yield from faults(value, root["$defs"][rule.removeprefix("#/$defs/")], root, place)
            case "anyOf":
                if all(any(faults(value, one, root, place)) for one in rule):
                    yield f"{place}: none of the forms fits: {list(faults(value, rule[0], root, place))[:3]}"
            case "type":
                fits = isinstance(value, _TYPES[rule]) and (rule == "boolean" or not isinstance(value, bool))
                if not fits:
                    yield f"{place}: {value!r} is no {rule}"
            case "const":
                if value != rule:
                    yield f"{place}: {value!r} is not {rule!r}"
            case "enum":
                if value not in rule:
                    yield f"{place}: {value!r} is none of {rule}"
            case "minimum":
                if isinstance(value, (int, float)) and value < rule:
                    yield f"{place}: {value} is below {rule}"
            case "pattern":
                if isinstance(value, str) and not re.search(rule, value):
                    yield f"{place}: {value!r} does not match {rule}"
            case "minItems":
                if isinstance(value, list) and len(value) < rule:
                    yield f"{place}: fewer than {rule} items"
            case "maxItems":
                if isinstance(value, list) and len(value) > rule:
                    yield f"{place}: more than {rule} items"
            case "items":
                for index, item in enumerate(value if isinstance(value, list) else []):
                    yield from faults(item, rule, root, f"{place}[{index}]")
            case "required":
                if isinstance(value, dict):
                    yield from (f"{place}: lacks {name!r}" for name in rule if name not in value)
            case "properties":
                if isinstance(value, dict):
                    for name, one in rule.items():
                        if name in value:
                            yield from faults(value[name], one, root, f"{place}.{name}")
            case "additionalProperties":
                for name in value.keys() - schema.get("properties", {}).keys() if isinstance(value, dict) else ():
                    if rule is False:
                        yield f"{place}: has {name!r}"
                    else:
                        yield from faults(value[name], rule, root, f"{place}.{name}")
            case "propertyNames":
                for name in value if isinstance(value, dict) else ():
                    yield from faults(name, rule, root, f"{place}, the key {name!r}")
            case _:
                assert keyword in _SAY_NOTHING, f"{keyword} is not known here"
