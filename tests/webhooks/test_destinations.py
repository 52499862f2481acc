"""Which URLs webhooks may be sent to, and which addresses: forms that other readers of URLs take for something else."""

import ipaddress
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.destinations import Address, Destinations
from schemas.errors import DestinationRefused

PUBLIC = Destinations()
HOME = Destinations(allow=(ip_network("10.1.0.0/16"), ip_network("127.0.0.0/8"), ip_network("fd00:1::/32")))
DENIED = [
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24",
    "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
]  # fmt: skip
INNER_HOSTS = [
    "127.0.0.1", "localhost", "LOCALHOST", "localhost.", "a.localhost", "0", "2130706433", "0x7f.1", "0x7f000001",
    "127.1", "0177.0.0.1", "017700000001", "127.0.0.1.", "0x", "1.2.3.0x", "1.2.3.4.5", "256.1.1.1", "8.8.8.08",
    "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:8.8.8.8]", "[::127.0.0.1]", "[fd00:ec2::254]", "[fe80::1]",
    "[64:ff9b::7f00:1]", "[64:ff9b::808:808]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "[2001::1]", "[2001:db8::1]",
    "[3fff::1]", "[5f00::1]", "[ff02::1]", "[ff0e::1]", "[fe80::1%25eth0]", "[2606:4700::1%eth0]",
    "169.254.169.254", "168.63.129.16", "100.100.100.200", "100.64.0.1", "192.0.0.192", "224.0.0.1", "239.255.255.250",
    "255.255.255.255", "metadata.google.internal", "Metadata.Google.Internal.", "printer.local",
    "instance-data.internal", "①②⑦.0.0.1", "\uff11\uff12\uff17.0.0.1", "127。0。0。1", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
]  # fmt: skip
MALFORMED = [
    "", "hook.example", "//hook.example/", "https:", "https://", "https:///x", "https:/hook.example",
    "https:hook.example", "https://:443/", "https://hook.example:", "https://hook.example:x", "https://a:0/",
    "https://hook.example:65536/", "https://hook.example:443443", "https://hook.example:443:80/",
    "https://hook.example:٤٤٣/", "https://[::1", "https://::1/", "https://[hook.example]/", "https://[::1]x/",
    "https://[1.2.3.4]/", "https://a..b/", "https://a../", "https://.a/", "https://-a.example/", "https://a-.example/",
    "https://*.example/", "https://a%2eexample/", "https://%6c%6fcalhost/", "https://a,b/", "https://☃.example/",
    f"https://{'a' * 64}.example/", f"https://{'a.' * 127}aa/", "https://a\uff0fb/", "https://xn--/",
    "gopher://hook.example/", "file:///etc/passwd", "ftp://hook.example/", "ws://hook.example/", "unix://hook.example/",
    "javascript:alert(1)", "https+unix://hook.example/", "http://8.8.8.8/", "https://8.8.8.8:22/",
    "https://a@hook.example/", "https://a:b@hook.example/", "https://@hook.example/", "https://8.8.8.8@127.0.0.1/",
    "https://hook.example\\@127.0.0.1/", "https://hook.example#@127.0.0.1/", "https://hook.example/#x",
    "https://hook.example/\r\nHost: evil", "https://hook.example/%0d%0a\n", "https://hook.example/a b",
    "https://hook.example/a\\b",
    "https://ho\tok/", "\thttps://hook.example/", " https://hook.example/", "https://hook.example/\x00",
    "https://hook.example/\x7f", "https://hook.example/\u2028", "https://hook.example/\xa0",
    "https://ho\u200bok.example/", "https://a\ud800/", f"https://hook.example/{'a' * 2048}",
    f"https://hook.example/{'é' * 400}",
]  # fmt: skip
NOT_IN_PUBLIC = [
    "http://hook.example/", "http://hook.example:443/", "https://hook.example:80/", "https://hook.example:22/",
    "https://hook.example:6379/",
]  # fmt: skip


@pytest.mark.parametrize("host", INNER_HOSTS)
def test_no_form_of_an_inner_host_is_read(host: str) -> None:
    for scheme in ("http", "https"):
        with pytest.raises(DestinationRefused):
            PUBLIC.parse(f"{scheme}://{host}/")


