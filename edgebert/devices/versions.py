"""Comparing version numbers as PEP 440 orders them, without ``packaging``, which a device need not have."""

from __future__ import annotations

import re

_VERSION = re.compile(
    r"v?(?:(?P<epoch>\d+)!)?(?P<release>\d+(?:\.\d+)*)"
    r"(?:[-_.]?(?P<pre>alpha|a|beta|b|preview|pre|c|rc)[-_.]?(?P<pre_number>\d*))?"
    r"(?P<post>-(?P<post_implicit>\d+)|[-_.]?(?:post|rev|r)[-_.]?(?P<post_number>\d*))?"
    r"(?P<dev>[-_.]?dev[-_.]?(?P<dev_number>\d*))?"
    r"(?:\+[a-z0-9]+(?:[-_.][a-z0-9]+)*)?",
    re.ASCII,
)
_PRE_PHASES = {"a": 0, "alpha": 0, "b": 1, "beta": 1, "c": 2, "rc": 2, "pre": 2, "preview": 2}

# epoch, release without trailing zeros, pre-release phase and number, post-release, development release
_Key = tuple[int, tuple[int, ...], tuple[int, int], int, tuple[int, int]]


def version_at_least(version: str, minimum: str) -> bool:
    """Whether ``version`` is ``minimum`` or later, in the order of PEP 440; local parts (``+cu12``) do not count.

    So ``1.22.0rc1`` is before ``1.22`` and ``1.22.post1`` after it. ``False`` when either text is not a version.
    """
    have, need = _key(version), _key(minimum)
    return have is not None and need is not None and have >= need


def _key(text: str) -> _Key | None:
    match = _VERSION.fullmatch(text.strip().lower())
    if match is None or len(text) > 200:
        return None
    release = [int(part) for part in match["release"].split(".")]
    while release and release[-1] == 0:
        release.pop()
    if match["pre"]:
        pre = (_PRE_PHASES[match["pre"]], int(match["pre_number"] or 0))
    elif match["dev"] and not match["post"]:
        pre = (-1, 0)  # 1.0.dev1 comes before 1.0a1
    else:
        pre = (3, 0)
    post = int(match["post_implicit"] or match["post_number"] or 0) if match["post"] else -1
    dev = (0, int(match["dev_number"] or 0)) if match["dev"] else (1, 0)
    return int(match["epoch"] or 0), tuple(release), pre, post, dev
