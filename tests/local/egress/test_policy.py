"""The policy: nobody outside decides where this process connects to."""

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
def test_loopback_is_in_reach(url):
    """Every spelling of this machine."""
    assert str(EgressPolicy("loopback").check(url).host)


@pytest.mark.parametrize("url", ["http://example.com/", "http://8.8.8.8/", "http://mylocalhost/"])
def test_the_world_is_in_reach_when_asked_for(url):
    """Public addresses, and names (whose addresses are seen later)."""
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
def test_the_inside_of_a_network_never_is(url, allowed_hosts):
    """Private, link-local, metadata, multicast, and IPv4 in disguise."""
    with pytest.raises(Unreachable):
        EgressPolicy(allowed_hosts).check(url)


@pytest.mark.parametrize(
    "host",
    ["127.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "127.0.1."],
)
def test_numbers_that_a_c_library_takes_for_an_address_are_refused(host):
    """Only the one plain spelling of an address is read as one."""
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
def test_what_is_no_plain_web_address_is_refused(url, sentence):
    """And refused for good, whatever the setting."""
    with pytest.raises(Unreachable, match=sentence) as caught:
        EgressPolicy("anywhere").check(url)

    assert not caught.value.is_forbidden


def test_own_port_is_refused_on_loopback_only():
    """A service that calls itself would never end; another machine's port is its own."""
    policy = EgressPolicy("anywhere", own_port=8080)

    for host in ("127.0.0.1", "localhost", "[::1]"):
        with pytest.raises(Unreachable, match="does not connect to itself"):
            policy.check(f"http://{host}:8080/")
    assert policy.check("http://8.8.8.8:8080/").port == 8080
    assert policy.check("http://localhost:8081/").port == 8081


@pytest.mark.parametrize("url", ["http://localhost/", "http://127.0.0.1/", "http://example.com/"])
def test_off_is_off(url):
    """Not even this machine."""
    with pytest.raises(Unreachable, match="no host"):
        EgressPolicy("off").check(url)


def test_a_misspelt_setting_is_refused():
    """It would silently forbid what was to be allowed."""
    with pytest.raises(ValueError, match="'anywere' is none of off, loopback, anywhere"):
        EgressPolicy("anywere")


@pytest.mark.parametrize("address", ["10.0.0.1", "::ffff:127.0.0.1", "no address"])
def test_an_address_that_a_name_leads_to_is_seen_too(address):
    """The second look, after the name was looked up."""
    assert not EgressPolicy("anywhere").allows(address, 80)
    assert EgressPolicy("anywhere").allows("8.8.8.8", 80)
    assert EgressPolicy("loopback").allows("127.0.0.1", 80)
    assert not EgressPolicy("loopback", own_port=80).allows("127.0.0.1", 80)
    assert not EgressPolicy("off").allows("127.0.0.1", 80)
