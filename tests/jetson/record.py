"""Records which names TensorRT's Python module has, and what its functions take: ``surfaces/*.json``.

``record`` writes down one source: an installed module (pybind11 keeps each signature in its docstrings), or type stubs
that were generated from one. ``combine`` makes the surface of a version of one or several records::

    python tests/jetson/record.py record tensorrt 8.6.json                 # where TensorRT itself is installed
    python tests/jetson/record.py record stubs/tensorrt.pyi 10.8.json --label "..."
    python tests/jetson/record.py combine 10.3 10.8.json --known 8.6.json --allow names.txt

Nothing is constructed: ``Builder`` and ``Runtime`` of 8.6 need a driver, and the second ends the process without one.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

CLASSES = [
    "Builder",
    "Dims",
    "EngineInspector",
    "IBuilderConfig",
    "ICudaEngine",
    "IErrorRecorder",
    "IExecutionContext",
    "IGpuAllocator",
    "IHostMemory",
    "ILayer",
    "ILogger",
    "INetworkDefinition",
    "IOptimizationProfile",
    "IProfiler",
    "IProgressMonitor",
    "IRuntimeConfig",
    "ITensor",
    "ITimingCache",
    "IVersionedInterface",
    "Logger",
    "OnnxParser",
    "ParserError",
    "Runtime",
]
ENUMS = [
    "BuilderFlag",
    "DataType",
    "DeviceType",
    "EngineCapability",
    "ErrorCode",
    "ErrorCodeTRT",
    "ExecutionContextAllocationStrategy",
    "HardwareCompatibilityLevel",
    "LayerInformationFormat",
    "LayerType",
    "MemoryPoolType",
    "NetworkDefinitionCreationFlag",
    "OnnxParserFlag",
    "PreviewFeature",
    "ProfilingVerbosity",
    "QuantizationFlag",
    "RuntimePlatform",
    "SerializationFlag",
    "TacticSource",
    "TempfileControlFlag",
    "TensorFormat",
    "TensorIOMode",
    "TensorLocation",
    "TilingOptimizationLevel",
]
NESTED = {"ILogger": ("Severity",), "Logger": ("Severity",)}
FUNCTIONS = ("get_nv_onnx_parser_version", "init_libnvinfer_plugins", "nptype", "volume")
CONSTANTS = ("bfloat16", "bool", "float16", "float32", "fp4", "fp8", "int32", "int4", "int64", "int8", "uint8")
_KEPT_DUNDERS = ("__len__", "__getitem__")
_SIGNATURE = re.compile(r"^(?:\d+\. )?(\w+)\((.*)\)(?: -> .*)?$")

Surface = dict[str, Any]


def record_module(name: str) -> Surface:
    """What an installed module has of :data:`CLASSES`, :data:`ENUMS`, :data:`FUNCTIONS` and :data:`CONSTANTS`."""
    module = importlib.import_module(name)
    surface: Surface = {"version": module.__version__, "enums": {}, "classes": {}, "functions": {}, "constants": {}}
    for enum in ENUMS:
        if hasattr(module, enum):
            surface["enums"][enum] = _enum_of(getattr(module, enum))
    for name in CLASSES:
        if not hasattr(module, name):
            continue
        cls = getattr(module, name)
        surface["classes"][name] = _class_of(cls)
        for nested in NESTED.get(name, ()):
            if nested in vars(cls):
                surface["enums"][f"{name}.{nested}"] = _enum_of(getattr(cls, nested))
    for name in FUNCTIONS:
        if hasattr(module, name):
            function = getattr(module, name)
            surface["functions"][name] = list(_overloads(name, function, bound=False))
    for name in CONSTANTS:
        if hasattr(module, name):
            surface["constants"][name] = getattr(module, name).name
    return surface


def _enum_of(enum: Any) -> dict[str, Any]:
    members = {name: int(value) for name, value in enum.__members__.items()}
    return {"members": members, "ordered": "__lt__" in vars(enum)}


def _class_of(cls: Any) -> dict[str, Any]:
    own = vars(cls)
    found: dict[str, Any] = {
        "bases": [base.__name__ for base in cls.__bases__ if base.__name__ in CLASSES],
        "init": _constructors(own.get("__init__")),
        "methods": {},
        "properties": {},
    }
    for name, value in own.items():
        if name.startswith("_") and name not in _KEPT_DUNDERS:
            continue
        if isinstance(value, property):
            found["properties"][name] = ("r" if _readable(value) else "") + ("w" if value.fset else "")
        elif callable(value) and not isinstance(value, type):
            found["methods"][name] = list(_overloads(name, value))
    return found


def _constructors(init: Any) -> list[list[list[Any]]] | None:
    # Where there is none, pybind11 has its own, which raises.
    found = [] if init is None else list(_overloads("__init__", init))
    return None if not found or found == [[["args", "", False], ["kwargs", "", False]]] else found


def _readable(value: property) -> bool:
    # pybind11 makes a getter of a null pointer, which has no signature.
    return value.fget is not None and (not hasattr(value.fget, "__self__") or bool(value.fget.__doc__))


def _overloads(name: str, function: Any, *, bound: bool = True) -> Iterator[list[list[Any]]]:
    """For each overload its parameters: name, type (empty when unknown), whether there is a default."""
    documentation = function.__doc__ or ""
    lines = [match for line in documentation.splitlines() if (match := _SIGNATURE.match(line)) and match[1] == name]
    lines = [match for match in lines if match[2] != "*args, **kwargs"]
    if not lines:
        parameters = list(inspect.signature(function).parameters.values())
        yield [[one.name, "", one.default is not one.empty] for one in parameters[bound:]]
    for match in lines:
        yield [_parameter(text) for text in _split(match[2])][bound:]


def _parameter(text: str) -> list[Any]:
    declared, equals, _ = text.partition(" = ")
    name, _, kind = declared.partition(": ")
    return [name, _short(kind), bool(equals)]


def _short(kind: str) -> str:
    """A type's own name: ``tensorrt.tensorrt.ILogger`` is ``ILogger``; of what is more than a name, all."""
    kind = kind.strip()
    if kind.startswith("nvinfer1::"):
        return kind.replace("nvinfer1::", "").replace("::", ".")
    short = re.sub(r"^(?:\w+\.)*?(?=(?:ILogger|Logger)\.Severity$|\w+$)", "", kind)
    return {"SupportsInt": "int", "SupportsIndex": "int", "SupportsFloat": "float", "CapsuleType": "capsule"}.get(
        short, short
    )


