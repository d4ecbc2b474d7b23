"""Makes a module of a recorded surface: it has what was recorded, and takes what pybind11 would take.

Objects that a user sees have one attribute beside the recorded ones: ``_fake``, the object that does the work.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from types import ModuleType
from typing import Any, ClassVar

Overloads = list[list[list[Any]]]


class Enum:
    """A value of an enumeration as pybind11 makes them: not iterable, not arithmetic, hashable, with an integer."""

    __members__: ClassVar[dict[str, Any]] = {}
    _ordered = False

    def __init__(self, value: int) -> None:
        match = [one.name for one in self.__members__.values() if one.value == value]
        self.name: str = match[0] if match else "???"
        self.value: int = value

    def __int__(self) -> int:
        return self.value

    __index__ = __int__

    def __hash__(self) -> int:
        return hash(self.value)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.value == self.value

    def __lt__(self, other: object) -> bool:
        if not self._ordered or type(other) is not type(self):
            return NotImplemented
        return bool(self.value < other.value)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}.{self.name}: {self.value}>"

    def __str__(self) -> str:
        return f"{type(self).__name__}.{self.name}"


class Meta(type):
    """Refuses what has no constructor, and a subclass that does not call it."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        made = super().__call__(*args, **kwargs)
        if getattr(made, "_fake", None) is None:
            raise TypeError(f"tensorrt.{cls.__name__}.__init__() must be called when overriding __init__")
        return made


class Object(metaclass=Meta):
    """Base of the recorded classes."""

    _recorded = True
    _fake: Any = None

    def __setattr__(self, name: str, value: object) -> None:
        # Objects of pybind11 have no attributes of their own; those of a Python class that inherits have.
        if "_recorded" in vars(type(self)) and not isinstance(getattr(type(self), name, None), property):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        object.__setattr__(self, name, value)


class Api:
    """What implementations see of their module: its classes, and how to show an object to the user."""

    def __init__(self, module: ModuleType, version: str) -> None:
        self.module = module
        self.version = version
        self.major = int(version.split(".")[0])

    def show(self, name: str, implementation: Any) -> Any:
        """The object of the recorded class ``name`` that stands for an implementation; one at a time."""
        known = getattr(implementation, "_shown", None)
        shown = None if known is None else known()
        if shown is None:
            cls = getattr(self.module, name)
            shown = cls.__new__(cls)
            object.__setattr__(shown, "_fake", implementation)
            # Weakly: what is not used any more is to be freed at once, as by the real one.
            implementation._shown = weakref.ref(shown)
        return shown

    def enum(self, name: str, member: str) -> Any:
        """A member, or ``None`` where this version has none of that name.

        It is equal to that of the class and another object, as pybind11 makes one for each answer.
        """
        return copy(getattr(getattr(self.module, name, None), member, None))


def make_surface(
    surface: Mapping[str, Any], implementations: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]]
) -> ModuleType:
    """A module ``tensorrt`` with the names of ``surface``.

    Args:
        surface: as ``record.py`` writes it.
        implementations: class name -> class whose constructor takes an :class:`Api` and the constructor's arguments.
        functions: name -> function of an :class:`Api` and the arguments.
    """
    module = ModuleType("tensorrt")
    module.__version__ = surface["version"]  # type: ignore[attr-defined]
    api = Api(module, surface["version"])
    for name, recorded in surface["enums"].items():
        if "." not in name:
            setattr(module, name, _enum(name, recorded))
    for name, recorded in sorted(surface["classes"].items(), key=lambda one: len(one[1]["bases"])):  # a base has none
        bases = tuple(getattr(module, base) for base in recorded["bases"]) or (Object,)
        setattr(module, name, _class(api, name, recorded, bases, implementations.get(name)))
    severity = _enum("Severity", surface["enums"]["ILogger.Severity"])
    for name in ("ILogger", "Logger"):
        cls = getattr(module, name)
        type.__setattr__(cls, "Severity", severity)
        for member, value in severity.__members__.items():
            type.__setattr__(cls, member, value)
    for name, overloads in surface["functions"].items():
        setattr(module, name, _function(api, name, overloads, functions.get(name)))
    for name, member in surface["constants"].items():
        setattr(module, name, api.enum("DataType", member))
    return module


def _enum(name: str, recorded: Mapping[str, Any]) -> Any:
    cls: Any = type(name, (Enum,), {"_ordered": recorded["ordered"], "__module__": "tensorrt.tensorrt"})
    members = {}
    for member, value in recorded["members"].items():
        one = cls.__new__(cls)
        one.name, one.value = member, value
        members[member] = one
        setattr(cls, member, one)
    cls.__members__ = members
    return cls


