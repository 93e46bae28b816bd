"""The version, in the one place that imports nothing."""

__version__ = "0.5.0"
