"""The asset routes: upload, metadata, download and deletion."""

from __future__ import annotations

import aiohttp
import pytest
from uploading import FILM, V2


async def test_asset_can_be_uploaded_described_downloaded_and_deleted(service, upload, send):
    """Numbers in its metadata are text."""
    asset_id = (await upload(path=f"{V2}/upload", name="dog.webm")).json["data"]["asset_id"]
    waiting = await send(f"{V2}/{asset_id}/metadata", method="GET")
    early = await send(f"{V2}/embeddings/video", document=_embed(asset_id))
    await service.drain()
    ready = (await send(f"{V2}/{asset_id}/metadata", method="GET")).json["data"]
    file = await send(f"{V2}/{asset_id}/download", method="GET")

    assert waiting.json["data"]["resource"][0]["upload_status"] == "UPLOADING"
    assert (early.status, early.json["msg"]) == (400, "Asset is not ready")
    assert ready["total"] == 1
    assert ready["resource"][0]["upload_status"] == "SUCCESS"
    assert ready["resource"][0]["file_size"] == str(len(FILM))
    assert (file.body, file.headers["Content-Type"]) == (FILM, "application/octet-stream")
    assert (await send(f"{V2}/embeddings/video", document=_embed(asset_id))).status == 200
    assert (await send(f"{V2}/{asset_id}", method="DELETE")).json["data"] is None
    assert [one.route for one in service.account.statement] == [
        "assets.upload",
        "assets.download",
        "embeddings.video",
    ]


def _embed(asset_id):
    return {"asset_id": asset_id, "model": "multimodalembedding@001"}


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/metadata"), ("GET", "/download"), ("DELETE", "")]
)
async def test_unknown_asset_is_http_400(send, service, method, path):
    """A video_no is not an asset_id."""
    video_no = service.library[0].video_no

    for name in ("re_404", video_no):
        reply = await send(f"{V2}/{name}{path}", method=method)
        assert (reply.status, reply.json["msg"]) == (400, "Asset not found")


async def test_failed_or_empty_asset_is_not_paid(service, upload, send):
    """The failure is made by a fault."""
    service.faults.add(callback="failure", route="assets")
    asset_id = (await upload(path=f"{V2}/upload")).json["data"]["asset_id"]
    await service.drain()
    shown = await send(f"{V2}/{asset_id}/metadata", method="GET")
    empty = await upload(b"", path=f"{V2}/upload")

    assert shown.json["data"]["resource"][0]["upload_status"] == "FAILED"
    assert empty.status == 400
    assert service.account.paid == 0


@pytest.mark.parametrize("kind", ["garble", "slow"])
async def test_faults_of_a_reply_apply_to_downloads(service, send, kind):
    """The body is damaged or slow."""
    asset, content = service.library[0].asset_id, service.library[0].path.read_bytes()
    service.faults.add(kind=kind)
    reply = await send(f"{V2}/{asset}/download", method="GET")

    assert reply.body == (content if kind == "slow" else content[:-8])


async def test_truncate_fault_breaks_off_a_download(service, send):
    """The full length was announced."""
    service.faults.add(kind="truncate")

    with pytest.raises(aiohttp.ClientPayloadError):
        await send(f"{V2}/{service.library[0].asset_id}/download", method="GET")
