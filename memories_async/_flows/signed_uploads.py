"""Uploads of large files to the service's storage: ask for a signed URL, then send the file there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from memories_async import assets, media
from memories_async._client.sender import Sender
from memories_async._protocol import wire_json
from memories_async._protocol.call import Call, Progress
from memories_async._protocol.reply import Reply
from memories_async.assets import Asset
from memories_async.ledger._claims import Claimed


async def signed_upload(
    client: Sender,
    file: media.Source,
    *,
    filename: str | None = None,
    progress: Progress | None = None,
    fresh: bool = False,
) -> Asset:
    """Upload a large video file as an asset: to the service's storage, by a signed URL.

    The answer is an `Asset` with its `asset_id`; see `assets.wait`. No request of it is billed; the
    service bills the storage of the asset by size and time. A repeat is not safe: it adds another asset.
    With a ledger, a file of the same content that this account uploaded before, also by `assets.upload`,
    is not uploaded again unless *fresh* is true; an upload that was stopped begins anew.

    *file* is a path, bytes or a file open for bytes, with the extension of a video. It is streamed at
    constant memory; *progress* is called with the bytes sent and the bytes in all. *filename* defaults
    to the name of the file. A budget counts it as an upload of an asset.

    Raises `ValueError` for a file that is empty or not a video; `PermissionDenied` if the storage
    refuses the signed URL, which expires; and any other `MemoriesError`. Nothing is charged by a lost
    reply: the file is sent again. See memories.ai docs, "Upload by Signed URL".
    """
    upload = assets.upload(file, filename=filename)
    name = upload.media[0].name

    async def transfer() -> Asset:
        signed = await client.send(assets.signed_url(name))
        await client.send(assets.send_to(signed, file, progress=progress))
        return Asset(asset_id=signed.asset_id, original_filename=name)

    return await _record(client, upload, transfer, fresh=fresh)


async def _record(
    client: Sender, call: Call[Asset], work: Callable[[], Awaitable[Asset]], *, fresh: bool
) -> Asset:
    """Do *work*, which has the effect of *call*, unless the ledger has the answer; record it as paid."""
    settings = client._settings  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # its own package
    settings.check(call)

    async def send(_: Call[Asset], entry: Claimed | None = None) -> Asset:
        watching = [hook for one in settings.budgets if (hook := one.watch(call)) is not None]
        for hook in watching:
            await hook.sending()
        try:
            answer = await work()
        except BaseException:
            for hook in watching:
                hook.cancelled()  # an upload that is not complete costs nothing
            raise
        data = {"asset_id": answer.asset_id, "original_filename": answer.original_filename}
        reply = Reply(status=200, body=wire_json.dumps({"code": "0000", "data": data}))
        # An upload that was stopped is no asset: the entry stays planned until there is one.
        if entry is not None:
            await entry.sending()
            await entry.answered(reply)
        for hook in watching:
            await hook.answered(reply)
        return answer

    if settings.ledger is None:
        return await send(call)
    price = settings.price(call.unit)
    return await settings.ledger.once(call, settings.account(call), send, fresh=fresh, price=price)
