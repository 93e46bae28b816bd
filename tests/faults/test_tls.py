"""Faults of TLS (cases 16-22): nothing is sent where the other side is not proven."""

from __future__ import annotations

import datetime as dt
import ssl
import warnings

import pytest
import trustme
from attrs import evolve
from callers import HASTY
from samples import FOUND, search_call
from servers import answer, hang_up, listening, raw, serving

from memories_async.errors import NotSent, OutcomeUnknown


@pytest.fixture(scope="module")
def authority():
    """A certificate authority that nobody trusts by default."""
    return trustme.CA()


@pytest.fixture
def ca_file(authority, tmp_path):
    """Its certificate, as a company would hand it out."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return tmp_path / "ca.pem"


def presenting(cert) -> ssl.SSLContext:
    """A server's side of TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    cert.configure_cert(context)
    return context


@pytest.fixture
def tls(authority):
    """A server's context that is right for localhost."""
    return presenting(authority.issue_cert("localhost"))


async def test_a_custom_authority_is_trusted_when_given(connect, ca_file, tls):
    """It is given as a path, as text or as a context."""
    context = ssl.create_default_context(cafile=ca_file)
    async with serving(answer(FOUND), ssl=tls) as server:
        for trusted in (ca_file, str(ca_file), context):
            assert await connect(server.url, ssl=trusted).send(search_call())
        assert server.requests == 3


async def test_a_custom_authority_adds_to_those_of_the_system(ca_file):
    """The service stays trusted as well."""
    from memories_async._client.sender import _trust

    own, system = _trust(ca_file), ssl.create_default_context()

    assert own.cert_store_stats()["x509_ca"] == system.cert_store_stats()["x509_ca"] + 1


def test_verification_cannot_be_turned_off(connect):
    """Neither of the certificate nor of the host name."""
    blind = ssl.create_default_context()
    blind.check_hostname = False
    with pytest.raises(ValueError, match="must verify certificates and host names"):
        connect("https://localhost:1", ssl=blind)
    blind.verify_mode = ssl.CERT_NONE
    with pytest.raises(ValueError, match="must verify certificates and host names"):
        connect("https://localhost:1", ssl=blind)


async def test_an_unknown_authority_is_final(connect, tls):
    """Case 16: no repeat, no request, and no advice to turn verification off."""
    async with serving(answer(FOUND), ssl=tls) as server:
        error = await connect(server.url).fails(search_call(), NotSent)

        assert server.requests == 0
    assert (error.billed, error.attempts, error.transient) == ("no", 1, False)
    assert "is not trusted" in error.message
    assert "verif" not in error.message


async def test_a_wrong_host_name_is_final(connect, authority, ca_file):
    """Case 17."""
    wrong = presenting(authority.issue_cert("other.example"))
    async with serving(answer(FOUND), ssl=wrong) as server:
        error = await connect(server.url, ssl=ca_file).fails(search_call(), NotSent)

        assert server.requests == 0
    assert "not trusted" in error.message
    assert "mismatch" in error.message


async def test_an_expired_certificate_is_final(connect, authority, ca_file):
    """Case 18: the message says so."""
    yesterday = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    expired = presenting(authority.issue_cert("localhost", not_after=yesterday))
    async with serving(answer(FOUND), ssl=expired) as server:
        error = await connect(server.url, ssl=ca_file).fails(search_call(), NotSent)

        assert server.requests == 0
    assert (error.attempts, "expired" in error.message) == (1, True)


async def test_plain_http_on_a_tls_port_is_final(connect):
    """Case 19."""

    async def complain(writer):
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with listening(complain) as port:
        error = await connect(f"https://localhost:{port}").fails(search_call(), NotSent)

    assert (error.attempts, error.billed) == (1, "no")
    assert "does not speak TLS as required" in error.message


async def test_the_connect_timeout_ends_a_stalled_handshake(connect):
    """Case 20: nothing is sent."""

    async def stall(_):
        """Say nothing."""

    policy = evolve(HASTY, attempts=1, connect_timeout=0.1, timeout=60.0)
    async with listening(stall) as port:
        caller = connect(f"https://localhost:{port}", policy=policy)
        error = await caller.fails(search_call(), NotSent)

    assert (error.billed, error.transient) == ("no", True)


async def test_a_connection_cut_after_the_request_is_unknown(connect, ca_file, tls):
    """Case 21: the rule is the same inside TLS."""
    for behaviour in (hang_up, raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")):
        async with serving(behaviour, ssl=tls) as server:
            error = await connect(server.url, ssl=ca_file).fails(search_call(), OutcomeUnknown)
            assert server.requests == 1
        assert error.billed == "maybe"


async def test_an_old_protocol_is_refused(connect, authority, ca_file):
    """Case 22: TLS 1.1 and older."""
    old = presenting(authority.issue_cert("localhost"))
    old.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    async with serving(answer(FOUND), ssl=old) as server:
        error = await connect(server.url, ssl=ca_file).fails(search_call(), NotSent)

        assert server.requests == 0
    assert error.billed == "no"
