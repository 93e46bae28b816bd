"""API keys can be used, never seen, and do not travel inside a pickle."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from urllib.parse import quote

import pytest
from samples import KEY

from memories_async._protocol.keys import Key


def key(secret=KEY) -> Key:
    """A key as a client holds it."""
    return Key(secret, variable="MEMORIES_API_KEY")


@pytest.mark.parametrize("shown", [repr, str, "{}".format, "{0!r}".format, lambda k: f"{k}"])
def test_a_key_cannot_be_printed(shown):
    """In str, repr, format and dataclass-like reprs."""
    assert shown(key()) == "Key(***)"


def test_reveal_returns_the_key():
    """Exactly as it was given."""
    assert key().reveal() == KEY


def test_a_fingerprint_identifies_a_key_and_does_not_reveal_it():
    """It names the account in buckets and ledgers."""
    assert key().fingerprint == key().fingerprint != key("local-other").fingerprint
    assert KEY not in key().fingerprint


BAD = ["", " ", "Bearer local-1", "local-1\n", "local-1\r\nX: y", "local-\x00", "lócal", "a b"]


@pytest.mark.parametrize("secret", BAD)
def test_a_key_that_could_not_be_a_header_is_refused(secret):
    """The message does not repeat it."""
    with pytest.raises(ValueError, match="printable ASCII without spaces") as caught:
        key(secret)

    assert not secret.strip() or secret not in str(caught.value)


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda k: pickle.loads(pickle.dumps(k))]
)
def test_a_copy_in_this_process_is_the_same_key(copied):
    """Also without an environment variable."""
    assert copied(key()).reveal() == KEY


def test_a_pickle_holds_a_reference_to_the_key():
    """The key's bytes are not in it."""
    assert KEY.encode() not in pickle.dumps(key())


ELSEWHERE = "import pickle, sys; print(pickle.loads(sys.stdin.buffer.read()).reveal())"


def elsewhere(**environment):
    """Unpickle the key in a process that never saw it."""
    return subprocess.run(
        [sys.executable, "-c", ELSEWHERE],
        input=pickle.dumps(key()),
        capture_output=True,
        env=environment,
        check=False,
    )


def test_another_process_finds_the_key_in_its_own_environment():
    """Workers of Ray or Dask are set up so."""
    found = elsewhere(MEMORIES_API_KEY="local-mine")

    assert found.stdout.strip() == b"local-mine"


def test_a_process_without_the_key_says_which_variable_to_set(monkeypatch):
    """When the key is used: a pool would wait for ever for a worker that fails to unpickle."""
    packed = pickle.dumps(key())
    monkeypatch.setattr(Key, "_known", {})
    missing = pickle.loads(packed)

    assert missing.fingerprint == key().fingerprint
    with pytest.raises(ValueError, match="set MEMORIES_API_KEY in this process"):
        missing.reveal()


SECRET = 'sk/1"2\\3+4%5<6'
SPELLINGS = [
    SECRET,
    json.dumps(SECRET),
    json.dumps(SECRET).replace("/", "\\/"),
    json.dumps(SECRET).replace("<", "\\u003C").replace("s", "\\u0073"),
    quote(SECRET, safe=""),
    quote(SECRET, safe="").lower(),
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_key_is_masked_however_it_is_escaped(spelling):
    """By JSON or in a URL; what stands around it stays."""
    text = f"Incorrect API key {spelling}\nprovided".encode()

    masked = Key(SECRET, variable="MEMORIES_API_KEY").mask(text)

    assert masked.replace(b'"', b"") == b"Incorrect API key ***\nprovided"


def test_a_body_without_the_key_stays_as_it_is():
    """Also one with escapes and percent signs, or with bytes that are no text."""
    for body in (b"", b"100 % of it", b'"a\\u00e9\\nb"', bytes(range(256))):
        assert Key(SECRET, variable="MEMORIES_API_KEY").mask(body) == body


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("secret", [SECRET, KEY, "0123456789", "kkkkkkkk"])
def test_every_spelling_of_a_key_is_suspected(secret, spelling):
    """A body is only left as it is where a byte of the key, and every escape, is missing."""
    written = spelling if secret == SECRET else secret

    assert Key(secret, variable="MEMORIES_API_KEY").may_be_in(f"a {written} b".encode())
    assert not Key(secret, variable="MEMORIES_API_KEY").may_be_in(b'{"": null}')


def test_a_key_too_short_to_be_a_secret_is_not_masked():
    """It would take the letters out of words."""
    assert Key("k-test", variable="MEMORIES_API_KEY").mask(b"k-test") == b"k-test"
