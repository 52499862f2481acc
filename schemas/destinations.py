"""Where webhooks may be sent to: callers choose the addresses, and must not reach through us what is not public.

A URL is read once, by rules narrower than any library's, and only what was read goes on: two readers that understand
one text differently are how such rules are got around. Names are judged by what they resolve to, see `judge`.

The networks below are the IANA special-purpose registries (RFC 6890 and what was registered since), as Stripe's
Smokescreen refuses them, with what clouds put elsewhere: 168.63.129.16 (Azure), and the transition mechanisms that
hide an IPv4 address in an IPv6 one. `is_global` of the standard library says otherwise of several of them. A NAT64
prefix of an operator's own within 2000::/3 cannot be known here; such a network must be shut at its gateway.
"""

import ipaddress
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from urllib.parse import quote

import idna

from schemas.errors import DestinationRefused

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_MOST_CHARACTERS = 2048
_DEFAULT_PORTS = {"https": 443, "http": 80}
_INNER = frozenset({"localhost", "local", "internal"})
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?]*)(?P<target>.*)")
_AUTHORITY = re.compile(r"(?P<host>\[[^\[\]]*\]|[^\[\]:]+)(?::(?P<port>[0-9]{1,5}))?")
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_NOT_PUBLIC = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16",
        "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
        "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    )
)  # fmt: skip
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_NOT_PUBLIC_6 = tuple(
    ipaddress.IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)


@dataclass(frozen=True, slots=True)
class Destination:
    """A URL that was read. `host` is a name in ASCII or a literal address, `target` the path with its query."""

    scheme: str
    host: str
    port: int
    target: str = field(repr=False)  # callers put secrets there
    literal: Address | None = None

    @property
    def authority(self) -> str:
        """`host[:port]` as the header `Host` says it: an IPv6 address in brackets, no port that is the scheme's own."""
        port = "" if self.port == _DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"[{self.host}]{port}" if ":" in self.host else f"{self.host}{port}"

    @property
    def url(self) -> str:
        """The URL, normalised."""
        return f"{self.scheme}://{self.authority}{self.target}"

    @property
    def inner(self) -> bool:
        """Whether the name is one that networks keep for themselves: `localhost`, `*.local`, `*.internal`."""
        return self.literal is None and self.host.rpartition(".")[2] in _INNER


@dataclass(frozen=True, slots=True)
class Destinations:
    """What an operator permits: `ports` of public addresses by https, and all of the networks in `allow`."""

    allow: tuple[Network, ...] = ()
    ports: frozenset[int] = frozenset({443, 8443})

    def parse(self, url: str) -> Destination:
        """Read a URL; nothing is looked up. Raises `DestinationRefused`.

        Without `allow`, only https to names and public addresses at `ports` is read; with it, any http or https URL
        whose address, where it names one itself, is permitted.
        """
        if len(url) > _MOST_CHARACTERS:
            raise DestinationRefused(f"the URL is longer than {_MOST_CHARACTERS} characters")
        if not url.isprintable() or " " in url or "\\" in url:
            raise DestinationRefused("the URL must hold no spaces, control characters or backslashes")
        if "#" in url:
            raise DestinationRefused("the URL must have no fragment")
        parts = _URL.fullmatch(url)
        if parts is None or (scheme := parts["scheme"].lower()) not in _DEFAULT_PORTS:
            raise DestinationRefused("the URL must begin with https://")
        if "@" in parts["authority"]:
            raise DestinationRefused("the URL must have no user or password")
        authority = _AUTHORITY.fullmatch(parts["authority"])
        if authority is None:
            raise DestinationRefused("the URL names no host, or its port is no number")
        host, literal = _host(authority["host"])
        port = int(authority["port"] or _DEFAULT_PORTS[scheme])
        destination = Destination(scheme, host, port, _target(parts["target"]), literal)
        if len(destination.url) > _MOST_CHARACTERS:
            raise DestinationRefused(f"the URL, encoded, is longer than {_MOST_CHARACTERS} characters")
        self._permitted_unseen(destination)
        return destination

    def permits(self, address: Address, *, scheme: str, port: int) -> bool:
        """Whether something may be sent to this address; an IPv4-mapped one counts as what it holds, in `allow` only.

        An address with a zone (`fe80::1%eth0`) never: it means something else on every machine.
        """
        if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
            return False
        if self._allows(address):
            return scheme in _DEFAULT_PORTS and 0 < port < 65536
        return scheme == "https" and port in self.ports and _public(address)

    def judge(self, destination: Destination, addresses: Collection[Address]) -> None:
        """Raises `DestinationRefused` unless the name resolves, and every one of its addresses is permitted.

        One that is not damns all: which of them is connected to must be nobody's choice. The detail names no address,
        as a caller could read our name servers by it.
        """
        if not addresses:
            raise DestinationRefused("the host name does not resolve")
        for address in addresses:
            allowed = self._allows(address) or not destination.inner
            if not allowed or not self.permits(address, scheme=destination.scheme, port=destination.port):
                raise DestinationRefused("the host has an address, scheme or port that webhooks are not sent to")

    def _permitted_unseen(self, destination: Destination) -> None:
        """Refuse what no address could make permitted."""
        if not 0 < destination.port < 65536:
            raise DestinationRefused("the URL's port is no port")
        if destination.literal is not None:
            self.judge(destination, [destination.literal])
        elif not self.allow and destination.scheme != "https":
            raise DestinationRefused("the URL must begin with https://")
        elif not self.allow and destination.inner:
            raise DestinationRefused("the host is a name of private networks")
        elif not self.allow and destination.port not in self.ports:
            raise DestinationRefused(f"the URL's port must be one of {', '.join(map(str, sorted(self.ports)))}")

    def _allows(self, address: Address) -> bool:
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return any(each in network for network in self.allow for each in (address, mapped) if each is not None)


def _public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC)
    return address in _GLOBAL_UNICAST and not any(address in network for network in _NOT_PUBLIC_6)


def _host(text: str) -> tuple[str, Address | None]:
    """A host in its one form, and its address where it is a literal."""
    try:
        if text.startswith("["):
            if "%" in text:
                raise DestinationRefused("the URL's address must have no zone")
            address = ipaddress.IPv6Address(text[1:-1])
            return str(address), address
        name = text.lower() if text.isascii() else idna.encode(text, uts46=True).decode()
        name = name.removesuffix(".")
        if _NAME.fullmatch(name) is None:
            raise DestinationRefused("the URL's host is no name that can be resolved")
        # Resolvers read such hosts as addresses, in forms (0x7f.1, 017700000001) that they alone agree upon.
        if _NUMBER.fullmatch(name.rpartition(".")[2]):
            return name, ipaddress.IPv4Address(name)
    except (ipaddress.AddressValueError, idna.IDNAError):
        raise DestinationRefused("the URL's host is neither a name nor an address in its usual form") from None
    return name, None


def _target(text: str) -> str:
    """Path and query with all that may not stand in them percent-encoded; what is encoded already stays."""
    path = text if text.startswith("/") else f"/{text}"
    return quote(path, safe="/?%:@!$&'()*+,;=[]-._~")
