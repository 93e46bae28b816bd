"""`doctor` shows the settings, their sources and mistakes; nothing is billed."""

from __future__ import annotations

import os
import socket
import ssl
import tomllib
from pathlib import Path

import pytest
import trustme
from attrs import evolve

from memories_async._protocol.reply import Host
from memories_async.cli import doctor


def test_doctor_without_settings_shows_the_defaults_and_the_missing_key(cli):
    """A new user sees what is missing."""
    ended = cli("doctor")

    assert ended.code == 2
    assert "search      https://api.memories.ai" in ended.out
    assert "  default (MEMORIES_V1_BASE_URL)" in ended.out
    assert "There is no API key: set MEMORIES_API_KEY" in ended.out
    assert "Calls can be sent" not in ended.out


def test_doctor_accepts_a_key_and_does_not_show_it(cli, service):
    """The output has a fingerprint of the key."""
    ended = cli("doctor")

    assert ended.code == 0
    assert "Calls can be sent." in ended.out
    assert "set (fingerprint " in ended.out
    assert service.api_key not in ended.out


def test_doctor_shows_the_source_of_each_setting(cli, monkeypatch):
    """The source is the variable or the default."""
    monkeypatch.setenv("MEMORIES_CAPTION_API_KEY", "local-1")
    monkeypatch.setenv("MEMORIES_DEADLINE", "none")
    monkeypatch.setenv("MEMORIES_VIDEO_UPLOAD_RATE", "1/30")
    monkeypatch.setenv("MEMORIES_PROXY", "http://me:hush@proxy.example:3128")

    ended = cli("doctor", "--json")
    found = ended.json

    deadline = {"value": "none", "variable": "MEMORIES_DEADLINE", "given": True}
    assert found["policy"]["deadline"] == deadline
    assert found["policy"]["timeout"]["value"] == "120 s"
    assert found["policy"]["timeout"]["given"] is False
    assert found["policy"]["backoff"]["variable"] is None
    assert found["policy"]["resend_unknown"]["value"] == "no"
    assert found["limits"]["video_upload"]["variable"] == "MEMORIES_VIDEO_UPLOAD_RATE"
    assert found["limits"]["video_upload"]["value"].startswith("1 in 30 s")
    assert found["network"]["proxy"]["value"] == "http://***@proxy.example:3128"
    assert found["keys"]["captions"]["variable"] == "MEMORIES_CAPTION_API_KEY"
    assert found["problems"][0].startswith("Only captions have a key")
    assert "hush" not in ended.out


def test_doctor_shows_the_limiter_and_its_buckets(cli, monkeypatch, service, video, tmp_path):
    """The output names the store and lists the state of its buckets."""
    alone = cli("doctor", "--json").json["limiter"]
    monkeypatch.setenv("MEMORIES_LIMITER", f"file:{tmp_path / 'limiter'}")
    cli("embed", video.asset_id)
    together = cli("doctor", "--json").json["limiter"]

    assert alone["store"]["value"].startswith("process ")
    assert together["store"]["value"] == f"file, {tmp_path / 'limiter'}"
    assert together["store"]["given"] is True
    assert any(name.startswith("embeddings ") for name in together)


def test_a_server_that_keeps_the_limiter_is_asked_with_ping_only(cli, monkeypatch, service):
    """Without --ping, `doctor` connects to nothing."""
    pytest.importorskip("redis")
    monkeypatch.setenv("MEMORIES_LIMITER", "redis://127.0.0.1:1/0")

    quiet, asked = cli("doctor", "--json"), cli("doctor", "--ping", "--json")

    assert quiet.json["limiter"]["store"]["value"].endswith("not asked without --ping")
    assert asked.json["limiter"]["fault"]["value"]


def test_a_bucket_with_a_reduced_rate_is_marked():
    """The output explains why calls take longer."""
    from memories_async.cli._findings import find_limiter
    from memories_async.cli._settings import Configuration
    from memories_async.limiter import BucketStatus, LimiterStatus

    class Slow:
        def describe(self):
            bucket = BucketStatus(
                account="0123456789", family="search", wait=2.5, slowness=2, busy=1, waiting=3
            )
            return LimiterStatus(store="file", where="x", shared_by="all", buckets=(bucket,))

    found = [*find_limiter(evolve(Configuration.read(None, {}), limiter=Slow()), ask=True)]

    assert found[-1].name == "search 01234567"
    assert found[-1].value == "next permit in 2.5 s, 1 in flight, 3 waiting, 2.0 times slower"


