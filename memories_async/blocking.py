"""The blocking form: the asynchronous client on a loop thread of its own.

The loop runs between calls too, so it works inside a running loop, in notebooks, from many threads
and after a fork. A call that is interrupted (Ctrl-C) is cancelled, not left running on the bill.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Self, TypeVar

from memories_async import _views, client
from memories_async._calls import Call
from memories_async._configured import Configured
from memories_async._loop_thread import LoopThread
from memories_async._settings import Settings
from memories_async._transport import Transport

T = TypeVar("T")


class Client(Configured):
    """The blocking client: the same names, without `await`. Threads may share it."""

    _thread: LoopThread

    def _share(self, settings: Settings, transport: Transport) -> None:
        super()._share(settings, transport)
        self._thread = vars(self).get("_thread") or LoopThread()

    def _awaited(self) -> client.Client:
        return client.Client.over(self._settings, self._transport)

    def send(self, call: Call[T], *, fresh: bool = False) -> T:
        """Send *call* and return its answer; see the asynchronous client."""
        return self.run(lambda awaited: awaited.send(call, fresh=fresh))

    def run(self, flow: Callable[[client.Client], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine function with the asynchronous client, on this one's loop."""
        return self._thread.wait(lambda: flow(self._awaited()))

    @property
    def clips(self) -> _views.BlockingClips:
        """Search Clips by Image."""
        return _views.BlockingClips(self)

    @property
    def captions(self) -> _views.BlockingCaptions:
        """Video Caption."""
        return _views.BlockingCaptions(self)

    @property
    def embeddings(self) -> _views.BlockingEmbeddings:
        """Generate Video Embedding."""
        return _views.BlockingEmbeddings(self)

    @property
    def videos(self) -> _views.BlockingVideos:
        """The v1 video library."""
        return _views.BlockingVideos(self)

    @property
    def assets(self) -> _views.BlockingAssets:
        """The v2 asset store."""
        return _views.BlockingAssets(self)

    def close(self) -> None:
        """Close the connections and end the thread; may be called twice."""
        if self._thread.is_running():
            self._thread.wait(self._transport.aclose)
        self._thread.stop()

    def __enter__(self) -> Self:
        """Return the client; nothing is opened yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections and end the thread."""
        self.close()
