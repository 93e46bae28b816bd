"""serve: the service in another terminal, found through the environment that it prints."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time

import pytest

from memories_async import Limit, Limits
from memories_async.cli._traffic import Traffic
from memories_async.local import LocalService
from memories_async.local.engine.fixed import FixedEngine


@pytest.fixture
def fixed(monkeypatch):
    """Serve with the fixed engine."""
    monkeypatch.setattr("memories_async.cli._local.pixel_engine", lambda **_: FixedEngine())


@pytest.fixture
def visit(monkeypatch):
    """Run a function while `serve` runs in this process, then stop it by SIGTERM."""
    from memories_async.cli import serve

    def visit(action):
        def watch(run, service, stopped, **settings):
            def act():
                action(service)
                os.kill(os.getpid(), signal.SIGTERM)

            threading.Timer(0, act).start()
            return watched(run, service, stopped, **settings)

        watched = serve.watch
        monkeypatch.setattr(serve, "watch", watch)

    return visit


def _embed(service):
    with service.blocking_client() as client:
        client.embeddings.video(service.library[0].asset_id)
    time.sleep(0.25)


def test_serve_prints_what_another_terminal_needs(cli, film, fixed, visit):
    """The output has address, key, library, and the lines to copy."""
    seen = []
    visit(lambda service: seen.append((service.url, service.api_key, service.library[0])))

    ended = cli("serve", "--videos", film, "--port", 0, "--warm")

    url, key, video = seen[0]
    assert ended.code == 0
    assert f"export MEMORIES_API_KEY={key}" in ended.out
    for name in ("V1", "V2", "CAPTION"):
        assert f"export MEMORIES_{name}_BASE_URL={url}" in ended.out
    assert f"{film.name}  {video.video_no}  {video.asset_id}" in ended.out
    assert "as documented: uploads 1 a minute" in ended.out
    assert "_RATE=" not in ended.out
    assert "stopped: 0 requests, 0 points spent" in ended.err


def test_serve_lists_requests_as_they_arrive(cli, film, fixed, visit):
    """--quiet lists no requests."""
    visit(_embed)

    loud = cli("serve", "--videos", film, "--port", 0, "--rate", "none")
    quiet = cli("serve", "--videos", film, "--port", 0, "--quiet", "--rate", "3")

    assert "embeddings.video" in loud.out
    assert "limits   none" in loud.out
    assert "3 a second for each kind of call" in quiet.out
    assert "embeddings.video" not in quiet.out
    assert "stopped: 1 request, 1 point spent" in quiet.err


def test_an_empty_folder_is_served_too(cli, tmp_path, fixed, visit):
    """Videos by URL can still be captioned."""
    (tmp_path / "empty").mkdir()
    visit(lambda service: None)

    shown = cli("serve", "--videos", tmp_path / "empty", "--port", 0).out

    assert "memories-async embed" not in shown
    assert "No videos there" in shown
    assert "memories-async samples FOLDER" in shown


def test_serve_with_a_rate_of_its_own_prints_that_of_the_clients(cli, film, fixed, visit):
    """Without these variables, a client would go on at one call a second."""
    visit(lambda service: None)

    ended = cli("serve", "--videos", film, "--port", 0, "--rate", 20)

    rates = [line for line in ended.out.splitlines() if "_RATE=" in line]
    assert all(line.startswith("  export ") and len(line) < 80 for line in rates)
    assert "MEMORIES_SEARCH_RATE=20/1" in " ".join(rates).split()


def test_serve_takes_only_a_local_key_from_the_environment(cli, film, fixed, visit, monkeypatch):
    """Both terminals can use one export; a real key is not used."""
    keys = []
    visit(lambda service: keys.append(service.api_key))

    for key in ("local-mine", "sk-looks-real"):
        monkeypatch.setenv("MEMORIES_API_KEY", key)
        cli("serve", "--videos", film, "--port", 0)

    assert keys[0] == "local-mine"
    assert keys[1] not in {"local-mine", "sk-looks-real"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--rate", "0"), "must be a number above 0, documented or none"),
        (("--rate", "fast"), "must be a number above 0, documented or none"),
        (("--rate", "inf"), "must be a number above 0, documented or none"),
        (("--host", "0.0.0.0"), "other machines could connect; add --allow-remote"),
        (("--host", "0.0.0.0", "--allow-remote"), "set MEMORIES_API_KEY to a text that begins"),
        (("--videos", "/nowhere"), "'/nowhere' does not exist"),
    ],
)
def test_serve_refuses_wrong_options(cli, film, words, told):
    """Addresses other than loopback are refused."""
    ended = cli("serve", "--videos", film, *words)

    assert ended.code == 2
    assert told in ended.err


def test_other_machines_are_served_only_with_allow_remote_and_a_key(
    cli, film, fixed, visit, monkeypatch
):
    """The option and a key of the user are both needed."""
    monkeypatch.setenv("MEMORIES_API_KEY", "local-shared")
    seen = []
    visit(lambda service: seen.append((service.url, service.api_key)))

    ended = cli("serve", "--videos", film, "--port", 0, "--host", "0.0.0.0", "--allow-remote")

    ((url, key),) = seen
    assert ended.code == 0
    assert key == "local-shared"
    assert url in ended.out


def test_a_port_in_use_is_named(cli, film, fixed, service):
    """The message names the port."""
    port = service.url.rpartition(":")[2]

    ended = cli("serve", "--videos", film, "--port", port)

    assert ended.code == 2
    assert f"port {port}: Address already in use; choose another with --port N" in ended.err


def test_without_the_extra_it_says_what_to_install(cli, film, monkeypatch):
    """The service needs OpenCV; the client does not."""

    def missing(**_):
        raise ModuleNotFoundError("no cv2", name="cv2")

    monkeypatch.setattr("memories_async.cli._local.pixel_engine", missing)

    ended = cli("serve", "--videos", film, "--port", 0)

    assert ended.code == 2
    assert "needs cv2: pip install 'memories_async[local]'" in ended.err


def test_a_missing_video_is_reported(cli, tmp_path, fixed, monkeypatch):
    """The system's error is shown in one line."""
    from memories_async.cli import serve

    def gone(_):
        raise ValueError("videos: gone")

    monkeypatch.setattr(serve.ServeOptions, "build_service", gone)

    assert "videos: gone" in cli("serve", "--videos", tmp_path).err


