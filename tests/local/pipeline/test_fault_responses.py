"""Each fault reaches the client as documented, and the statement shows whether the call was paid."""

from __future__ import annotations

import asyncio
import errno
import json
import time

import aiohttp
import pytest

BROKEN = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)


@pytest.mark.parametrize(("when", "paid"), [("before", 0), ("after", 1)])
@pytest.mark.parametrize("kind", ["drop", "reset"])
async def test_lost_reply_is_paid_when_the_work_was_done(service, search, kind, when, paid):
    """The client cannot tell the two cases apart; the statement can."""
    service.faults.add(kind=kind, when=when)

    with pytest.raises(BROKEN):
        await search()

    assert (service.account.calls, service.account.paid) == (1, paid)
    seen = service.request_log[0]
    assert (seen.status, seen.code, seen.fault) == (None, None, f"{kind} {when}")
    assert (await search()).status == 200


@pytest.mark.parametrize("when", ["before", "after"])
async def test_drop_closes_the_connection_and_reset_resets_it(search, when):
    """The client's socket sees different errors."""
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await search(headers={"X-Local-Fault": f"drop; when={when}"})
    with pytest.raises(aiohttp.ClientOSError) as caught:
        await search(headers={"X-Local-Fault": f"reset; when={when}"})

    assert caught.value.errno == errno.ECONNRESET


@pytest.mark.parametrize(("when", "paid"), [("before", 0), ("after", 1)])
async def test_status_fault_answers_like_a_proxy(service, search, when, paid):
    """HTML with a Retry-After header."""
    fault = f"status=503; retry_after=2; when={when}"

    reply = await search(headers={"X-Local-Fault": fault})

    assert (reply.status, reply.headers["Retry-After"]) == (503, "2")
    assert reply.body.startswith(b"<html>")
    assert service.account.paid == paid


async def test_status_fault_sends_a_given_body(service, search):
    """A login page with HTTP 200, or a JSON error with another status."""
    service.faults.add(kind="status", status=200, body="<html>log in</html>")
    service.faults.add(kind="status", status=418, body='{"code": 418}')

    page, teapot = await search(), await search()

    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert (teapot.status, teapot.json) == (418, {"code": 418})


@pytest.mark.parametrize(("when", "paid"), [("before", 0), ("after", 1)])
async def test_code_fault_answers_a_business_code(service, search, when, paid):
    """Here that of the rate limit."""
    reply = await search(headers={"X-Local-Fault": f"code=0429; retry_after=1; when={when}"})

    assert reply.json["code"] == "0429"
    assert reply.json["msg"] == "Request has exceeded the limit."
    assert reply.headers["Retry-After"] == "1"
    assert service.account.paid == paid


async def test_code_fault_uses_the_envelope_of_the_host(search, embed, caption):
    """The same fault on three hosts."""
    fault = {"X-Local-Fault": "code=0402"}

    first, second, third = (
        await search(headers=fault),
        await embed(headers=fault),
        await caption(headers=fault),
    )

    assert (first.status, first.json["code"]) == (200, "0402")
    assert (second.status, second.json["code"]) == (402, 402)
    assert (third.status, third.json["code"]) == (200, -1)


async def test_redirect_fault_names_a_location(service, search):
    """The default is a path of the service."""
    service.faults.add(kind="redirect")
    service.faults.add(kind="redirect", location="http://elsewhere/", status=302)

    first, second = await search(), await search()

    assert (first.status, first.headers["Location"]) == (307, f"{service.url}/_local/redirected")
    assert (second.status, second.headers["Location"]) == (302, "http://elsewhere/")


async def test_garble_fault_sends_json_that_cannot_be_parsed(service, search):
    """The HTTP answer is complete, and the call is paid."""
    service.faults.add(kind="garble")

    reply = await search()

    assert int(reply.headers["Content-Length"]) == len(reply.body)
    with pytest.raises(json.JSONDecodeError):
        reply.json  # noqa: B018
    assert service.account.paid == 1


async def test_truncate_fault_closes_before_the_end_of_the_body(service, search):
    """The call is paid."""
    service.faults.add(kind="truncate")

    with pytest.raises(aiohttp.ClientPayloadError):
        await search()

    assert service.account.paid == 1


async def test_slow_fault_sends_the_whole_body_in_the_end(service, search):
    """Byte by byte."""
    service.faults.add(kind="slow", seconds=0)

    assert (await search()).json["code"] == "0000"


@pytest.mark.parametrize("when", ["before", "after"])
async def test_delay_fault_answers_correctly_later(service, search, when):
    """Before or after the work."""
    service.faults.add(kind="delay", seconds=0.02, when=when)
    began = time.monotonic()

    reply = await search()

    assert reply.json["code"] == "0000"
    assert time.monotonic() - began >= 0.02


async def test_unreadable_fault_header_is_refused(service, search):
    """A misspelt fault must not pass for no fault."""
    reply = await search(headers={"X-Local-Fault": "explode"})

    assert "X-Local-Fault cannot be read" in reply.json["msg"]
    assert service.account.paid == 0


async def test_fault_header_leaves_other_faults_alone(service, search):
    """A request with its own fault counts none of the others down."""
    service.faults.add(kind="drop")

    await search(headers={"X-Local-Fault": "delay=0"})

    assert len(list(service.faults)) == 1


async def test_client_that_disconnects_is_logged_and_not_billed(service, until):
    """Half a request counts as a call, and is not paid."""
    _, writer = await asyncio.open_connection("127.0.0.1", int(service.url.rsplit(":", 1)[1]))
    head = [
        "POST /serve/api/v1/search_clips_by_image HTTP/1.1",
        "Host: localhost",
        f"Authorization: {service.api_key}",
        "Content-Type: multipart/form-data; boundary=b",
        "Content-Length: 1000",
        "",
        "--b",
    ]
    writer.write("\r\n".join(head).encode())
    await writer.drain()
    await until(lambda: service.request_log)
    writer.close()
    await until(lambda: service.request_log[0].note)

    assert "disconnected" in service.request_log[0].note
    assert (service.account.calls, service.account.paid) == (1, 0)
