"""Each fault reaches the caller as what it is called, and the statement knows whether it was paid."""

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
async def test_a_lost_reply_is_paid_exactly_when_the_work_was_done(
    service, search, kind, when, paid
):
    """The heart of every billing test: the caller cannot tell the two apart, the statement can."""
    service.faults.add(kind=kind, when=when)

    with pytest.raises(BROKEN):
        await search()

    assert (service.account.calls, service.account.paid) == (1, paid)
    seen = service.request_log[0]
    assert (seen.status, seen.code, seen.fault) == (None, None, f"{kind} {when}")
    assert (await search()).status == 200


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_drop_ends_the_connection_and_a_reset_breaks_it(search, when):
    """The two look different to the caller's socket."""
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await search(headers={"X-Local-Fault": f"drop; when={when}"})
    with pytest.raises(aiohttp.ClientOSError) as caught:
        await search(headers={"X-Local-Fault": f"reset; when={when}"})

    assert caught.value.errno == errno.ECONNRESET


@pytest.mark.parametrize(("when", "paid"), [("before", 0), ("after", 1)])
async def test_answers_a_status_like_a_proxy(service, search, when, paid):
    """HTML, and a pause that the caller should keep."""
    fault = f"status=503; retry_after=2; when={when}"

    reply = await search(headers={"X-Local-Fault": fault})

    assert (reply.status, reply.headers["Retry-After"]) == (503, "2")
    assert reply.body.startswith(b"<html>")
    assert service.account.paid == paid


async def test_answers_a_body_that_the_test_brings(service, search):
    """A captive page in HTTP 200, or a JSON error with another status."""
    service.faults.add(kind="status", status=200, body="<html>log in</html>")
    service.faults.add(kind="status", status=418, body='{"code": 418}')

    page, teapot = await search(), await search()

    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert (teapot.status, teapot.json) == (418, {"code": 418})


@pytest.mark.parametrize(("when", "paid"), [("before", 0), ("after", 1)])
async def test_answers_a_business_code(service, search, when, paid):
    """The limit, though there was none."""
    reply = await search(headers={"X-Local-Fault": f"code=0429; retry_after=1; when={when}"})

    assert reply.json["code"] == "0429"
    assert reply.json["msg"] == "Request has exceeded the limit."
    assert reply.headers["Retry-After"] == "1"
    assert service.account.paid == paid


async def test_answers_a_code_in_each_hosts_own_way(search, embed, caption):
    """The same fault, spoken by three hosts."""
    fault = {"X-Local-Fault": "code=0402"}

    first, second, third = (
        await search(headers=fault),
        await embed(headers=fault),
        await caption(headers=fault),
    )

    assert (first.status, first.json["code"]) == (200, "0402")
    assert (second.status, second.json["code"]) == (402, 402)
    assert (third.status, third.json["code"]) == (200, -1)


async def test_redirects_but_nobody_should_follow(service, search):
    """The default target is ours; a test may name its own."""
    service.faults.add(kind="redirect")
    service.faults.add(kind="redirect", location="http://elsewhere/", status=302)

    first, second = await search(), await search()

    assert (first.status, first.headers["Location"]) == (307, f"{service.url}/_local/redirected")
    assert (second.status, second.headers["Location"]) == (302, "http://elsewhere/")


async def test_garbles_the_json_and_keeps_its_length(service, search):
    """A complete HTTP answer that nobody can read, paid."""
    service.faults.add(kind="garble")

    reply = await search()

    assert int(reply.headers["Content-Length"]) == len(reply.body)
    with pytest.raises(json.JSONDecodeError):
        reply.json  # noqa: B018
    assert service.account.paid == 1


async def test_truncates_the_body(service, search):
    """The connection ends before the promised length, paid."""
    service.faults.add(kind="truncate")

    with pytest.raises(aiohttp.ClientPayloadError):
        await search()

    assert service.account.paid == 1


async def test_drips_the_body_byte_by_byte(service, search):
    """A slow answer is whole in the end."""
    service.faults.add(kind="slow", seconds=0)

    assert (await search()).json["code"] == "0000"


@pytest.mark.parametrize("when", ["before", "after"])
async def test_delays_and_answers(service, search, when):
    """The answer is right, only late."""
    service.faults.add(kind="delay", seconds=0.02, when=when)
    began = time.monotonic()

    reply = await search()

    assert reply.json["code"] == "0000"
    assert time.monotonic() - began >= 0.02


async def test_a_header_that_cannot_be_read_is_refused(service, search):
    """A misspelt fault must not look like a fault that did nothing."""
    reply = await search(headers={"X-Local-Fault": "explode"})

    assert "X-Local-Fault cannot be read" in reply.json["msg"]
    assert service.account.paid == 0


async def test_a_header_leaves_the_rules_alone(service, search):
    """A request with its own fault uses up no rule."""
    service.faults.add(kind="drop")

    await search(headers={"X-Local-Fault": "delay=0"})

    assert len(list(service.faults)) == 1


async def test_a_caller_who_hangs_up_is_noted_and_not_billed(service, until):
    """Half an upload is a call, but not a paid one."""
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
