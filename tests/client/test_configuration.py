"""Settings from the environment: one table, checked when a client is made, behind its arguments."""

from __future__ import annotations

import inspect
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import fields_dict
from callers import settings_of
from samples import KEY

from memories_async import Client, Hosts, Limit, Limits, Policy, blocking
from memories_async._client.configuration import BY_SETTING, VARIABLES, EnvironmentSettings
from memories_async._protocol.reply import Host

ROOT = Path(__file__).parents[2]
BOTH = pytest.mark.parametrize("kind", [Client, blocking.Client])


def test_a_key_in_the_variable_of_other_programs_is_named(monkeypatch):
    """It is not read, since it may belong to another account; its value is not shown."""
    monkeypatch.delenv("MEMORIES_API_KEY", raising=False)
    monkeypatch.setenv("MEMORIES_AI_API_KEY", "sk-of-another-program")
    with pytest.raises(ValueError, match="MEMORIES_AI_API_KEY is set, but") as caught:
        Client()

    assert "sk-of" not in str(caught.value)


def test_every_variable_has_a_name_of_its_own_and_a_meaning():
    """The table is what commands and documentation show."""
    names = [one.name for one in VARIABLES]

    assert len({*names}) == len(names)
    assert all(name.startswith("MEMORIES_") for name in names)
    assert all(one.meaning for one in VARIABLES)


@BOTH
def test_a_client_takes_every_setting_from_the_environment(kind, monkeypatch, tmp_path):
    """As the command does."""
    ca = tmp_path / "ca.pem"
    ca.write_text("")
    given = {
        "MEMORIES_API_KEY": f" {KEY}\n",
        "MEMORIES_CAPTION_API_KEY": "local-caption",
        "MEMORIES_V1_BASE_URL": "https://one.example",
        "MEMORIES_CAPTION_BASE_URL": "",
        "MEMORIES_V2_BASE_URL": "https://two.example/serve/api/v2",
        "MEMORIES_ATTEMPTS": "2",
        "MEMORIES_DEADLINE": "none",
        "MEMORIES_TIMEOUT": "7.5",
        "MEMORIES_CONNECT_TIMEOUT": "3",
        "MEMORIES_SEARCH_RATE": "5",
        "MEMORIES_VIDEO_UPLOAD_RATE": "1/30",
        "MEMORIES_PROXY": "http://me:word@proxy.example:3128",
    }
    for name, text in given.items():
        monkeypatch.setenv(name, text)
    settings = settings_of(kind())

    assert settings.key_of(Host.SEARCH).reveal() == KEY
    assert settings.key_of(Host.CAPTIONS).reveal() == "local-caption"
    assert settings.hosts == Hosts(search="https://one.example", embeddings="https://two.example")
    assert settings.policy == Policy(attempts=2, deadline=None, timeout=7.5, connect_timeout=3)
    assert settings.limits == Limits(search=Limit(5), video_upload=Limit(1, per=30))
    assert settings.proxies == dict.fromkeys(Host, "http://me:word@proxy.example:3128")


@BOTH
def test_an_argument_beats_a_variable(kind, monkeypatch):
    """Also one that is wrong."""
    for one in VARIABLES:
        if one.setting:
            monkeypatch.setenv(one.name, "nonsense")
    monkeypatch.delenv("MEMORIES_CA_FILE")
    monkeypatch.delenv("MEMORIES_TRANSPORT")  # there is no such argument
    monkeypatch.delenv("MEMORIES_LOG")
    monkeypatch.delenv("MEMORIES_CAPTION_API_KEY")
    settings = settings_of(
        kind(
            api_key=KEY,
            hosts=Hosts(),
            policy=Policy(attempts=1),
            limits=Limits(),
            limiter=settings_of(kind_without(monkeypatch)).limiter,
            proxy="http://proxy.example:1",
        )
    )

    assert (settings.hosts, settings.policy, settings.limits) == (
        Hosts(),
        Policy(attempts=1),
        Limits(),
    )
    assert settings.proxies[Host.SEARCH] == "http://proxy.example:1"