def _split(text: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for place, letter in enumerate(text):
        depth += (letter in "([{<") - (letter in ")]}>" and text[place - 1] != "-")
        if letter == "," and not depth:
            parts.append(text[start:place].strip())
            start = place + 1
    return [part for part in (*parts, text[start:].strip()) if part]


def record_stubs(path: Path, version: str) -> Surface:
    """The same, as type stubs tell it."""
    tree = _parse(path.read_text(encoding="utf-8"))
    surface: Surface = {"version": version, "enums": {}, "classes": {}, "functions": {}, "constants": {}}
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name in ENUMS:
            surface["enums"][node.name] = _stub_enum(node)
        elif isinstance(node, ast.ClassDef) and node.name in CLASSES:
            surface["classes"][node.name] = _stub_class(node)
            for inner in node.body:
                if isinstance(inner, ast.ClassDef) and inner.name in NESTED.get(node.name, ()):
                    surface["enums"][f"{node.name}.{inner.name}"] = _stub_enum(inner)
        elif isinstance(node, ast.FunctionDef) and node.name in FUNCTIONS:
            surface["functions"].setdefault(node.name, []).append(_stub_parameters(node, 0))
    return surface


def _parse(text: str) -> ast.Module:
    """The stubs without the functions that no Python can have: a parameter without a default after one with."""
    lines = text.splitlines()
    while True:
        try:
            return ast.parse("\n".join(lines))
        except SyntaxError as error:
            place = (error.lineno or 1) - 1
            if "def " not in lines[place] or "_unreadable" in lines[place]:
                raise
            lines[place] = re.sub(r"def .*", "def _unreadable(self):", lines[place])


def _stub_enum(node: ast.ClassDef) -> dict[str, Any]:
    names = [
        one.target.id
        for one in node.body
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name) and not one.target.id.startswith("_")
    ]
    return {"members": dict.fromkeys(names), "ordered": any(getattr(one, "name", "") == "__lt__" for one in node.body)}


def _stub_class(node: ast.ClassDef) -> dict[str, Any]:
    found: dict[str, Any] = {
        "bases": [ast.unparse(base) for base in node.bases if ast.unparse(base) in CLASSES],
        "init": None,
        "methods": {},
        "properties": {},
    }
    for one in node.body:
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
            if "ClassVar" not in ast.unparse(one.annotation):
                found["properties"][one.target.id] = "rw"
        elif isinstance(one, ast.FunctionDef):
            decorators = [ast.unparse(decorator) for decorator in one.decorator_list]
            if "property" in decorators:
                found["properties"][one.name] = "r"
            elif any(decorator.endswith(".setter") for decorator in decorators):
                found["properties"][one.name] = found["properties"].get(one.name, "") + "w"
            elif one.name == "__init__":
                found["init"] = [*(found["init"] or []), _stub_parameters(one, 1)]
            elif not one.name.startswith("_") or one.name in _KEPT_DUNDERS:
                found["methods"].setdefault(one.name, []).append(_stub_parameters(one, 1))
    return found