def test_idle_buckets_of_other_accounts_are_counted_in_one_line():
    """A machine that used many keys has hundreds; those of this key, and busy ones, are listed."""
    from memories_async.cli._findings import find_limiter
    from memories_async.cli._settings import Configuration
    from memories_async.limiter import BucketStatus, LimiterStatus

    environment = {"MEMORIES_API_KEY": "a-key"}
    own = Configuration.read(None, environment).key(Host.SEARCH).fingerprint
    idle = BucketStatus(account="x", family="search", wait=0.0, slowness=1, busy=0, waiting=0)
    buckets = (
        *(evolve(idle, account=f"other-{number}@h") for number in range(1_200)),
        evolve(idle, account=f"{own}@https://api.memories.ai"),
        evolve(idle, account="busy-one@h", busy=1),
    )

    class Crowded:
        def describe(self):
            return LimiterStatus(store="file", where="x", shared_by="all", buckets=buckets)

    configuration = evolve(Configuration.read(None, environment), limiter=Crowded())
    found = {one.name: one.value for one in find_limiter(configuration, ask=True)}

    assert set(found) == {"store", "shared by", f"search {own[:8]}", "search busy-one", "idle"}
    assert found["idle"] == "1,200 of other accounts"


def test_a_proxy_without_a_password_is_shown_completely(cli, monkeypatch):
    """A URL without a password is not masked."""
    monkeypatch.setenv("MEMORIES_PROXY", "http://proxy.example")

    assert cli("doctor", "--json").json["network"]["proxy"]["value"] == "http://proxy.example"


def test_doctor_names_the_trusted_certificates(cli, monkeypatch, tmp_path):
    """The certificates are the user's file, OpenSSL's variable, or its default."""
    own = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(own)

    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    assert _trusted(cli)["given"] is False
    monkeypatch.setenv("SSL_CERT_FILE", str(own))
    assert _trusted(cli) == {"value": str(own), "variable": "SSL_CERT_FILE", "given": True}
    monkeypatch.setenv("MEMORIES_CA_FILE", str(own))
    assert _trusted(cli)["variable"] == "MEMORIES_CA_FILE"


def _trusted(cli):
    return cli("doctor", "--json").json["network"]["certificates"]


def test_doctor_warns_of_variables_that_are_probably_misspelt(cli, monkeypatch):
    """No other command reports a misspelt variable."""
    monkeypatch.setenv("MEMORIES_V1_BASEURL", "http://127.0.0.1:1")
    monkeypatch.setenv("MEMORIES_42", "x")

    remarks = cli("doctor", "--json").json["remarks"]

    assert remarks == [
        "MEMORIES_42 is set and has no effect.",
        "MEMORIES_V1_BASEURL is set and has no effect; did you mean MEMORIES_V1_BASE_URL?",
    ]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MEMORIES_V1_BASE_URL", "http://example.com"),
        ("MEMORIES_ATTEMPTS", "0"),
        ("MEMORIES_TIMEOUT", "none"),
        ("MEMORIES_DEADLINE", "soon"),
        ("MEMORIES_SEARCH_RATE", "0"),
        ("MEMORIES_PROXY", "socks5://x"),
        ("MEMORIES_CA_FILE", "/nowhere.pem"),
        ("MEMORIES_API_KEY", "Bearer local-1"),
        ("MEMORIES_LIMITER", "carrier pigeon"),
    ],
)
def test_a_wrong_setting_is_named(cli, monkeypatch, variable, value):
    """The message begins with the variable."""
    monkeypatch.setenv(variable, value)

    ended = cli("doctor")

    assert ended.code == 2
    assert ended.err.startswith(f"memories-async doctor: {variable}: ")


def test_an_incomplete_extra_names_its_installation(cli, monkeypatch):
    """The output names the missing package and the command that installs it."""
    monkeypatch.setattr(doctor, "find_version", lambda name: None)

    ended = cli("doctor")

    assert "local     not installed: pip install 'memories_async[local]'" in ended.out


def test_an_extra_is_complete_only_when_all_of_it_is_there(monkeypatch):
    """The extra needs all its packages; any package of OpenCV is accepted."""
    needs = {
        "whole": (("click",), ("no-such-package", "rich")),
        "half": (("click",), ("no-such-package",)),
    }
    monkeypatch.setattr(doctor, "_EXTRAS", needs)
    found = doctor.find_extras()

    assert found["half"] is None
    assert found["whole"].startswith("click 8")
    assert ", rich " in found["whole"]


