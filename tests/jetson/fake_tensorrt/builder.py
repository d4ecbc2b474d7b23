"""``Builder`` and ``IBuilderConfig``: what each version asks for before it builds, and what a build does."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

from tests.jetson.fake_tensorrt import driver
from tests.jetson.fake_tensorrt.checks import problems
from tests.jetson.fake_tensorrt.events import note, told
from tests.jetson.fake_tensorrt.layers import choose_types, layer_reports
from tests.jetson.fake_tensorrt.network import Network, OptimizationProfile
from tests.jetson.fake_tensorrt.plan import PlanHeader, dump_plan, dump_timings, load_timings
from tests.jetson.fake_tensorrt.strict import Api, complain

_BUILD = ("Building engine", None, 6)
_PHASES = (
    ("Cloning network graph", "Building engine", 12),
    ("Preparing graph for optimization", "Building engine", 4),
    ("Optimizing graph", "Building engine", 30),
)
_TACTICS = (("Timing tactics", "Building engine", 3), ("Timing graph nodes", "Building engine", 4))
"""Of each profile, with the same names again."""


class _CancelledError(Exception):
    """The monitor wants no more."""


class HostMemory:
    """``IHostMemory``."""

    def __init__(self, api: Api, data: bytes) -> None:
        self.data = data
        self.nbytes = len(data)
        self.dtype = api.enum("DataType", "INT8")


class TimingCache:
    """``ITimingCache``."""

    def __init__(self, api: Api, device: dict[str, Any], entries: dict[str, str]) -> None:
        self._api = api
        self.device = device
        self.entries = entries

    def serialize(self) -> Any:
        return self._api.show("IHostMemory", HostMemory(self._api, dump_timings(self.device, self.entries)))

    def combine(self, input_cache: Any, ignore_mismatch: bool) -> bool:
        other: TimingCache = input_cache._fake
        if other.device != self.device and not ignore_mismatch:
            return False
        self.entries.update(other.entries)
        return True

    def reset(self) -> bool:
        self.entries.clear()
        return True


class Config:
    """``IBuilderConfig``."""

    def __init__(self, api: Api, logger: Any) -> None:
        self._api = api
        self._logger = logger
        tf32 = api.enum("BuilderFlag", "TF32")
        self.flags = 1 << int(tf32)  # on from the start, as in the real one
        self.pools: dict[str, int] = {}
        self.features: set[str] = set()
        self.profiles: list[OptimizationProfile] = []
        self.cache: Any = None
        self.progress_monitor: Any = None
        self.profiling_verbosity = api.enum("ProfilingVerbosity", "LAYER_NAMES_ONLY")
        self.builder_optimization_level = 3
        self.max_aux_streams = -1
        self.avg_timing_iterations = 1
        self.engine_capability = api.enum("EngineCapability", "STANDARD")
        self.hardware_compatibility_level = api.enum("HardwareCompatibilityLevel", "NONE")
        self.default_device_type = api.enum("DeviceType", "GPU")

    @property
    def num_optimization_profiles(self) -> int:
        return len(self.profiles)

    def set_flag(self, flag: Any) -> None:
        self.flags |= 1 << int(flag)

    def clear_flag(self, flag: Any) -> None:
        self.flags &= ~(1 << int(flag))

    def get_flag(self, flag: Any) -> bool:
        return bool(self.flags & (1 << int(flag)))

    def has(self, flag: str) -> bool:
        member = self._api.enum("BuilderFlag", flag)
        return member is not None and self.get_flag(member)

    def flag_names(self) -> list[str]:
        return [name for name in self._api.module.BuilderFlag.__members__ if self.has(name)]

    def set_memory_pool_limit(self, pool: Any, pool_size: int) -> None:
        self.pools[pool.name] = int(pool_size)

    def get_memory_pool_limit(self, pool: Any) -> int:
        return self.pools.get(pool.name, 0)

    def set_preview_feature(self, feature: Any, enable: bool) -> None:
        (self.features.add if enable else self.features.discard)(feature.name)

    def get_preview_feature(self, feature: Any) -> bool:
        return feature.name in self.features

    def add_optimization_profile(self, profile: Any) -> int:
        self.profiles.append(profile._fake)
        return len(self.profiles) - 1

    def create_timing_cache(self, serialized_timing_cache: Any) -> Any:
        data = _bytes(serialized_timing_cache)
        device = _device(self._api)
        entries: dict[str, str] = {}
        if data:
            try:
                device, entries = load_timings(data)
            except ValueError as error:
                if self._api.major >= 11:
                    complain(
                        self._logger, "WARNING", "Failed to deserialize timing cache. Returning an empty timing cache."
                    )
                    return self._api.show("ITimingCache", TimingCache(self._api, device, {}))
                complain(self._logger, "ERROR", f"1: [serialization.cpp] Error Code 1: Serialization ({error})")
                return None
            if device["version"] != self._api.version:
                text = "the timing cache was made by another version of TensorRT"
                complain(self._logger, "ERROR", f"1: [serialization.cpp] Error Code 1: Serialization ({text})")
                return None
        return self._api.show("ITimingCache", TimingCache(self._api, device, entries))

    def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
        if cache._fake.device != _device(self._api) and not ignore_mismatch:
            complain(self._logger, "ERROR", "3: the timing cache was made on another device")
            return False
        self.cache = cache
        return True

    def get_timing_cache(self) -> Any:
        return self.cache


class Builder:
    """``Builder``. Without a driver the real one complains, and its constructor raises."""

    def __init__(self, api: Api, logger: Any) -> None:
        note("Builder")
        code = driver.problem()
        if code:
            driver.complain_of_driver(logger, code)
            raise TypeError("pybind11::init(): factory function returned nullptr")
        self._api = api
        self.logger = logger
        self.error_recorder: Any = None
        self.max_threads = 0
        self.platform_has_tf32 = self.platform_has_fast_fp16 = self.platform_has_fast_int8 = True
        self.max_DLA_batch_size = self.num_DLA_cores = 0

    def create_network(self, flags: int = 0) -> Any:
        names = self._api.module.NetworkDefinitionCreationFlag.__members__
        chosen = [name for name, flag in names.items() if int(flags) & (1 << int(flag))]
        note("create_network", flags=chosen)
        return self._api.show("INetworkDefinition", Network(self._api, self._shown(), int(flags)))  # type: ignore[attr-defined]

    def create_builder_config(self) -> Any:
        return self._api.show("IBuilderConfig", Config(self._api, self.logger))

    def create_optimization_profile(self) -> Any:
        return self._api.show("IOptimizationProfile", OptimizationProfile(self._api))

    def build_serialized_network(self, network: Any, config: Any) -> Any:
        return _Build(self._api, self.logger, network._fake, config._fake).run()


class _Build:
    """One build."""

    def __init__(self, api: Api, logger: Any, network: Network, config: Config) -> None:
        self._api = api
        self._logger = logger
        self._network = network
        self._config = config

    def run(self) -> Any:
        network, config = self._network, self._config
        constraints = {layer.name: layer.precision.name for layer in network.layers if layer.precision_is_set}
        output_types = {
            layer.outputs[index].name: kind.name
            for layer in network.layers
            for index, kind in layer.output_types.items()
        }
        facts = {
            "flags": config.flag_names(),
            "preview": sorted(config.features),
            "strongly_typed": network.strongly_typed,
            "workspace": config.pools.get("WORKSPACE"),
            "verbosity": config.profiling_verbosity.name,
            "profiles": [profile.shapes for profile in config.profiles],
            "precisions": constraints,
            "output_types": output_types,
        }
        wrong = next(problems(network, config, self._logger), None)
        if wrong is not None:
            note("build", **facts, error=wrong)
            complain(self._logger, "ERROR", wrong)
            return None
        if told("crash-build"):
            note("build", **facts, error="killed")
            os.kill(os.getpid(), signal.SIGKILL)
        kinds = choose_types(network, config)
        reused, timed = self._time(kinds)
        if not self._go_through():
            note("build", **facts, error="cancelled")
            return None
        gpu, capability = driver.gpu()
        assert network.model is not None
        header = PlanHeader(
            version=self._api.version,
            gpu=gpu,
            capability=list(capability),
            strongly_typed=network.strongly_typed,
            shares_profiles=self._api.major >= 10 or "PROFILE_SHARING_0806" in config.features,
            verbosity=config.profiling_verbosity.name,
            workspace=config.pools.get("WORKSPACE", 0),
            flags=config.flag_names(),
            profiles=[profile.shapes for profile in config.profiles],
            constraints=constraints,
            layers=layer_reports(network, kinds, config.profiling_verbosity.name == "DETAILED"),
        )
        plan = dump_plan(header, network.model.SerializeToString())
        note("build", **facts, error=None, timings_reused=reused, timings_made=timed, bytes=len(plan))
        return self._api.show("IHostMemory", HostMemory(self._api, plan))

    def _time(self, kinds: dict[str, str]) -> tuple[int, int]:
        """How many timings the cache had, and how many it had not, which it has from now on."""
        if self._config.cache is None or self._config.has("DISABLE_TIMING_CACHE"):
            return 0, len(self._network.layers)
        entries = self._config.cache._fake.entries
        wanted = {
            f"{layer.kind} {[kinds[one.name] for one in layer.outputs]} {[one.sizes for one in layer.outputs]}"
            for layer in self._network.layers
        }
        missing = wanted - set(entries)
        entries.update(dict.fromkeys(sorted(missing), "0x1"))
        return len(wanted) - len(missing), len(missing)

    def _go_through(self) -> bool:
        """Tells the monitor of the phases, as TensorRT-RTX 1.7.1 was seen to. Whether it lets the build end."""
        pause = float(os.environ.get("FAKE_TENSORRT_BUILD_S", "0"))
        phases = [*_PHASES, *[phase for _ in self._config.profiles for phase in _TACTICS]]
        try:
            with self._phase(*_BUILD):
                for name, parent, steps in phases:
                    time.sleep(pause / len(phases))
                    with self._phase(name, parent, steps):
                        for step in range(steps):
                            while told("hang-build"):
                                time.sleep(0.05)
                            self._step(name, step)
        except _CancelledError:
            complain(self._logger, "ERROR", "IBuilder::buildSerializedNetwork: Error Code 7: BuildCanceled")
            return False
        return True

    @contextlib.contextmanager
    def _phase(self, name: str, parent: str | None, steps: int) -> Iterator[None]:
        monitor = self._config.progress_monitor
        if monitor is None:
            yield
            return
        monitor.phase_start(name, parent, steps)
        try:
            yield
        finally:
            monitor.phase_finish(name)

    def _step(self, name: str, step: int) -> None:
        monitor = self._config.progress_monitor
        if monitor is not None and not monitor.step_complete(name, step):
            raise _CancelledError


def _bytes(data: Any) -> bytes:
    fake = getattr(data, "_fake", None)
    return bytes(data) if fake is None else fake.data


def _device(api: Api) -> dict[str, Any]:
    gpu, capability = driver.gpu()
    return {"version": api.version, "gpu": gpu, "capability": list(capability)}


CLASSES: dict[str, Any] = {"Builder": Builder}
