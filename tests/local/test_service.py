"""The service starts, stops and resets, from asynchronous and from blocking code."""

from __future__ import annotations

import asyncio
import threading
import urllib.request
from io import BytesIO

import aiohttp
import pytest

from memories_async import Limits, blocking
from memories_async._client.configuration import EnvironmentSettings
from memories_async.local import LocalService, Rate
from memories_async.local.engine.protocol import SearchResult
from memories_async.local.jobs import engine_pool
from memories_async.local.state.rate_limits import DOCUMENTED


async def test_service_answers_between_enter_and_exit_only(films, engine):
    """It can be entered again."""
    service = LocalService([films], engine=engine)
    with pytest.raises(RuntimeError, match="not running"):
        service.url  # noqa: B018
    for _ in range(2):
        async with service:
            port = int(service.url.rsplit(":", 1)[1])
            assert repr(service) == f"<LocalService {service.url}>"
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
    assert repr(service) == "<LocalService stopped>"


async def test_running_service_cannot_be_entered(service):
    """The service continues to run."""
    url = service.url

    with pytest.raises(RuntimeError, match="running already"):
        await service.__aenter__()

    assert service.url == url


async def test_service_listens_on_the_given_port(films, engine, unused_tcp_port):
    """A port in use is an OSError."""
    async with LocalService([films], engine=engine, port=unused_tcp_port) as service:
        assert service.url == f"http://127.0.0.1:{unused_tcp_port}"
        with pytest.raises(OSError, match="address already in use"):
            await LocalService(engine=engine, port=unused_tcp_port).__aenter__()


@pytest.mark.parametrize("settings", [{}, {"allow_remote": True}, {"api_key": "local-key"}])
def test_host_for_other_machines_needs_consent_and_a_key(engine, settings):
    """The service cannot be opened to a network by accident, or without a key."""
    with pytest.raises(ValueError, match=r"other machines can reach '0\.0\.0\.0'"):
        LocalService(engine=engine, host="0.0.0.0", **settings)


async def test_service_on_every_interface_is_reached_by_loopback_too(films, engine):
    """Its own clients use loopback."""
    shared = {"host": "0.0.0.0", "allow_remote": True, "api_key": "local-key"}
    async with (
        LocalService([films], engine=engine, **shared) as service,
        service.client() as client,
    ):
        assert service._components.listener.address.host == "0.0.0.0"
        assert service.url.startswith("http://127.0.0.1:")
        assert await client.embeddings.video(service.library[0].asset_id)


async def test_service_on_another_loopback_host_has_its_url(films, engine):
    """An address of loopback needs no consent."""
    async with LocalService([films], engine=engine, host="localhost") as service:
        host = service.url.removeprefix("http://").rsplit(":", 1)[0]
        assert host in {"127.0.0.1", "[::1]"}


def test_failed_start_leaves_no_thread_behind(engine):
    """In blocking code."""
    with LocalService(engine=engine) as service:
        port = int(service.url.rsplit(":", 1)[1])
        before = {*threading.enumerate()}
        with (
            pytest.raises(OSError, match="address already in use"),
            LocalService(engine=engine, port=port),
        ):
            pass
        assert {*threading.enumerate()} <= before


async def test_services_run_side_by_side(films, engine, search):
    """What one receives, the other does not."""
    async with LocalService([films], engine=engine) as other:
        await search()

        assert other.account.calls == 0
        assert other.request_log == ()


async def test_each_film_is_indexed_once_for_all_requests(service, search, engine):
    """Thirty searches at once need one decoding."""
    await asyncio.gather(*(search() for _ in range(30)))

    assert len(engine.indexed) == 1


async def test_index_that_was_dropped_from_memory_is_loaded_again(
    service, engine, monkeypatch, search
):
    """The engine's cache on disk makes that cheap."""
    monkeypatch.setattr(engine_pool, "KEPT", 1)
    garden = service.library[0].video_no

    for video_no in ("", garden, ""):
        await search(video_no=video_no)

    assert len(engine.indexed) == 3