def _class(api: Api, name: str, recorded: Mapping[str, Any], bases: tuple[type, ...], implementation: Any) -> type:
    names: dict[str, Any] = {"__module__": "tensorrt.tensorrt", "_recorded": True}

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        if recorded["init"] is None:
            raise TypeError(f"tensorrt.tensorrt.{name}: No constructor defined!")
        check(api, f"{name}.__init__", recorded["init"], args, kwargs)
        object.__setattr__(self, "_fake", True if implementation is None else implementation(api, *args, **kwargs))
        if implementation is not None:
            self._fake._shown = weakref.ref(self)

    names["__init__"] = init
    for method, overloads in recorded["methods"].items():
        names[method] = _method(api, name, method, overloads)
    for attribute, access in recorded["properties"].items():
        names[attribute] = _property(api, name, attribute, access)
    if name == "IHostMemory":  # the buffer protocol, which a class of Python itself can only have since 3.12
        names["__bytes__"] = lambda self: self._fake.data
        names["__buffer__"] = lambda self, _: memoryview(self._fake.data)
    if name == "Dims":
        names["__repr__"] = lambda self: str(tuple(self._fake.shape))
        names["__eq__"] = lambda self, other: self._fake.shape == dims(other)
        names["__hash__"] = None
    return Meta(name, bases, names)


def _method(api: Api, owner: str, name: str, overloads: Overloads) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        check(api, f"{owner}.{name}", overloads, args, kwargs)
        done = getattr(self._fake, name, None)
        if done is None:
            raise NotImplementedError(f"the fake TensorRT does not do {owner}.{name}")
        return done(*args, **kwargs)

    method.__name__ = name
    return method


def _property(api: Api, owner: str, name: str, access: str) -> property:
    def get(self: Any) -> Any:
        if not hasattr(self._fake, name):
            raise NotImplementedError(f"the fake TensorRT does not have {owner}.{name}")
        return getattr(self._fake, name)

    def put(self: Any, value: Any) -> None:
        if not hasattr(self._fake, name):
            raise NotImplementedError(f"the fake TensorRT does not have {owner}.{name}")
        before = getattr(self._fake, name)
        if isinstance(before, Enum) and type(value) is not type(before):
            raise TypeError(f"{owner}.{name}: incompatible function arguments: {value!r} is no {type(before).__name__}")
        setattr(self._fake, name, value)

    return property(get if "r" in access else None, put if "w" in access else None)


def _function(api: Api, name: str, overloads: Overloads, function: Callable[..., Any] | None) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        check(api, name, overloads, args, kwargs)
        if function is None:
            raise NotImplementedError(f"the fake TensorRT does not do {name}")
        return function(api, *args, **kwargs)

    call.__name__ = name
    return call


def check(api: Api, name: str, overloads: Overloads, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Refuses a call that none of the overloads takes.

    Raises:
        TypeError: the number, a name, or the type of an argument is wrong.
    """
    if any(_takes(api, parameters, args, kwargs) for parameters in overloads):
        return
    known = "; ".join(", ".join(f"{one[0]}: {one[1]}" for one in parameters) for parameters in overloads)
    given = ", ".join([*map(repr, args), *(f"{key}={value!r}" for key, value in kwargs.items())])
    raise TypeError(f"{name}(): incompatible function arguments. Supported: ({known}). Invoked with: {given}")


def _takes(api: Api, parameters: list[list[Any]], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    if len(args) > len(parameters):
        return False
    given = dict(zip((one[0] for one in parameters), args, strict=False))
    for name, value in kwargs.items():
        positional_only = name.startswith("arg") and name[3:].isdigit()
        if name in given or positional_only or name not in {one[0] for one in parameters}:
            return False
        given[name] = value
    return all(
        _fits(api, kind, given[name]) if name in given else has_default for name, kind, has_default in parameters
    )


def _fits(api: Api, kind: str, value: Any) -> bool:
    if kind == "int":
        return hasattr(value, "__index__") and not isinstance(value, bool)
    if kind in ("str", "bool", "tuple", "list"):
        return isinstance(value, {"str": str, "bool": bool, "tuple": tuple, "list": list}[kind])
    if kind == "float":
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind == "Dims":
        return isinstance(value, api.module.Dims) or _are_integers(value)
    if kind.endswith(("[int]", "[typing.SupportsInt]")):
        return _are_integers(value)
    if kind in ("buffer", "Buffer"):
        return isinstance(value, (bytes, bytearray, memoryview, api.module.IHostMemory))
    if kind.endswith("Severity"):
        return isinstance(value, api.module.ILogger.Severity)
    cls = getattr(api.module, kind.rpartition("::")[2], None)
    if not isinstance(cls, type):
        return True  # a type that was not recorded
    return isinstance(value, cls) or (value is None and not issubclass(cls, Enum))


def _are_integers(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and all(hasattr(one, "__index__") for one in value)


def dims(values: Iterable[Any]) -> tuple[int, ...]:
    """The numbers of what stands for ``Dims``."""
    fake = getattr(values, "_fake", None)
    return tuple(int(one) for one in (values if fake is None else fake.shape))


def complain(logger: Any, severity: str, text: str) -> None:
    """Gives a message to a user's logger, as pybind11 calls it; what that raises goes to standard error."""
    try:
        logger.log(getattr(type(logger).Severity, severity), text)
    except Exception as error:
        sys.stderr.write(f"[ERROR] Exception caught in log(): {error}\n")
