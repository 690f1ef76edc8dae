"""Where a server listens, and the rule that loopback alone is open to anybody."""

from __future__ import annotations

import pytest

from stable_openai import ConfigurationError
from stable_openai.serving import check_open, is_local, parse_address


@pytest.mark.parametrize(
    ("text", "host", "port", "shown", "loopback"),
    [
        ("localhost:8000", "localhost", 8000, "localhost:8000", True),
        ("127.0.0.1:80", "127.0.0.1", 80, "127.0.0.1:80", True),
        ("127.9.9.9:80", "127.9.9.9", 80, "127.9.9.9:80", True),
        ("[::1]:8000", "::1", 8000, "[::1]:8000", True),
        ("[::ffff:127.0.0.1]:1", "::ffff:127.0.0.1", 1, "[::ffff:127.0.0.1]:1", True),
        ("8000", "localhost", 8000, "localhost:8000", True),
        ("app.localhost:1", "app.localhost", 1, "app.localhost:1", True),
        (":8000", "", 8000, ":8000", False),
        ("0.0.0.0:0", "0.0.0.0", 0, "0.0.0.0:0", False),
        ("[::]:65535", "::", 65535, "[::]:65535", False),
        ("[::ffff:10.0.0.1]:1", "::ffff:10.0.0.1", 1, "[::ffff:10.0.0.1]:1", False),
        ("gateway.example:8000", "gateway.example", 8000, "gateway.example:8000", False),
        ("localhost.example:8000", "localhost.example", 8000, "localhost.example:8000", False),
        ("10.1.2.3:8000", "10.1.2.3", 8000, "10.1.2.3:8000", False),
    ],
)
def test_addresses(text, host, port, shown, loopback):
    """What is written is understood, shown again, and known to be on loopback or not."""
    address = parse_address(text)
    assert (address.host, address.port, str(address), address.is_loopback) == (host, port, shown, loopback)


@pytest.mark.parametrize(
    "text",
    [
        "", ":", "localhost", "localhost:", "localhost:x", "localhost:65536", "localhost:-1", "localhost:1e3", "::1:80",
        "[::1]", "[1.2.3.4]:80", "[]:80", "[::1:80", "http://localhost:80", "a b:80", "a..b:80", "x" * 300 + ":80",
        "localhost:\u0661\u0662", "localhost:" + "9" * 5000,
    ],
)  # fmt: skip
def test_no_addresses(text):
    """Anything else is refused, by the name of the option."""
    with pytest.raises(ConfigurationError, match="--http"):
        parse_address(text, "--http")


def test_open_addresses_need_a_token():
    """Off loopback a server starts only with a token, and says how."""
    check_open(parse_address("localhost:8000"), "--http", has_token=False)
    check_open(parse_address(":8000"), "--http", has_token=True)
    with pytest.raises(ConfigurationError, match=r"--http: 0\.0\.0\.0:8000 .*--token NAME=SECRET.*localhost:8000"):
        check_open(parse_address("0.0.0.0:8000"), "--http", has_token=False)


@pytest.mark.parametrize(
    ("authority", "local"),
    [
        ("localhost", True), ("localhost:8000", True), ("127.0.0.1:8000", True), ("[::1]", True), ("[::1]:80", True),
        ("LOCALHOST.:1", True), ("evil.example", False), ("localhost.evil.example:8000", False), ("", False),
        ("127.0.0.1.evil.example", False), ("null", False), (":8000", False),
    ],
)  # fmt: skip
def test_local_hosts(authority, local):
    """By name and number; a page's own name that leads to loopback is not local."""
    assert is_local(authority) is local