async def test_cancelled_warm_up_leaves_the_index_to_other_requests(service, search, engine, until):
    """Decoding continues."""
    begun, go_on, index = threading.Event(), threading.Event(), engine.index

    def slowly(path):
        begun.set()
        go_on.wait(10)
        return index(path)

    engine.index = slowly
    warming = asyncio.create_task(service.warm())
    await until(begun.is_set)
    asking = asyncio.create_task(search())
    await until(lambda: service.request_log)
    warming.cancel()
    await asyncio.wait([warming])
    go_on.set()

    assert (await asking).json["code"] == "0000"


@pytest.mark.parametrize("left", [340.4, None])
async def test_video_that_takes_long_to_index_is_refused_with_the_time_left(
    service, search, engine, monkeypatch, left
):
    """Before the client gives up; unbilled. Indexing goes on, and a later request is answered."""
    go_on, index = threading.Event(), engine.index
    engine.index = lambda path: go_on.wait(10) and index(path)
    if left is not None:
        monkeypatch.setattr(engine, "estimate_remaining", lambda path: left, raising=False)
    monkeypatch.setattr(engine_pool, "PATIENCE", 0.01)

    refused = await search()

    says = "" if left is None else " Indexing takes about 340 seconds more."
    assert refused.json["code"] == "0003"
    assert refused.json["msg"].endswith(f" is not parsed yet.{says} Ask again later.")
    assert service.account.points_spent == 0

    monkeypatch.setattr(engine_pool, "PATIENCE", 60)
    go_on.set()
    assert (await search()).json["code"] == "0000"
    assert len(engine.indexed) == 1


async def test_client_that_stops_waiting_pays(service, search, engine, until):
    """The work continues."""
    begun, left = threading.Event(), threading.Event()

    def wait(index, image, prompt):
        begun.set()
        left.wait(10)
        return SearchResult(clips=())

    engine.search = wait
    asking = asyncio.create_task(search())
    await until(begun.is_set)
    asking.cancel()
    await asyncio.wait([asking])
    left.set()
    await until(lambda: service.account.paid)

    assert (service.account.calls, service.account.paid) == (1, 1)


async def test_fault_for_a_disconnected_client_is_harmless(service, search, until):
    """There is no connection to close."""
    service.faults.add(kind="drop", seconds=0.02, when="after")

    asking = asyncio.create_task(search())
    await until(lambda: service.account.paid)
    asking.cancel()
    await until(lambda: service.request_log[0].answered)

    assert service.request_log[0].fault == "drop after"


async def test_early_refusal_reaches_a_client_that_still_sends(service, send):
    """Eight megabytes are under way."""
    form = aiohttp.FormData(default_to_multipart=True)
    form.add_field("file", BytesIO(b"x" * 2**23), filename="q.png", content_type="image/png")

    reply = await send("/serve/api/v1/search_clips_by_image", data=form)

    assert reply.json["msg"] == "The file 'q.png' is larger than 1000 bytes."
    assert service.request_log[0].size < 2**22


async def test_run_needs_a_thread(service):
    """It is for blocking code."""
    with pytest.raises(RuntimeError, match="has no thread"):
        service.run(service.drain)


async def test_service_can_be_stopped_twice(films, engine):
    """The second stop does nothing."""
    async with LocalService([films], engine=engine) as service:
        await service.__aexit__(None, None, None)


async def test_warm_indexes_every_readable_film(films, service, engine, search):
    """An unreadable one fails in its own request."""
    (films / "zebra.mp4").write_bytes(b"no colon")

    await service.warm()
    await search()

    assert len(engine.indexed) == 3


async def test_warm_tells_how_many_videos_are_done(service):
    """Whatever comes of them."""
    told = []

    await service.warm(progress=lambda done, count: told.append((done, count)))

    count = len(service.library)
    assert told == [(done, count) for done in range(count + 1)]


