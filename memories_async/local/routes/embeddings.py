"""`POST /serve/api/v2/embeddings/video`: the page "Generate Video Embedding"."""

from __future__ import annotations

from attrs import frozen

from memories_async.local.jobs.engine_pool import Workshop
from memories_async.local.jobs.request_context import Answer, Visit
from memories_async.local.jobs.upload_store import DEFAULT, Shelf
from memories_async.local.state.forms import read_json, required
from memories_async.local.state.library import ASSET, LocalVideo
from memories_async.local.state.wire import Host, Reason, Refusal

__all__ = ["Embed"]

MODELS = ("multimodalembedding@001",)


@frozen(kw_only=True)
class Embed:
    """Describes a whole video by one vector.

    The vector is the engine's own: it carries the documented model's name on the wire, and nothing
    of that model in it. `X-Local-Engine` says so in every reply.
    """

    workshop: Workshop
    shelf: Shelf
    name: str = "embeddings.video"
    path: str = "/serve/api/v2/embeddings/video"
    method: str = "POST"
    is_free: bool = False
    host: Host = Host.V2

    async def read(self, visit: Visit) -> LocalVideo:
        """Find the asset; an unknown one is HTTP 400, as the error page says."""
        fields = await read_json(visit.request)
        asset_id = required(fields, "asset_id")
        model = required(fields, "model")
        if model not in MODELS:
            sentence = f"The model '{model}' is not supported: {', '.join(MODELS)}."
            raise Refusal(Reason.WRONG, sentence)
        found = await self.shelf.find(asset_id, account=visit.account, unique_id=DEFAULT)
        if found is None or not asset_id.startswith(ASSET):
            raise Refusal(Reason.WRONG, "Asset not found")
        if found.status != "PARSE":
            raise Refusal(Reason.WRONG, "Asset is not ready")
        return found.video

    async def work(self, order: LocalVideo, _visit: Visit) -> Answer:
        """Ask the engine."""
        vector = await self.workshop.embed(order)
        return Answer(content={"embedding": list(vector)}, item=order.asset_id)
