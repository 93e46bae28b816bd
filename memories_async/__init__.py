"""The public names of memories_async."""

__version__ = "0.1.0"
