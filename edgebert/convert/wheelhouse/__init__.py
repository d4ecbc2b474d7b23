"""A folder of wheels from which a device without network installs EdgeBERT and a runtime.

:func:`~edgebert.convert.wheelhouse.house.make_wheelhouse` does it all. Of EdgeBERT this needs ``bundle``, ``devices``
and the target descriptions, nothing of the runtime and none of the converter's libraries.
"""

from __future__ import annotations

from edgebert.convert.wheelhouse.house import LIBCS, PYTHONS, Wheelhouse, make_wheelhouse

__all__ = ["LIBCS", "PYTHONS", "Wheelhouse", "make_wheelhouse"]