def kind_without(monkeypatch):
    """A client made while no variable is set."""
    with monkeypatch.context() as context:
        for one in VARIABLES:
            context.delenv(one.name, raising=False)
        return Client(api_key=KEY)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("MEMORIES_API_KEY", "two words", "printable ASCII without spaces"),
        ("MEMORIES_V1_BASE_URL", "http://10.0.0.1", "in the clear"),
        ("MEMORIES_V2_BASE_URL", "two.example", "must be a full http or https URL"),
        ("MEMORIES_ATTEMPTS", "0", "attempts"),
        ("MEMORIES_ATTEMPTS", "many", "must be a number, not 'many'"),
        ("MEMORIES_DEADLINE", "-1", "seconds above 0"),
        ("MEMORIES_SEARCH_RATE", "1/0", "per"),
        ("MEMORIES_SEARCH_RATE", "fast", "must be a number, not 'fast'"),
        ("MEMORIES_LIMITER", "bogus", "must be process, file, file:/path or redis://"),
        ("MEMORIES_PROXY", "proxy.example", "must be a full URL"),
        ("MEMORIES_PROXY", "http://me:word@", "must be a full URL"),
        ("MEMORIES_PROXY", "http://me:word@proxy.example:port", "must be a full URL"),
        ("MEMORIES_PROXY", "socks5://me:word@x:1080", "SOCKS is not supported"),
        ("MEMORIES_CA_FILE", "/no/such/file", "no such file"),
        ("HTTPS_PROXY", "socks5://me:word@x:1080", "SOCKS is not supported"),
        ("ALL_PROXY", "http://me:word@x:0", "must be a full URL"),
    ],
)
@BOTH
def test_a_wrong_variable_is_named_when_the_client_is_made(kind, name, text, reason, monkeypatch):
    """And what it holds is not repeated where it may hold a password."""
    if not name.endswith("API_KEY"):
        monkeypatch.setenv("MEMORIES_API_KEY", KEY)
    monkeypatch.setenv(name, text)
    with pytest.raises(ValueError, match=reason) as caught:
        kind()

    assert str(caught.value).startswith(name)
    assert ":word" not in str(caught.value)


@BOTH
@pytest.mark.parametrize("proxy", ["proxy.example:1", "socks5://x:1", "http://x:99999", "http://"])
def test_a_proxy_is_checked_when_the_client_is_made(kind, proxy):
    """Not at the first call."""
    with pytest.raises(ValueError, match=r"^proxy: must be"):
        kind(api_key=KEY, proxy=proxy)


@BOTH
@pytest.mark.parametrize("option", ["api_key", "caption_api_key"])
@pytest.mark.parametrize("text", ["", " ", "\n"])
def test_an_empty_key_says_what_to_do(kind, option, text):
    """Somebody meant to pass one, for example from a variable of their own."""
    with pytest.raises(ValueError, match=rf"{option} is empty: pass the key, or leave it out"):
        kind(**{"api_key": KEY, option: text})


@BOTH
def test_white_space_around_a_key_is_stripped(kind):
    """A file that holds it ends with a newline."""
    assert settings_of(kind(api_key=f" {KEY}\n")).key_of(Host.SEARCH).reveal() == KEY


def test_a_pickled_client_finds_its_key_with_white_space_around_it(monkeypatch):
    """In the variable of another process."""
    from memories_async._protocol.keys import Key

    packed = pickle.dumps(Client(api_key=KEY))
    monkeypatch.setattr(Key, "_known", {})
    monkeypatch.setenv("MEMORIES_API_KEY", f"{KEY}\n")

    assert settings_of(pickle.loads(packed)).key_of(Host.SEARCH).reveal() == KEY


