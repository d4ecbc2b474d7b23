"""The wheelhouse, filled from a folder of tiny wheels instead of an index."""
