"""Carry a fault out on the connection: the wrong answer, the late one, or none."""

from __future__ import annotations

import asyncio
import socket
import struct

from aiohttp import web

from memories_async.local.state.faults import Fault
from memories_async.local.state.wire import Reply, encode

__all__ = ["misbehave", "send"]

_PROXY_PAGE = "<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"


async def misbehave(fault: Fault, request: web.Request, reply: Reply) -> web.StreamResponse:
    """Answer *request* as *fault* says, instead of with *reply*, or spoiling it."""
    match fault.kind:
        case "drop" | "reset":
            return _hang_up(request, abruptly=fault.kind == "reset")
        case "status":
            return _page(fault)
        case "redirect":
            target = fault.location or str(request.url.origin().with_path("/_local/redirected"))
            return web.Response(status=fault.status or 307, headers={"Location": target})
        case "garble":
            body = _body(reply)
            return _response(reply, body[: max(1, len(body) - 8)])
        case "truncate":
            return await _cut_short(request, reply)
        case "slow":
            return await _drip(request, reply, fault.seconds)
        case _:
            return send(reply)


def send(reply: Reply) -> web.StreamResponse:
    """Answer with *reply*, whole; a file streams."""
    if reply.file is not None:
        headers = {**reply.headers, "Content-Type": _content_type(reply)}
        return web.FileResponse(reply.file, headers=headers)
    return _response(reply, _body(reply))


def _body(reply: Reply) -> bytes:
    """Everything that goes out, to be spoilt; a file is read whole."""
    return encode(reply.payload) if reply.file is None else reply.file.read_bytes()


def _content_type(reply: Reply) -> str:
    return "application/json" if reply.file is None else "application/octet-stream"


def _response(reply: Reply, body: bytes) -> web.Response:
    return web.Response(
        status=reply.status, body=body, headers=reply.headers, content_type=_content_type(reply)
    )


def _page(fault: Fault) -> web.Response:
    status = fault.status or 503
    headers = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
    text = _PROXY_PAGE.format(status) if fault.body is None else fault.body
    json_like = text.lstrip().startswith("{")
    kind = "application/json" if json_like else "text/html"
    return web.Response(status=status, text=text, content_type=kind, headers=headers)


def _hang_up(request: web.Request, *, abruptly: bool) -> web.Response:
    """Close the connection without a byte; *abruptly* sends a reset, which kills unread data."""
    transport = request.transport
    if transport is not None and abruptly:
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    elif transport is not None:
        transport.close()
    # Never sent: aiohttp finds the connection closed and drops it.
    return web.Response()


async def _cut_short(request: web.Request, reply: Reply) -> web.StreamResponse:
    body = _body(reply)
    response = await _begin(request, reply, len(body))
    await response.write(body[: len(body) // 2])
    _hang_up(request, abruptly=False)
    return response


async def _drip(request: web.Request, reply: Reply, pause: float) -> web.StreamResponse:
    body = _body(reply)
    response = await _begin(request, reply, len(body))
    for at in range(len(body)):
        await response.write(body[at : at + 1])
        await asyncio.sleep(pause)
    await response.write_eof()
    return response


async def _begin(request: web.Request, reply: Reply, length: int) -> web.StreamResponse:
    response = web.StreamResponse(status=reply.status, headers=reply.headers)
    response.content_type = _content_type(reply)
    response.content_length = length
    await response.prepare(request)
    return response
