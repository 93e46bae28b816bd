"""Flows as values: an upload, and the call on what was uploaded. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Literal, TypeVar

from attrs import evolve, field, frozen

from memories_async._protocol.arguments import SECONDS
from memories_async._protocol.call import Call, Form, Json

T = TypeVar("T")

TIMEOUT = 1800.0
"""Seconds that a wait for an upload takes at most by default."""
FIRST_INTERVAL = 1.0
"""Seconds between the first two requests of a wait: the documented rate limit, as a short video is
soon ready."""
LATER = "later"
"""Stands for the id of an upload that has none yet."""


@frozen(kw_only=True)
class Flow(Generic[T]):
    """An upload, the wait until it can be used, and a call on it; not yet sent.

    Building one costs nothing and uses no network. `client.send` and `client.batch` take it like a
    call. The upload and the call are billed, each once.
    """

    name: str
    """Module and function that built it, such as `embeddings.video_file`."""
    upload: Call[Any]
    call: Call[T]
    """The call, with a placeholder for the id of the upload: see `build_call`."""
    id_field: Literal["asset_id", "video_no"]
    """The field of the upload's answer, and of the call's body, that holds the id."""
    ask: Callable[[str], Call[Any]] = field(repr=False, eq=False)
    """Builds the free call that asks for the status of the upload with an id."""
    timeout: float = field(default=TIMEOUT, validator=SECONDS)
    """Seconds to wait at most until the upload can be used."""
    interval: float = field(default=FIRST_INTERVAL, validator=SECONDS)
    """Seconds between the first two requests of the wait; the interval grows to 30."""

    def read_id(self, uploaded: Any) -> str:
        """Return the id in the answer to `upload`."""
        upload_id: str = getattr(uploaded, self.id_field)
        return upload_id

    def build_call(self, upload_id: str) -> Call[T]:
        """Return the call on the upload with this id."""
        body = self.call.body
        if isinstance(body, Form):
            parts = (
                evolve(part, content=upload_id) if part.name == self.id_field else part
                for part in body.parts
            )
            return evolve(self.call, body=Form(tuple(parts)))
        assert isinstance(body, Json)
        return evolve(self.call, body=Json({**body.plain, self.id_field: upload_id}))


__all__ = ["FIRST_INTERVAL", "LATER", "TIMEOUT", "Flow"]