@pytest.mark.parametrize("url", MALFORMED)
def test_what_is_no_url_in_every_reader_s_eyes_is_refused(url: str) -> None:
    for destinations in (PUBLIC, HOME):
        with pytest.raises(DestinationRefused) as refused:
            destinations.parse(url)
        assert (refused.value.status, refused.value.code) == (422, "webhook_url_refused")


@pytest.mark.parametrize(
    ("url", "detail"),
    [
        ("https://me:secret@hook.example/", "no user or password"),
        ("https://me@[::1]/", "no user or password"),
        ("http://hook.example/secret", "begin with https://"),
        ("https://hook.example:22/", "one of 443, 8443"),
        ("https://hook.example/#secret", "no fragment"),
        ("https://hook.example/secret\\", "backslashes"),
        ("https://127.1/secret", "neither a name nor an address"),
        ("https://printer.local/secret", "private networks"),
    ],
)
def test_a_refusal_says_what_is_wrong_and_repeats_nothing(url: str, detail: str) -> None:
    with pytest.raises(DestinationRefused, match=detail) as refused:
        PUBLIC.parse(url)
    assert "secret" not in refused.value.detail


@pytest.mark.parametrize("url", NOT_IN_PUBLIC)
def test_a_name_is_sent_to_by_https_at_the_ports_unless_it_could_be_of_an_allowed_network(url: str) -> None:
    with pytest.raises(DestinationRefused):
        PUBLIC.parse(url)
    assert HOME.parse(url).url == url


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("https://hook.example", "https://hook.example/"),
        ("HTTPS://Hook.Example:443/", "https://hook.example/"),
        ("https://hook.example.:8443?a=b", "https://hook.example:8443/?a=b"),
        ("https://hook.example:0443//a/../b;c?d=/?e[]=%20%0d@:f", "https://hook.example//a/../b;c?d=/?e[]=%20%0d@:f"),
        ("https://hook.example/é\"<>^`{|}'?ü", "https://hook.example/%C3%A9%22%3C%3E%5E%60%7B%7C%7D'?%C3%BC"),
        ("https://MÜNCHEN.example/", "https://xn--mnchen-3ya.example/"),
        ("https://faß.example/", "https://xn--fa-hia.example/"),
        ("https://\uff28\uff2f\uff2f\uff2b。example/", "https://hook.example/"),
        ("https://r3---a_b.example/", "https://r3---a_b.example/"),
        ("https://8.8.8.8/", "https://8.8.8.8/"),
        ("https://1.2.3.4.example/", "https://1.2.3.4.example/"),
        ("https://[2606:4700:0:0::1111]:8443/a", "https://[2606:4700::1111]:8443/a"),
    ],
)
def test_a_url_has_one_form_and_that_reads_as_itself(url: str, normal: str) -> None:
    destination = PUBLIC.parse(url)
    assert destination.url == normal
    assert PUBLIC.parse(normal) == destination


def test_a_destination_has_its_parts_and_keeps_its_path_to_itself() -> None:
    destination = PUBLIC.parse("https://[2606:4700::1111]:8443/secret?token=1")
    assert (destination.scheme, destination.host, destination.port) == ("https", "2606:4700::1111", 8443)
    assert (destination.target, destination.literal) == ("/secret?token=1", IPv6Address("2606:4700::1111"))
    assert destination.authority == "[2606:4700::1111]:8443"
    assert "secret" not in repr(destination)


@pytest.mark.parametrize(
    "url",
    ["http://10.1.2.3:8080/", "http://127.0.0.1/", "https://[fd00:1::1]:9/", "http://[::ffff:10.1.2.3]/", "http://web:80/",
     "http://localhost:3000/", "https://hook.internal:22/"],
)  # fmt: skip
def test_what_is_allowed_is_read_by_http_and_at_every_port(url: str) -> None:
    HOME.parse(url)


@pytest.mark.parametrize(
    "url", ["http://10.2.0.1/", "https://169.254.169.254/", "http://8.8.8.8/", "https://8.8.8.8:22/"]
)
def test_what_is_allowed_allows_nothing_else(url: str) -> None:
    with pytest.raises(DestinationRefused):
        HOME.parse(url)


