"""Objects that have something to do when their process forks or ends."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar
from weakref import WeakSet

T = TypeVar("T")


class Instances(Generic[T]):
    """The objects of one class that are alive, and what each does in a forked child and at exit."""

    def __init__(
        self, *, in_child: Callable[[T], None], at_exit: Callable[[T], None] | None = None
    ) -> None:
        self._alive: WeakSet[T] = WeakSet()
        if sys.platform != "win32":  # it has no fork
            os.register_at_fork(after_in_child=partial(self.call, in_child))
        if at_exit is not None:
            atexit.register(partial(self.call, at_exit))

    def add(self, one: T) -> None:
        """Include *one* for as long as somebody else refers to it."""
        self._alive.add(one)

    def call(self, method: Callable[[T], None]) -> None:
        """Call *method* on each object."""
        for one in [*self._alive]:
            method(one)