@pytest.mark.parametrize(
    ("variables", "proxies"),
    [
        ({"HTTPS_PROXY": "http://p:1"}, dict.fromkeys(Host, "http://p:1")),
        ({"https_proxy": "http://p:1"}, dict.fromkeys(Host, "http://p:1")),
        ({"HTTPS_PROXY": "p:1"}, dict.fromkeys(Host, "http://p:1")),
        ({"ALL_PROXY": "http://p:1"}, dict.fromkeys(Host, "http://p:1")),
        ({"HTTP_PROXY": "http://p:1"}, {}),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "memories.ai"}, {}),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, {}),
        (
            {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "api.memories.ai"},
            {Host.CAPTIONS: "http://p:1", Host.EMBEDDINGS: "http://p:1"},
        ),
        (
            {"HTTPS_PROXY": "http://p:1", "MEMORIES_PROXY": "http://own:2"},
            dict.fromkeys(Host, "http://own:2"),
        ),
    ],
)
@BOTH
def test_the_systems_proxy_variables_are_honoured(kind, variables, proxies, monkeypatch):
    """As requests and httpx do."""
    for name, text in variables.items():
        monkeypatch.setenv(name, text)

    assert settings_of(kind(api_key=KEY)).proxies == proxies


@pytest.mark.parametrize("url", ["http://localhost:1", "http://127.0.0.1:1", "https://[::1]:1"])
def test_the_systems_proxies_never_apply_to_this_machine(url, monkeypatch):
    """An embedded service is reached directly."""
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://p:1")

    assert settings_of(Client(api_key=KEY, hosts=Hosts.at(url))).proxies == {}


@pytest.mark.parametrize(
    ("option", "advice"),
    [
        ("timeout", r"use policy=Policy\(timeout=\.\.\.\)"),
        ("deadline", r"use policy=Policy\(deadline=\.\.\.\)"),
        ("max_retries", r"use policy=Policy\(attempts=\.\.\.\)"),
        ("base_url", r"use hosts=Hosts\.at\(url\)"),
        ("token", "use api_key="),
        ("apikey", "use api_key="),
        ("rate_limit", r"use limits=Limits\("),
        ("verify", "use ssl="),
        ("default_headers", "the service reads no further header"),
        ("http_client", "the client has its own"),
        ("idempotency_key", r"use ledger=Ledger\(path\)"),
        ("webhook_secret", r"use receiver=Receiver\(url\)"),
        ("quux", "there are api_key, caption_api_key, account"),
    ],
)
@BOTH
def test_a_mistaken_option_teaches_the_right_one(kind, option, advice):
    """Whoever comes from another library guesses its names."""
    with pytest.raises(TypeError, match=f"no option '{option}'.*{advice}"):
        kind(api_key=KEY, **{option: 1})


def test_the_table_covers_the_fields_that_it_names():
    """A renamed field would otherwise leave a variable without effect."""
    for setting in BY_SETTING:
        owner, _, field = setting.partition(".")
        kind = {"hosts": Hosts, "policy": Policy, "limits": Limits}.get(owner)
        assert kind is None or hasattr(kind(), field)


def test_an_unset_environment_says_nothing():
    """The defaults are the library's."""
    configuration = EnvironmentSettings.read({"MEMORIES_TIMEOUT": " ", "OTHER": "x"})

    assert configuration.given == {}
    assert configuration.get("proxy") is None
    assert configuration.build(Policy, "policy") == Policy()


@pytest.mark.parametrize("level", ["debug", "INFO"])
def test_a_variable_shows_the_log(level, monkeypatch):
    """On the standard error stream of a program that handles no log itself."""
    script = (
        "import logging; from memories_async import Client; Client(api_key='local-x');"
        "logging.getLogger('memories_async').info('seen')"
    )
    environment = {**os.environ, "MEMORIES_LOG": level, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )

    assert ended.stderr.endswith(" memories_async INFO seen\n")
    monkeypatch.setenv("MEMORIES_LOG", "loud")
    with pytest.raises(ValueError, match="MEMORIES_LOG: must be debug, info or warning"):
        Client(api_key=KEY)


def test_the_page_of_the_configuration_names_every_variable_and_option():
    """Nothing that has an effect is left out."""
    page = (ROOT / "docs" / "configuration.md").read_text()
    families = {one.name for one in VARIABLES if one.setting.startswith("limits.")}
    names = {one.name for one in VARIABLES} - families

    assert not [name for name in names if f"`{name}`" not in page]
    assert not [name for name in fields_dict(Limits) if f"`{name}`" not in page]
    options = inspect.signature(Client.__init__).parameters
    assert not [name for name in options if name != "self" and f"`{name}=`" not in page]
