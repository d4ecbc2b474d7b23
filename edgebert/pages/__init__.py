"""Pages for people: the frame, the style and the plots that every page of EdgeBERT has.

A page is one HTML file without script or external resource, so that it opens offline and can be sent by mail. What
stands on it is made where it was measured: ``edgebert.convert``, ``edgebert.compress`` and ``edgebert.bench``. This
package needs the standard library alone.
"""

from __future__ import annotations
