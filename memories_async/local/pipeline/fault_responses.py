"""Fault responses: carry a fault out on the connection, with a wrong, late or missing answer."""

from __future__ import annotations

import asyncio
import socket
import struct

from aiohttp import web

from memories_async.local.state.faults import Fault
from memories_async.local.state.wire import PageReply, encode

__all__ = ["respond_with_fault", "send"]

_PROXY_PAGE = "<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"


async def respond_with_fault(
    fault: Fault, request: web.Request, reply: PageReply
) -> web.StreamResponse:
    """Answer *request* as *fault* says, instead of *reply* or with a damaged one."""
    match fault.kind:
        case "drop" | "reset":
            return _close_connection(request, with_reset=fault.kind == "reset")
        case "status":
            return _build_proxy_page(fault)
        case "redirect":
            target = fault.location or str(request.url.origin().with_path("/_local/redirected"))
            return web.Response(status=fault.status or 307, headers={"Location": target})
        case "garble":
            body = _read_body(reply)
            return _build_response(reply, body[: max(1, len(body) - 8)])
        case "truncate":
            return await _send_half(request, reply)
        case "slow":
            return await _send_slowly(request, reply, fault.seconds)
        case _:
            return send(reply)


def send(reply: PageReply) -> web.StreamResponse:
    """Build the response of *reply*; a file is streamed."""
    if reply.file is not None:
        headers = {**reply.headers, "Content-Type": _get_content_type(reply)}
        return web.FileResponse(reply.file, headers=headers)
    return _build_response(reply, _read_body(reply))


def _read_body(reply: PageReply) -> bytes:
    """Read all that is to be sent; a file is read into memory."""
    return encode(reply.payload) if reply.file is None else reply.file.read_bytes()


def _get_content_type(reply: PageReply) -> str:
    return "application/json" if reply.file is None else "application/octet-stream"


def _build_response(reply: PageReply, body: bytes) -> web.Response:
    return web.Response(
        status=reply.status, body=body, headers=reply.headers, content_type=_get_content_type(reply)
    )


def _build_proxy_page(fault: Fault) -> web.Response:
    status = fault.status or 503
    headers = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
    text = _PROXY_PAGE.format(status) if fault.body is None else fault.body
    is_json = text.lstrip().startswith("{")
    content_type = "application/json" if is_json else "text/html"
    return web.Response(status=status, text=text, content_type=content_type, headers=headers)


def _close_connection(request: web.Request, *, with_reset: bool) -> web.Response:
    """Close the connection; *with_reset* sends RST, which discards data that is not read yet."""
    transport = request.transport
    if transport is not None and with_reset:
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    elif transport is not None:
        transport.close()
    # Not sent: aiohttp finds the connection closed.
    return web.Response()


async def _send_half(request: web.Request, reply: PageReply) -> web.StreamResponse:
    body = _read_body(reply)
    response = await _start_response(request, reply, len(body))
    await response.write(body[: len(body) // 2])
    _close_connection(request, with_reset=False)
    return response


async def _send_slowly(request: web.Request, reply: PageReply, pause: float) -> web.StreamResponse:
    body = _read_body(reply)
    response = await _start_response(request, reply, len(body))
    for position in range(len(body)):
        await response.write(body[position : position + 1])
        await asyncio.sleep(pause)
    await response.write_eof()
    return response


async def _start_response(
    request: web.Request, reply: PageReply, length: int
) -> web.StreamResponse:
    response = web.StreamResponse(status=reply.status, headers=reply.headers)
    response.content_type = _get_content_type(reply)
    response.content_length = length
    await response.prepare(request)
    return response
