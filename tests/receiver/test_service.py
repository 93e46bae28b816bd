"""Captions in one step, against the embedded service and its faults; its account shows what was paid."""

from __future__ import annotations

import pytest
import pytest_asyncio
from attrs import evolve
from callbacks import PROMPTS

from memories_async import CallbackTimeout, CaptionFailed, Limit, Limits, OutcomeUnknown, Receiver

pytest.importorskip("cv2", reason="the embedded service computes captions from pictures")


@pytest_asyncio.fixture
async def receiver(place):
    """A receiver that listens."""
    made = Receiver("http://127.0.0.1:0/cb", store=place)
    async with made.serve():
        yield made
    made.close()


async def test_a_caption_comes_back_in_one_step(service, client, receiver, film) -> None:
    """The video is submitted, captioned, called back, stored and awaited, and paid once."""
    async with client(receiver=receiver) as one:
        answer = await one.captions.caption_file(film, **PROMPTS, timeout=60)

    assert answer.text
    assert answer.tokens.total == answer.tokens.input + answer.tokens.output
    assert [delivery.status for delivery in service.outbox.deliveries] == [200]
    assert service.account.calls == 1


async def test_a_caption_in_one_step_takes_every_field(service, client, receiver, film) -> None:
    """Those that the embedded service does not act on are in its request log."""
    fields = {"thinking": True, "reasoning_effort": 2, "qa": True, "extra": {"language": "de"}}
    async with client(receiver=receiver) as one:
        await one.captions.caption_file(film, **PROMPTS, **fields, timeout=60)

    assert service.request_log[0].ignored_fields == ("reasoning_effort", "qa", "language")


@pytest.mark.parametrize("kind", ["early", "duplicate", "conflict", "delay"])
async def test_awkward_callbacks_change_nothing(service, client, receiver, film, kind) -> None:
    """Early, repeated, conflicting or late: the first callback is the answer."""
    service.faults.add(callback=kind, seconds=0.2 if kind == "delay" else 0.0)

    async with client(receiver=receiver) as one:
        task = await one.captions.upload_file(film, **PROMPTS)
        answer = await one.receiver.wait(task, timeout=60)
        await service.drain()

        assert (
            (await one.receiver.wait(task)).text
            == answer.text
            == service.outbox.deliveries[0].body["data"]["text"]
        )
    assert all(delivery.status == 200 for delivery in service.outbox.deliveries)
    assert len(await receiver.deliveries(task)) == (2 if kind == "conflict" else 1)


async def test_a_failed_caption_raises(service, client, receiver, film) -> None:
    """The error contains the service's message."""
    service.faults.add(callback="failure")

    async with client(receiver=receiver) as one:
        with pytest.raises(CaptionFailed, match="captioning failed"):
            await one.captions.caption_file(film, **PROMPTS, timeout=60)


async def test_a_missing_callback_times_out_and_can_be_resumed(
    service, client, receiver, film
) -> None:
    """When the service sends it later, waiting again returns it."""
    service.faults.add(callback="missing")

    async with client(receiver=receiver) as one:
        task = await one.captions.upload_file(film, **PROMPTS)
        with pytest.raises(CallbackTimeout, match=task.task_id):
            await one.receiver.wait(task, timeout=0.05)
        await service.drain()

        assert await service.outbox.resend(task.task_id)
        assert (await one.receiver.wait(str(task), timeout=0)).text


async def test_a_lost_reply_is_not_a_lost_caption(service, client, receiver, film) -> None:
    """The callback makes up for the reply: one request, one payment, one answer."""
    service.faults.add(kind="drop", when="after", route="captions")

    async with client(receiver=receiver) as one:
        assert (await one.captions.caption_file(film, **PROMPTS, timeout=60)).text
    assert service.account.calls == 1


async def test_a_lost_reply_without_a_callback_stays_unknown(
    service, client, receiver, film
) -> None:
    """The error is that of the submission, with `billed` "maybe"."""
    service.faults.add(kind="drop", when="after", route="captions")
    service.faults.add(callback="missing")

    async with client(receiver=receiver) as one:
        with pytest.raises(OutcomeUnknown) as caught:
            await one.captions.caption_file(film, **PROMPTS, timeout=0.3)
    assert caught.value.billed == "maybe"
    assert caught.value.callback


async def test_a_timeout_in_one_step_names_the_task(service, client, receiver, film) -> None:
    """With it the wait can be resumed later."""
    service.faults.add(callback="missing")

    async with client(receiver=receiver) as one:
        with pytest.raises(CallbackTimeout, match=r"receiver\.wait\('"):
            await one.captions.caption_file(film, **PROMPTS, timeout=0.05)


async def test_a_loss_without_a_callback_is_raised_in_one_step(service, film) -> None:
    """A receiver that gave the submission no callback has nothing to wait for."""

    class Silent(Receiver):
        async def submit(self, call, send, *, key=None):
            raise OutcomeUnknown("lost")

    async with service.client(receiver=Silent("https://public.example")) as one:
        with pytest.raises(OutcomeUnknown, match="lost"):
            await one.captions.caption_file(film, **PROMPTS)


async def test_a_callers_own_callback_is_sent_unchanged(service, client, receiver, film) -> None:
    """The receiver takes no part in that submission."""
    async with client(receiver=receiver) as one:
        await one.captions.upload_file(film, **PROMPTS, callback="http://127.0.0.1:9/mine")
        await service.drain()

    assert {delivery.url for delivery in service.outbox.deliveries} == {"http://127.0.0.1:9/mine"}


async def test_without_callback_and_receiver_nothing_is_sent(service, client, film) -> None:
    """A submission whose result could not be received is refused at once."""
    async with client() as one:
        for submit in (one.captions.upload_file, one.captions.caption_file):
            with pytest.raises(ValueError, match="receiver"):
                await submit(film, **PROMPTS)
    assert service.account.calls == 0
    assert one.receiver is None


async def test_a_video_at_a_url_is_captioned_in_one_step(service, client, receiver, film) -> None:
    """`caption` takes the arguments of `upload`."""
    import aiohttp.web

    app = aiohttp.web.Application()
    app.router.add_static("/", film.parent)
    runner = aiohttp.web.AppRunner(app)
    await runner.setup()
    site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/{film.name}"

    async with client(receiver=receiver) as one:
        answer = await one.captions.caption(url, **PROMPTS, timeout=60)
    await runner.cleanup()

    assert answer.text


def test_the_blocking_client_receives_between_calls(film, place, tmp_path) -> None:
    """Its loop thread serves, waits and is woken without any `await`."""
    from memories_async.local import LocalService

    receiver = Receiver("http://127.0.0.1:0/cb", store=place)
    with (
        LocalService(limits=None, cache=tmp_path / "cache") as service,
        service.blocking_client(receiver=receiver, limits=_fast()) as client,
        client.receiver.serve() as address,
    ):
        assert address.port
        task = client.captions.upload_file(film, **PROMPTS)
        first = client.receiver.wait(task, timeout=60)
        assert len(client.receiver.deliveries(task)) == 1
        assert client.receiver.find("no such task") is None
        assert client.captions.caption_file(film, **PROMPTS, timeout=60).text == first.text
    receiver.close()


def _fast() -> Limits:
    return evolve(Limits(), captions=Limit(10_000))


def test_a_blocking_client_without_a_receiver_has_none(tmp_path) -> None:
    """Its `receiver` is None."""
    from memories_async import blocking

    with blocking.Client(api_key="local-0123456789") as client:
        assert client.receiver is None
