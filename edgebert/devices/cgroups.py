"""The CPU and memory limits of the control group this process is in, version 1 and 2.

Every ancestor group limits as well, so the strictest of the whole path holds. Interfaces:
https://docs.kernel.org/admin-guide/cgroup-v2.html and https://docs.kernel.org/admin-guide/cgroup-v1/.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from edgebert.devices.kernel_files import parse_int, read_int, read_text


@dataclass(frozen=True)
class Limits:
    """Limits of the control group; ``None`` where there is none.

    ``cpus`` is CPU time per wall time (1.5 means one and a half CPUs), ``memory_bytes`` the limit, ``free_bytes``
    what is left of it, page cache that can be dropped counted as free.
    """

    cpus: float | None
    memory_bytes: int | None
    free_bytes: int | None


def read_limits(root: Path = Path("/")) -> Limits:
    """Read the limits that hold for ``/proc/self`` under ``root``; never raises."""
    cpus: list[float] = []
    memory: list[int] = []
    free: list[int] = []
    for group in _groups(root, "cpu"):
        quota, period = _cpu_quota(root, group)
        if quota is not None and period is not None and quota > 0 and period > 0:
            cpus.append(quota / period)
    for group in _groups(root, "memory"):
        limit, used = _memory(root, group)
        if limit is not None and limit > 0:
            memory.append(limit)
            free.append(max(limit - used, 0))
    return Limits(min(cpus, default=None), min(memory, default=None), min(free, default=None))


def _cpu_quota(root: Path, group: str) -> tuple[int | None, int | None]:
    words = read_text(root, f"{group}/cpu.max").split()
    if len(words) == 2:
        return parse_int(words[0]), parse_int(words[1])
    return read_int(root, f"{group}/cpu.cfs_quota_us"), read_int(root, f"{group}/cpu.cfs_period_us")


def _memory(root: Path, group: str) -> tuple[int | None, int]:
    limit = read_int(root, f"{group}/memory.max")
    used = read_int(root, f"{group}/memory.current")
    reclaimable = "inactive_file"
    if limit is None:
        limit = read_int(root, f"{group}/memory.limit_in_bytes")
        used = read_int(root, f"{group}/memory.usage_in_bytes")
        reclaimable = "total_inactive_file"
    for line in read_text(root, f"{group}/memory.stat").splitlines():
        key, _, value = line.partition(" ")
        if key == reclaimable and used is not None:
            used -= parse_int(value) or 0
    return limit, max(used or 0, 0)


def _groups(root: Path, controller: str) -> Iterator[str]:
    # The group's directory and all its ancestors up to the mount point, for version 1 (the controller's own
    # hierarchy) and version 2 (one hierarchy, with an empty controller list); a hybrid system has both.
    paths: dict[str, str] = {}
    for line in read_text(root, "/proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if controller in controllers.split(","):
            paths["cgroup"] = group
        elif number == "0" and not controllers:
            paths["cgroup2"] = group
    for kind, mounted, point in _mounts(root, controller):
        if kind not in paths:
            continue
        path = PurePosixPath(paths[kind])
        # Inside a container the mount shows only the container's part of the tree, while /proc/self/cgroup may
        # still give the path from the host's root.
        try:
            inside = path.relative_to(mounted)
        except ValueError:
            inside = PurePosixPath()
        if ".." in inside.parts:
            inside = PurePosixPath()
        for part in [inside, *inside.parents]:
            yield str(PurePosixPath(point) / part)


def _mounts(root: Path, controller: str) -> Iterator[tuple[str, str, str]]:
    text = read_text(root, "/proc/self/mountinfo")
    if not text:
        yield "cgroup2", "/", "/sys/fs/cgroup"
        yield "cgroup", "/", f"/sys/fs/cgroup/{controller}"
        return
    for line in text.splitlines():
        before, dash, after = line.partition(" - ")
        fields, kind_fields = before.split(" "), after.split(" ")
        if not dash or len(fields) < 5 or len(kind_fields) < 3:
            continue
        kind, options = kind_fields[0], kind_fields[2]
        if kind == "cgroup2" or (kind == "cgroup" and controller in options.split(",")):
            yield kind, _unescape(fields[3]), _unescape(fields[4])


def _unescape(path: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), path)
