"""Ray and pyarrow, or one sentence that says what to install."""

from __future__ import annotations

from importlib import import_module
from typing import Any

try:
    pa: Any = import_module("pyarrow")
    ray: Any = import_module("ray")
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"memories_async.ray needs {error.name}: pip install 'memories_async[ray]'",
        name=error.name,
    ) from error