async def test_reset_forgets_everything_but_the_index(service, search, caption, engine):
    """Points, calls, rates, faults, request log, callbacks and tasks."""
    service.limits = Rate(1, 3600)
    service.faults.add(kind="delay", seconds=0, times=None)
    await search()
    service.faults.add(callback="delay", seconds=3600)
    await caption()
    assert service._components.background.under_way == 1

    service.reset()
    await service.drain()

    assert (service.account.calls, service.account.paid, service.request_log) == (0, 0, ())
    assert (service.outbox.deliveries, list(service.faults)) == ((), [])
    assert (await search()).json["code"] == "0000"
    assert len(engine.indexed) == 1


async def test_service_stops_with_requests_and_tasks_under_way(films, engine, until):
    """It does not wait for them."""
    async with LocalService([films], engine=engine, limits=None) as service:
        service.faults.add(kind="delay", seconds=3600)
        asking = asyncio.create_task(_get(service))
        await until(lambda: service.request_log)

    with pytest.raises(ConnectionError):
        await asking


async def _get(service):
    request = urllib.request.Request(
        f"{service.url}/serve/api/v2/embeddings/video", data=b"{}", method="POST"
    )
    return await asyncio.to_thread(urllib.request.urlopen, request)


def test_blocking_code_uses_the_service_on_its_own_thread(films, engine):
    """With `with` and a blocking client."""
    with LocalService([films], engine=engine, dimensions=512) as service:
        with service.blocking_client() as client:
            embedding = client.embeddings.video(service.library[0].asset_id)
        assert len(embedding) == 512
        assert service.account.calls == 1

        service.reset()
        assert service.account.calls == 0


def test_client_of_a_service_without_limits_has_none(films, engine):
    """Ten searches in a test do not take ten seconds."""
    with LocalService([films], engine=engine, limits=None) as unlimited:
        given = unlimited._client_settings.build_arguments()["limits"].describe()
    with LocalService([films], engine=engine) as documented:
        settings = documented._client_settings.build_arguments()

    assert all(one.limit.interval < 0.001 for one in given)
    assert "limits" not in settings


async def test_client_is_connected(service):
    """Hosts and keys are set."""
    async with service.client() as client:
        embedding = await client.embeddings.video(service.library[0].asset_id)

    assert len(embedding) == 1024
    assert service.account.paid == 1


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("api", 200, "0001"),
        ("serve/api/v1/nothing", 200, "0001"),
        ("serve/api/v2/nothing", 404, 404),
        ("v1/understand/nothing", 200, -1),
    ],
)
async def test_unknown_path_is_answered_by_its_host(send, service, path, status, code):
    """No route sees it."""
    reply = await send(f"/{path}")

    assert (reply.status, reply.json["code"]) == (status, code)
    assert reply.json["msg"] == f"No static resource {path}."
    assert reply.headers["X-Local-Engine"] == "bytes/1"
    assert service.account.calls == 0


@pytest.mark.parametrize(
    ("path", "status"),
    [("/serve/api/v1/search_clips_by_image", 200), ("/serve/api/v2/embeddings/video", 405)],
)
async def test_wrong_method_is_answered_by_its_host(send, path, status):
    """A GET on a POST route is a common mistake."""
    reply = await send(path, method="GET")

    assert reply.status == status
    assert reply.json["msg"] == "Request method 'GET' is not supported"


def test_a_client_of_the_environment_uses_the_service_at_its_rate(films, engine, monkeypatch):
    """A program that makes its own client is led to the service, and does not wait at one a second."""
    with LocalService([films], engine=engine, limits=None) as service:
        for name, value in service.environment.items():
            monkeypatch.setenv(name, value)
        with blocking.Client() as client:
            for _ in range(3):
                client.embeddings.video(service.library[0].asset_id)

        assert service.account.paid == 3
        assert EnvironmentSettings.read().build(Limits, "limits").search.rate > 1_000


def test_the_environment_raises_only_rates_that_the_service_raises(engine):
    """Where the service keeps the documented rate, or a lower one, the client's own limit holds."""
    with LocalService(engine=engine, limits={"search": 0.5, "captions": 7}) as service:
        rates = {name: rate for name, rate in service.environment.items() if "_RATE" in name}
        assert rates == {"MEMORIES_CAPTIONS_RATE": "7/1"}
        service.limits = DOCUMENTED
        assert not any("_RATE" in name for name in service.environment)
