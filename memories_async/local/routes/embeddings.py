"""`POST /serve/api/v2/embeddings/video`: the page "Generate Video Embedding"."""

from __future__ import annotations

from attrs import frozen

from memories_async.local.jobs.engine_pool import EnginePool
from memories_async.local.jobs.request_context import RequestContext, RouteAnswer
from memories_async.local.jobs.upload_store import UploadStore
from memories_async.local.state.forms import get_required, read_json
from memories_async.local.state.library import ASSET, LocalVideo
from memories_async.local.state.wire import Reason, Refusal, RouteHost

__all__ = ["Embed"]

MODELS = ("multimodalembedding@001",)


@frozen(kw_only=True)
class Embed:
    """Computes one vector for a whole video.

    The vector is the engine's, whatever model the request names; the header `X-Local-Engine` of
    every reply names the engine.
    """

    engine_pool: EnginePool
    upload_store: UploadStore
    name: str = "embeddings.video"
    family: str = "embeddings"
    path: str = "/serve/api/v2/embeddings/video"
    method: str = "POST"
    is_free: bool = False
    host: RouteHost = RouteHost.V2

    async def read(self, context: RequestContext) -> LocalVideo:
        """Find the asset; an unknown one is HTTP 400, as the page on errors states."""
        fields = await read_json(context.request)
        context.ignore_fields(fields, {"asset_id", "model"})
        asset_id = get_required(fields, "asset_id")
        model = get_required(fields, "model")
        if model not in MODELS:
            sentence = f"The model '{model}' is not supported: {', '.join(MODELS)}."
            raise Refusal(Reason.WRONG, sentence)
        found = await self.upload_store.find(asset_id, kind=ASSET, account=context.account)
        if found is None:
            raise Refusal(Reason.WRONG, "Asset not found")
        if found.status != "PARSE":
            raise Refusal(Reason.WRONG, "Asset is not ready")
        return found.video

    async def work(self, order: LocalVideo, _: RequestContext) -> RouteAnswer:
        """Compute the vector."""
        vector = await self.engine_pool.embed(order)
        return RouteAnswer(content={"embedding": list(vector)}, item=order.asset_id)