def test_the_printed_environment_suffices_in_another_terminal(start, cli, film, monkeypatch):
    """Program to program: the printed environment is enough, and Ctrl-C ends it."""
    served = start("serve", "--videos", film, "--port", "0", "--json")
    document = json.loads(served.stdout.readline())
    for name, value in document["environment"].items():
        monkeypatch.setenv(name, value)

    doctor = cli("doctor", "--ping")
    refused = cli("embed", "re_1")
    served.send_signal(signal.SIGINT)
    out, told = served.communicate(timeout=20)

    assert doctor.code == 0
    assert refused.code == 1
    assert (served.returncode, out, told) == (0, "", "")


def test_curl_can_use_the_service(start, film, picture):
    """The sample of the search page, unchanged but for the URL, the key and the ids."""
    served = start("serve", "--videos", film, "--port", "0", "--json")
    document = json.loads(served.stdout.readline())

    curl = subprocess.run(
        [
            *("curl", "--silent", "--request", "POST"),
            *("--url", f"{document['url']}/serve/api/v1/search_clips_by_image"),
            *("--header", f"Authorization: {document['environment']['MEMORIES_API_KEY']}"),
            *("--header", "Content-Type: multipart/form-data"),
            *("--form", f"file=@{picture}", "--form", "video_no=VI1"),
            *("--form", "prompt=focus on the red shirt", "--form", "unique_id=default"),
        ],
        capture_output=True,
        check=True,
    )

    assert json.loads(curl.stdout)["code"] == "0001"


def test_traffic_lists_each_request_once_after_it_has_ended(film, engine):
    """The list includes requests with faults, and deliveries of callbacks."""
    with LocalService([film], engine=engine, limits=None) as service:
        traffic = Traffic(service)
        service.faults.add(kind="drop")
        with service.blocking_client() as client:
            _try(lambda: client.embeddings.video(service.library[0].asset_id))
            told = [*traffic.read_lines()]
            client.captions.upload_file(
                film, user_prompt="a", system_prompt="b", callback="http://10.0.0.1/"
            )
            service.run(service.drain)
            more = [*traffic.read_lines()]
        service.reset()

        assert "no reply" in told[0]
        assert "fault: drop" in told[0]
        assert len(told) == 1
        assert "captions.upload_file" in more[0]
        assert "out of reach" in more[-1]
        assert [*traffic.read_lines()] == []


def test_traffic_starts_again_after_a_reset(film, engine):
    """The log is empty then, and later requests are listed."""
    with LocalService([film], engine=engine, limits=None) as service:
        traffic = Traffic(service)
        for _ in range(2):
            _deliver(service, film)
        told = [line for line in traffic.read_lines() if "  task " in line]
        service.reset()
        _deliver(service, film)

        assert len(told) == 2
        assert [line for line in traffic.read_lines() if "  task " in line]


def _deliver(service, film):
    """Request a caption with a callback that cannot be delivered."""
    with service.blocking_client(limits=Limits(captions=Limit(1000))) as client:
        client.captions.upload_file(
            film, user_prompt="a", system_prompt="b", callback="http://10.0.0.1/"
        )
    service.run(service.drain)


def test_traffic_waits_for_requests_in_progress(film, engine):
    """A request is listed once, with its answer."""
    with LocalService([film], engine=engine, limits=None) as service:
        traffic = Traffic(service)
        service.faults.add(kind="delay", seconds=0.2)
        asking = threading.Thread(target=_embed, args=(service,))
        asking.start()
        while not service.request_log:
            time.sleep(0.005)
        early = [*traffic.read_lines()]
        asking.join()

        assert early == []
        assert "200 0000" in next(traffic.read_lines())


def test_traffic_lists_ignored_words(film, engine, picture):
    """The line names the words that had no effect."""
    with LocalService([film], engine=engine, limits=None) as service:
        with service.blocking_client() as client:
            client.clips.search(picture, prompt="zebra", video_no=service.library[0].video_no)

        assert "prompt words without effect: zebra" in next(Traffic(service).read_lines())


def _try(action):
    from memories_async import MemoriesError

    with pytest.raises(MemoriesError):
        action()