@pytest.mark.parametrize(
    ("url", "addresses", "passes"),
    [
        ("https://hook.example/", ["8.8.8.8", "2606:4700::1"], True),
        ("https://hook.example/", [], False),
        ("https://hook.example/", ["8.8.8.8", "10.2.0.1"], False),
        ("https://hook.example/", ["8.8.8.8", "::1"], False),
        ("https://hook.example/", ["8.8.8.8", "10.1.0.1"], True),
        ("https://hook.example:22/", ["10.1.0.1"], True),
        ("https://hook.example:22/", ["10.1.0.1", "8.8.8.8"], False),
        ("http://hook.example/", ["10.1.0.1"], True),
        ("http://hook.example/", ["10.1.0.1", "8.8.8.8"], False),
        ("https://localhost/", ["127.0.0.1"], True),
        ("https://localhost/", ["8.8.8.8"], False),
        ("https://metadata.google.internal/", ["169.254.169.254"], False),
    ],
)
def test_a_name_is_judged_by_all_of_its_addresses(url: str, addresses: list[str], passes: bool) -> None:
    destination = HOME.parse(url)
    if passes:
        HOME.judge(destination, list(map(ip_address, addresses)))
    else:
        with pytest.raises(DestinationRefused) as refused:
            HOME.judge(destination, list(map(ip_address, addresses)))
        assert not any(address in refused.value.detail for address in addresses)


@st.composite
def _embedded(draw: st.DrawFn) -> Address:
    """An address of a network that is not public, as it is, or hidden in an IPv6 address."""
    network = ipaddress.IPv4Network(draw(st.sampled_from(DENIED)))
    inner = draw(st.integers(int(network.network_address), int(network.broadcast_address)))
    prefix, shift = draw(
        st.sampled_from(
            [("", 0), ("::ffff:0:0", 0), ("::", 0), ("::ffff:0:0:0", 0), ("64:ff9b::", 0), ("64:ff9b:1::", 0),
             ("2002::", 80), ("2001::", 0)]
        )
    )  # fmt: skip
    return IPv6Address(int(IPv6Address(prefix)) | inner << shift) if prefix else IPv4Address(inner)


@given(_embedded(), st.sampled_from(["http", "https"]), st.sampled_from([443, 8443, 80, 22]))
def test_no_address_that_is_not_public_is_permitted_in_any_disguise(address: Address, scheme: str, port: int) -> None:
    assert not PUBLIC.permits(address, scheme=scheme, port=port)


@given(st.ip_addresses(v=4))
def test_every_other_address_is_permitted_by_https_at_the_ports_only(address: IPv4Address) -> None:
    public = not any(address in ip_network(network) for network in DENIED)
    assert PUBLIC.permits(address, scheme="https", port=443) == public
    assert not PUBLIC.permits(address, scheme="http", port=443)
    assert not PUBLIC.permits(address, scheme="https", port=22)


@pytest.mark.parametrize("address", ["2606:4700::1", "2a00:1450::1", "2001:4860:4860::8888", "2620:fe::fe"])
def test_public_addresses_of_ipv6_are_permitted(address: str) -> None:
    assert PUBLIC.permits(IPv6Address(address), scheme="https", port=443)
    assert not PUBLIC.permits(IPv6Address(f"{address}%eth0"), scheme="https", port=443)


def test_an_allowed_network_is_permitted_and_its_mapped_addresses() -> None:
    for address in ("10.1.0.1", "::ffff:10.1.0.1", "fd00:1::9"):
        assert HOME.permits(ip_address(address), scheme="http", port=22)
    for address in ("10.2.0.1", "::ffff:10.2.0.1", "::ffff:8.8.8.8", "::10.1.0.1", "64:ff9b::a01:1", "fd00:2::1"):
        assert not HOME.permits(ip_address(address), scheme="https", port=443)
    assert not HOME.permits(ip_address("10.1.0.1"), scheme="gopher", port=443)
    assert not HOME.permits(ip_address("10.1.0.1"), scheme="http", port=65536)


@given(st.text(st.sampled_from("0123456789abcdefxX.:[]@/\\?#%-_ é。①\uff11\n"), max_size=20))
def test_whatever_is_read_has_one_form_and_no_name_of_it_is_an_address_in_disguise(text: str) -> None:
    try:
        destination = HOME.parse(f"https://{text}")
    except DestinationRefused:
        return
    assert destination.url.isascii()
    assert HOME.parse(destination.url) == destination
    if destination.literal is None:
        with pytest.raises(OSError):  # noqa: PT011 whatever this platform says of what it cannot read as an address
            socket.inet_aton(destination.host)
