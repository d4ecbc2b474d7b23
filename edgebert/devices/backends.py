"""Which inference backends are installed, found out from package metadata without importing any of them.

Importing a backend costs hundreds of milliseconds and starts its thread pools, so only the one that is used may be.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
from dataclasses import dataclass

from edgebert.devices.versions import version_at_least
from edgebert.devices.wheels import install_line
from edgebert.errors import BackendError


@dataclass(frozen=True)
class Runtime:
    """One distribution that can run the artifacts of one backend.

    ``module`` is what an engine imports. ``version`` is the installed one, ``None`` when it is not installed or does
    not say. ``problem`` says why it cannot be used and is ``None`` when it can. ``install`` is the shell line that
    installs it here, or the sentence that says why there is none.
    """

    backend: str
    distribution: str
    module: str
    version: str | None
    problem: str | None
    install: str


@dataclass(frozen=True)
class _Provider:
    backend: str
    distribution: str
    module: str
    variants: tuple[str, ...] = ()
    """Other builds that provide the same module; named only when they are installed."""


_PROVIDERS = (
    _Provider("onnx", "onnxruntime", "onnxruntime", variants=("onnxruntime-gpu", "onnxruntime-openvino")),
    _Provider("openvino", "openvino", "openvino"),
    _Provider("tflite", "ai-edge-litert", "ai_edge_litert.interpreter"),
    _Provider("tflite", "tflite-runtime", "tflite_runtime.interpreter"),
    _Provider("tensorrt", "tensorrt", "tensorrt"),
)


def find_runtimes(backend: str | None = None) -> list[Runtime]:
    """List the runtimes of ``backend`` (default: of all backends), installed or not, in order of preference.

    Returns:
        At least one ``Runtime`` per backend; those with ``problem is None`` can be used.

    Raises:
        BackendError: there is no such backend.
    """
    backends = list(dict.fromkeys(provider.backend for provider in _PROVIDERS))
    if backend is not None and backend not in backends:
        raise BackendError(f"There is no backend {backend!r}.", hint=f"The backends are {', '.join(backends)}.")
    return [runtime for item in _PROVIDERS if backend in (None, item.backend) for runtime in _runtimes(item)]


def installed_version(distribution: str) -> str | None:
    """The version of an installed distribution; ``None`` if it is not installed, empty if its metadata has none."""
    from importlib import metadata  # costs 15 ms, which `import edgebert` need not pay

    try:
        # Damaged metadata (an interrupted installation) reads as None or raises KeyError, by version of Python.
        return metadata.version(distribution) or ""
    except metadata.PackageNotFoundError:
        return None
    except (KeyError, OSError, ValueError):
        return ""


def _runtimes(provider: _Provider) -> list[Runtime]:
    names = (provider.distribution, *provider.variants)
    installed = [(name, version) for name in names if (version := installed_version(name)) is not None]
    found = _module_exists(provider.module)
    if not installed:
        problem = f"{provider.distribution} is not installed"
        if found:
            problem = (
                f"a module {provider.module} is there, but no installed package says that it provides it, "
                "so its version is unknown"
            )
        return [_runtime(provider, provider.distribution, None, problem)]
    return [
        _runtime(provider, name, version or None, _problem(provider, name, version, found))
        for name, version in installed
    ]


def _runtime(provider: _Provider, distribution: str, version: str | None, problem: str | None) -> Runtime:
    install = f"pip install {distribution}" if distribution in provider.variants else install_line(distribution)
    return Runtime(provider.backend, distribution, provider.module, version, problem, install)


def _problem(provider: _Provider, distribution: str, version: str, module_exists: bool) -> str | None:
    if not module_exists:
        return f"{distribution} is installed, but its module {provider.module} is missing: install it again"
    if not version:
        return f"the package metadata of {distribution} is damaged: install it again"
    if distribution == "tflite-runtime":
        numpy = installed_version("numpy")
        if numpy and version_at_least(numpy, "2"):
            return f"tflite-runtime {version} is built for numpy 1, and numpy {numpy} is installed"
    return None


def _module_exists(name: str) -> bool:
    # importlib.util.find_spec("a.b") would import a; so only the first part goes through it.
    top, *rest = name.split(".")
    try:
        spec = importlib.util.find_spec(top)
        for depth in range(len(rest)):
            if spec is None:
                return False
            full = ".".join([top, *rest[: depth + 1]])
            spec = importlib.machinery.PathFinder.find_spec(full, list(spec.submodule_search_locations or ()))
    except (ImportError, ValueError):
        return False
    # A namespace package has no loader: a leftover empty folder, not a backend.
    return spec is not None and spec.origin is not None
