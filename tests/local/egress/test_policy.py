"""The egress policy: a request cannot make the service connect to a private network."""

from __future__ import annotations

import pytest

from memories_async.local.egress.policy import EgressPolicy, Unreachable


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://127.0.0.1:8080/a",
        "http://127.9.9.9/",
        "https://localhost/",
        "http://LOCALHOST./",
        "http://films.localhost/",
        "http://[::1]:80/",
    ],
)
def test_loopback_policy_allows_every_spelling_of_loopback(url):
    """Addresses and names."""
    assert str(EgressPolicy("loopback").check(url).host)


@pytest.mark.parametrize("url", ["http://example.com/", "http://8.8.8.8/", "http://mylocalhost/"])
def test_anywhere_policy_allows_public_hosts(url):
    """The loopback policy refuses them, and says that other settings would allow them."""
    with pytest.raises(Unreachable) as caught:
        EgressPolicy("loopback").check(url)

    assert caught.value.is_forbidden
    assert EgressPolicy("anywhere").check(url).host


@pytest.mark.parametrize("allowed_hosts", ["loopback", "anywhere"])
@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1/",
        "http://192.168.1.1/",
        "http://172.16.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://100.64.0.1/",
        "http://0.0.0.0/",
        "http://224.0.0.1/",
        "http://255.255.255.255/",
        "http://[::]/",
        "http://[fe80::1]/",
        "http://[fd00:ec2::254]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://[2002:7f00:1::]/",
        "http://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[ff02::1]/",
    ],
)
def test_no_policy_allows_a_private_network(url, allowed_hosts):
    """Private, link-local, metadata and multicast addresses, and IPv6 addresses that hold an IPv4
    address."""
    with pytest.raises(Unreachable):
        EgressPolicy(allowed_hosts).check(url)


@pytest.mark.parametrize(
    "host",
    ["127.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "127.0.1."],
)
def test_policy_refuses_numeric_spellings_that_the_c_library_accepts(host):
    """Only the usual spelling of an address is read as one."""
    with pytest.raises(Unreachable, match="is a number"):
        EgressPolicy("anywhere").check(f"http://{host}/")


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("file:///etc/passwd", "must start with http"),
        ("ftp://localhost/", "must start with http"),
        ("//localhost/", "must start with http"),
        ("localhost", "must start with http"),
        ("http://", "cannot be read|must start with http"),
        ("http://[x/", "cannot be read"),
        ("http://me@localhost/", "user name"),
        ("http://:secret@localhost/", "user name"),
    ],
)
def test_policy_refuses_what_is_not_a_plain_http_url(url, sentence):
    """Under every setting."""
    with pytest.raises(Unreachable, match=sentence) as caught:
        EgressPolicy("anywhere").check(url)

    assert not caught.value.is_forbidden


def test_policy_refuses_the_services_own_port_on_loopback():
    """The same port of another host is allowed."""
    policy = EgressPolicy("anywhere", own_port=8080)

    for host in ("127.0.0.1", "localhost", "[::1]"):
        with pytest.raises(Unreachable, match="does not connect to itself"):
            policy.check(f"http://{host}:8080/")
    assert policy.check("http://8.8.8.8:8080/").port == 8080
    assert policy.check("http://localhost:8081/").port == 8081


@pytest.mark.parametrize("url", ["http://localhost/", "http://127.0.0.1/", "http://example.com/"])
def test_off_policy_allows_no_host(url):
    """Loopback included."""
    with pytest.raises(Unreachable, match="no host"):
        EgressPolicy("off").check(url)


def test_policy_refuses_a_misspelt_setting():
    """It would forbid every host without an error."""
    with pytest.raises(ValueError, match="'anywere' is none of off, loopback, anywhere"):
        EgressPolicy("anywere")


@pytest.mark.parametrize("address", ["10.0.0.1", "::ffff:127.0.0.1", "no address"])
def test_policy_decides_on_each_address_of_a_name(address):
    """This is the second check, after the look-up."""
    assert not EgressPolicy("anywhere").allows(address, 80)
    assert EgressPolicy("anywhere").allows("8.8.8.8", 80)
    assert EgressPolicy("loopback").allows("127.0.0.1", 80)
    assert not EgressPolicy("loopback", own_port=80).allows("127.0.0.1", 80)
    assert not EgressPolicy("off").allows("127.0.0.1", 80)