def test_every_extra_of_the_package_is_listed_and_no_other():
    """The advice `pip install 'memories_async[EXTRA]'` names an extra that exists."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]

    assert set(doctor.find_extras()) == set(project["optional-dependencies"]) - {"all"}


def test_a_ping_connects_and_sends_no_request(cli, service):
    """Three hosts at one address get one ping and no request."""
    ended = cli("doctor", "--ping")

    assert ended.code == 0
    assert ended.out.count("connected, ") == 1
    assert service.request_log == ()


def test_a_host_out_of_reach_ends_with_3(cli, monkeypatch, service):
    """The settings are correct, but a host cannot be reached."""
    monkeypatch.setenv("MEMORIES_V1_BASE_URL", "http://127.0.0.1:1")

    ended = cli("doctor", "--ping")

    assert ended.code == 3
    assert "http://127.0.0.1:1      failed: Connection refused" in ended.out


def test_through_a_proxy_the_proxy_is_pinged(cli, monkeypatch, service):
    """With a proxy, this machine connects to the proxy; its password is not shown."""
    monkeypatch.setenv("MEMORIES_PROXY", service.url.replace("://", "://me:hush@"))

    ended = cli("doctor", "--ping", "--json")

    ((name, reached),) = ended.json["ping"].items()
    assert name == f"proxy {service.url.replace('://', '://***@')}"
    assert reached["ok"] is True
    assert "hush" not in ended.out


@pytest.mark.parametrize("trusted", [True, False])
async def test_a_ping_speaks_tls(tmp_path, trusted):
    """The version where the certificate is trusted, the reason where it is not."""
    import asyncio

    authority, stranger = trustme.CA(), trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    file = tmp_path / "ca.pem"
    (authority if trusted else stranger).cert_pem.write_to_path(file)

    async def greet(_, writer):
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        echo = await doctor.ping(f"https://127.0.0.1:{port}", ca=str(file))

    assert echo.ok is trusted
    assert echo.told.startswith("TLSv1" if trusted else "certificate not trusted: ")


async def test_a_ping_times_out(monkeypatch):
    """A ping to a silent host ends after a timeout."""

    async def never(*_):
        import asyncio

        await asyncio.Event().wait()

    monkeypatch.setattr(doctor, "_PING_TIMEOUT", 0.01)
    monkeypatch.setattr(doctor, "connect", never)

    echo = await doctor.ping("https://example.com", ca=None)

    assert echo.told == "no answer in 0.01 s"


def test_the_environment_of_the_tests_is_clean():
    """The other tests depend on it."""
    assert not {name for name in os.environ if name.startswith("MEMORIES_")} - {"MEMORIES_CACHE"}


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (socket.gaierror(-2, "Name or service not known"), "the host name is unknown"),
        (ConnectionRefusedError(111, "Connect call failed ('::1', 1)"), "Connection refused"),
        (OSError("Multiple exceptions: ..."), "none of its addresses answers"),
    ],
)
def test_a_failed_ping_is_reported_in_plain_words(error, told):
    """The message does not repeat the event loop's text."""
    assert doctor.explain_failure(error) == told


def test_the_systems_proxy_is_shown_as_the_clients_use_it(cli, monkeypatch):
    """Without its password, and not for a host that NO_PROXY names."""
    monkeypatch.setenv("HTTPS_PROXY", "http://me:hush@proxy.example:3128")
    everywhere = cli("doctor", "--json").json["network"]["proxy"]
    monkeypatch.setenv("NO_PROXY", "security.memories.ai")
    partly = cli("doctor", "--json")

    assert everywhere["value"] == "http://***@proxy.example:3128"
    assert everywhere["variable"] == "HTTPS_PROXY, HTTP_PROXY, NO_PROXY"
    assert "captions" not in partly.json["network"]["proxy"]["value"]
    assert "search: http://***@proxy.example:3128" in partly.json["network"]["proxy"]["value"]
    assert "hush" not in partly.out


def test_a_check_proves_the_key_by_a_free_call(cli, service, monkeypatch):
    """One request, nothing charged; a wrong key ends with 1."""
    good = cli("doctor", "--check")
    requests = [request.route for request in service.request_log]
    monkeypatch.setenv("MEMORIES_API_KEY", "local-wrong")
    bad, document = cli("doctor", "--check"), cli("doctor", "--check", "--json").json["check"]

    assert (good.code, bad.code) == (0, 1)
    assert requests == ["videos.list"]
    assert "The API key is accepted." in good.out
    assert "The check failed: refused: " in bad.out
    assert document["kind"] == "AuthenticationFailed"
    assert service.account.points_spent == 0


def test_a_check_without_a_key_sends_nothing(cli):
    """The missing key is the problem."""
    ended = cli("doctor", "--check")

    assert ended.code == 2
    assert "There is no API key" in ended.out


def test_doctor_says_whether_the_log_is_shown(cli, monkeypatch):
    """By the variable that shows it."""
    assert cli("doctor", "--json").json["log"]["level"]["given"] is False
    monkeypatch.setenv("MEMORIES_LOG", "info")
    level = cli("doctor", "--json").json["log"]["level"]

    assert (level["value"], level["variable"], level["given"]) == ("info", "MEMORIES_LOG", True)