def _stub_parameters(node: ast.FunctionDef, skipped: int) -> list[list[Any]]:
    arguments = [*node.args.posonlyargs, *node.args.args]
    defaults = len(node.args.defaults)
    found = []
    for place, argument in enumerate(arguments):
        kind = _short(ast.unparse(argument.annotation)) if argument.annotation else ""
        found.append([argument.arg, kind, place >= len(arguments) - defaults])
    return found[skipped:]


def members_in_comments(path: Path, surface: Surface) -> None:
    """Sets the values of the enums of stubs, which stand in comments: ``FP16: ... # value = <BuilderFlag.FP16: 0>``."""
    text = path.read_text(encoding="utf-8")
    for name, enum in surface["enums"].items():
        owner = name.rpartition(".")[2]
        for member in enum["members"]:
            # A member that has two names is shown with one of them.
            match = re.search(rf"<{owner}\.{member}: (-?\d+)>|\b{member}: .*# value = <{owner}\.\w+: (-?\d+)>", text)
            enum["members"][member] = int(match[1] or match[2]) if match else None


def combine(version: str, sources: list[Surface], own: int, known: list[Surface], allowed: Iterable[str]) -> Surface:
    """The surface of a version: of each name, what the first source that has it says.

    Args:
        version: what it is the surface of.
        sources: records, the best first.
        own: how many of them, from the first on, are of this version itself.
        known: a name of the others that none of these has is left out.
        allowed: names, ``Class`` or ``Class.member``, that are kept all the same.
    """
    allowed = set(allowed)
    result: Surface = {"version": version, "sources": [], "left_out": [], "enums": {}, "classes": {}}
    result |= {"functions": {}, "constants": {}}
    for place, source in enumerate(sources):
        result["sources"].append(source["label"])
        strict = place >= own
        for group in ("enums", "classes", "functions", "constants"):
            for name, what in source[group].items():
                if name in result[group]:
                    # Stubs leave out what can only be written.
                    for member, access in what["properties"].items() if group == "classes" else ():
                        if access == "w" and any(member in one[group][name]["properties"] for one in known):
                            result[group][name]["properties"].setdefault(member, access)
                    continue
                elsewhere = [other[group][name] for other in known if name in other[group]]
                if strict and not elsewhere and name not in allowed:
                    result["left_out"].append(name)
                    continue
                kept = json.loads(json.dumps(what))
                if strict and name not in allowed:
                    for part in ("members", "methods", "properties"):
                        for member in list(kept.get(part, ()) if isinstance(kept, dict) else ()):
                            if (
                                not any(member in other[part] for other in elsewhere)
                                and f"{name}.{member}" not in allowed
                            ):
                                del kept[part][member]
                                result["left_out"].append(f"{name}.{member}")
                if isinstance(kept, dict):
                    kept["source"] = place
                result[group][name] = kept
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("record")
    one.add_argument("source", help="the name of an installed module, or a file of type stubs (.pyi)")
    one.add_argument("output", type=Path)
    one.add_argument("--label", help="what the source is; of stubs, with the version first")
    many = commands.add_parser("combine")
    many.add_argument("version")
    many.add_argument("records", nargs="+", type=Path)
    many.add_argument("--own", type=int, default=0, help="how many of the records are of that version itself")
    many.add_argument("--known", nargs="*", default=[], type=Path)
    many.add_argument("--allow", type=Path, help="a file of names, with # before comments")
    many.add_argument("--note", help="what a reader must know beside the sources")
    many.add_argument("--output", type=Path, required=True)
    told = parser.parse_args()
    if told.command == "record":
        if told.source.endswith(".pyi"):
            surface = record_stubs(Path(told.source), told.label.split()[0])
            members_in_comments(Path(told.source), surface)
        else:
            surface = record_module(told.source)
        surface["label"] = told.label or f"{told.source} {surface['version']}, installed"
    else:
        lines = told.allow.read_text(encoding="utf-8").splitlines() if told.allow else []
        allowed = [line.partition("#")[0].strip() for line in lines]
        known = [json.loads(path.read_bytes()) for path in told.known]
        surface = combine(
            told.version, [json.loads(path.read_bytes()) for path in told.records], told.own, known, allowed
        )
        surface["note"] = told.note or ""
    told_text = json.dumps(surface, sort_keys=False, indent=1)
    # One line for each signature and each property.
    told_text = re.sub(
        r"\[\s+((?:\"[^\"]*\"|true|false|,|\s)+?)\s+\]", lambda m: "[" + re.sub(r"\s+", " ", m[1]) + "]", told_text
    )
    told.output.write_text(told_text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
