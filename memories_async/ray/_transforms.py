"""One call for each row of a batch of Ray Data: the row's columns, and those of its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Generic, TypeVar

from memories_async import clips, embeddings
from memories_async._protocol.call import Call
from memories_async.batch import OnUnknown, Outcome
from memories_async.client import Client
from memories_async.clips import Clip
from memories_async.embeddings import DEFAULT_MODEL, Embedding
from memories_async.ray._cluster import check_shared
from memories_async.ray._libraries import pa

T = TypeVar("T")

CONCURRENCY = 64
"""The default for the largest number of requests in flight in one worker."""
_CLIP = pa.struct(
    [("start_time", pa.float64()), ("end_time", pa.float64()), ("score", pa.float64())]
)
_OUTCOME = pa.schema([("error", pa.string()), ("billed", pa.string()), ("replayed", pa.bool_())])


class Send(Generic[T]):
    """Sends the call that *make_call* makes of each row, with *client*.

    Pass the class, not an object, to `Dataset.map_batches`, with `batch_format="pyarrow"` and an
    actor pool. The rows keep their order and their columns, and gain those of *schema*, which *read*
    makes of the answer, and three more: `error` (text; null where the row was answered), `billed`
    (`yes`, `no` or `maybe`: what this run paid for the row) and `replayed` (whether the ledger
    answered it). *prefix* is put before the names of the new columns. At most *concurrency*
    requests of one worker are in flight. *on_unknown* is that of `Client.batch`.

    A row that fails has its error, and null in the columns of its answer. What every other row would
    meet as well (a wrong key, an account without credit, a spent budget) ends the batch of rows, and
    the rows that were not sent say so. With a ledger a row is paid once, however often Ray runs its
    task. Without one, Ray pays again for the rows of each task that it runs again.
    """

    def __init__(
        self,
        client: Client,
        *,
        make_call: Callable[[dict[str, Any]], Call[T]],
        read: Callable[[T], Mapping[str, Any]],
        schema: Any,
        prefix: str = "",
        concurrency: int = CONCURRENCY,
        on_unknown: OnUnknown = "park",
    ) -> None:
        """Check the arguments; nothing is sent yet.

        Raises `ValueError` on a cluster of several nodes where the limiter or the ledger of *client*
        belongs to one machine, and names what to use.
        """
        check_shared(client)
        self._client = client
        self._make_call = make_call
        self._read = read
        self._schema = schema
        self._prefix = prefix
        self._concurrency = concurrency
        self._on_unknown: OnUnknown = on_unknown
        self._active = 0

    async def __call__(self, batch: Any) -> Any:
        """Send a call for each row of the table *batch*; return the table with the new columns."""
        if not isinstance(batch, pa.Table):
            kind = type(batch).__name__
            raise TypeError(
                f'rows must come as a pyarrow.Table, not {kind}: batch_format="pyarrow"'
            )
        names = [self._prefix + name for name in (*self._schema.names, *_OUTCOME.names)]
        if taken := sorted({*names} & {*batch.column_names}):
            raise ValueError(f"the rows have a column {taken[0]!r} already; pass prefix=")
        self._active += 1
        try:
            rows = await self._send(batch.to_pylist())
        finally:
            self._active -= 1
            if not self._active:
                # Ray ends a worker without telling its callable, which would leave connections open.
                await self._client.aclose()
        for field in (*self._schema, *_OUTCOME):
            column = pa.array([row.get(field.name) for row in rows], field.type)
            batch = batch.append_column(self._prefix + field.name, column)
        return batch

    async def _send(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the new columns of each of *rows*."""
        items = [(number, partial(self._make_call, row)) for number, row in enumerate(rows)]
        found: dict[int, dict[str, Any]] = {}
        sending = self._client.batch(
            items, concurrency=self._concurrency, on_unknown=self._on_unknown
        )
        async with sending as batch:
            async for outcome in batch:
                found[outcome.key] = self._describe(outcome)
        unsent = {"error": f"not sent: {batch.stopped}", "billed": "no", "replayed": False}
        return [found.get(number, unsent) for number, _ in items]

    def _describe(self, outcome: Outcome[int, T]) -> dict[str, Any]:
        row = {"error": None, "billed": outcome.billed, "replayed": outcome.replayed}
        if outcome.error is not None:
            return row | {"error": str(outcome.error)}
        try:
            return row | dict(self._read(outcome.result()))
        except Exception as error:  # noqa: BLE001  # what was paid is told with the row
            return row | {"error": f"the answer was not read: {type(error).__name__}: {error}"}


class Embed(Send[Embedding]):
    """Embeds the video whose asset id is in *column*; the rows gain `embedding`, a list of floats.

    The lists have one fixed size, that of the first answer. A success is billed as one embedding;
    with a ledger a repeat is safe. See `Send` for the other columns, and memories.ai docs, "Generate
    Video Embedding".
    """

    def __init__(
        self,
        client: Client,
        *,
        column: str = "asset_id",
        model: str = DEFAULT_MODEL,
        prefix: str = "",
        concurrency: int = CONCURRENCY,
        on_unknown: OnUnknown = "park",
    ) -> None:
        """Check the arguments; see `Send`."""
        super().__init__(
            client,
            make_call=lambda row: embeddings.video(row[column], model=model),
            read=self._read_embedding,
            schema=pa.schema([("embedding", pa.null())]),
            prefix=prefix,
            concurrency=concurrency,
            on_unknown=on_unknown,
        )

    def _read_embedding(self, embedding: Embedding) -> Mapping[str, Any]:
        known = self._schema.field("embedding").type
        if pa.types.is_null(known):
            size = len(embedding)
        else:
            # Vectors of two lengths have no fixed size; what was paid is kept.
            size = len(embedding) if len(embedding) == known.list_size else -1
        self._schema = pa.schema([("embedding", pa.list_(pa.float32(), size))])
        return {"embedding": embedding}


class Search(Send[tuple[Clip, ...]]):
    """Searches a video for a picture; the rows gain `clips`, each with its seconds and its score.

    *video* and *image* are the columns with the `video_no` and with the picture (a path, or bytes).
    *prompt* is the prompt of every row, or `None` where the column `prompt` has it. A success is
    billed as one search; with a ledger a repeat is safe. See `Send` for the other columns, and
    memories.ai docs, "Search Clips by Image".
    """

    def __init__(
        self,
        client: Client,
        *,
        video: str = "video_no",
        image: str = "image",
        prompt: str | None = None,
        unique_id: str = "default",
        prefix: str = "",
        concurrency: int = CONCURRENCY,
        on_unknown: OnUnknown = "park",
    ) -> None:
        """Check the arguments; see `Send`."""

        def make_call(row: dict[str, Any]) -> Call[tuple[Clip, ...]]:
            words = row["prompt"] if prompt is None else prompt
            return clips.search(row[image], prompt=words, video_no=row[video], unique_id=unique_id)

        super().__init__(
            client,
            make_call=make_call,
            read=lambda found: {"clips": [clip.to_dict() for clip in found]},
            schema=pa.schema([("clips", pa.list_(_CLIP))]),
            prefix=prefix,
            concurrency=concurrency,
            on_unknown=on_unknown,
        )
