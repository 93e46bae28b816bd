"""`POST /serve/api/v2/embeddings/video` and `.../image`: the pages on embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from memories_async.local.jobs.engine_pool import EnginePool
from memories_async.local.jobs.request_context import RequestContext, RouteAnswer
from memories_async.local.jobs.upload_store import UploadStore
from memories_async.local.routes.search import check_image
from memories_async.local.state.forms import FormFile, get_required, read_form, read_json
from memories_async.local.state.library import ASSET, LocalVideo
from memories_async.local.state.page_limits import PageLimits
from memories_async.local.state.wire import Reason, Refusal, RouteHost

__all__ = ["EmbedImage", "EmbedVideo"]

MODELS = ("multimodalembedding@001",)
IMAGE_MODELS = (*MODELS, "mobileclip")


@frozen(kw_only=True)
class EmbedVideo:
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
        _check_model(fields, MODELS)
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


@frozen(kw_only=True)
class EmbedImage:
    """Computes one vector for a picture, which the engine takes for a video of one frame."""

    engine_pool: EnginePool
    page_limits: PageLimits
    name: str = "embeddings.image"
    family: str = "embeddings"
    path: str = "/serve/api/v2/embeddings/image"
    method: str = "POST"
    is_free: bool = False
    host: RouteHost = RouteHost.V2

    async def read(self, context: RequestContext) -> FormFile:
        """Check the picture and the model."""
        form = await read_form(context.request, largest=self.page_limits.image_size, most=1)
        context.uploads += [one.sha256 for one in form.uploads]
        context.ignore_fields(form.fields, {"model"})
        image = check_image(next(iter(form.files.get("file", ())), None))
        _check_model(form.fields, IMAGE_MODELS)
        return image

    async def work(self, order: FormFile, _: RequestContext) -> RouteAnswer:
        """Compute the vector."""
        vector = await self.engine_pool.embed_content(order.content, order.file_name)
        return RouteAnswer(content={"embedding": list(vector)}, item=order.sha256)


def _check_model(fields: Mapping[str, Any], models: tuple[str, ...]) -> None:
    model = get_required(fields, "model")
    if model not in models:
        sentence = f"The model '{model}' is not supported: {', '.join(models)}."
        raise Refusal(Reason.WRONG, sentence)
