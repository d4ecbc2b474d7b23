"""The version of EdgeBERT."""

__version__ = "0.1.0"
