"""Public IP addresses, and their resolution (protection against SSRF)."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from socket import IPPROTO_TCP, gaierror, getaddrinfo
from typing import TypeAlias

from agent_continuations.errors import Retryable

Address: TypeAlias = IPv4Address | IPv6Address
# What IANA's registries of special-purpose addresses list, whether it is reachable or not, and
# multicast, up to their entry of July 2024 (RFC 9637). Python's `is_global` differs between
# releases, and accepts translations to IPv4.
# https://www.iana.org/assignments/iana-ipv4-special-registry, .../iana-ipv6-special-registry
_SPECIAL_4 = (
    "0.0.0.0/8",  # this network (RFC 791)
    "10.0.0.0/8",  # private (RFC 1918)
    "100.64.0.0/10",  # shared with providers (RFC 6598)
    "127.0.0.0/8",  # loopback (RFC 1122)
    "169.254.0.0/16",  # link-local, metadata of clouds (RFC 3927)
    "172.16.0.0/12",  # private (RFC 1918)
    "192.0.0.0/24",  # protocol assignments (RFC 6890)
    "192.0.2.0/24",  # documentation (RFC 5737)
    "192.31.196.0/24",  # AS112 (RFC 7535)
    "192.52.193.0/24",  # multicast tunnels (RFC 7450)
    "192.88.99.0/24",  # relays of 6to4 (RFC 7526)
    "192.168.0.0/16",  # private (RFC 1918)
    "192.175.48.0/24",  # AS112 (RFC 7534)
    "198.18.0.0/15",  # benchmarks (RFC 2544)
    "198.51.100.0/24",  # documentation (RFC 5737)
    "203.0.113.0/24",  # documentation (RFC 5737)
    "224.0.0.0/3",  # multicast (RFC 5771), reserved (RFC 1112), broadcast (RFC 919)
)
# The block that IANA allocates as unicast. NAT64 (RFC 6052), IPv4-mapped, link-local, unique local
# and multicast addresses are outside of it.
_UNICAST_6 = IPv6Network("2000::/3")
_SPECIAL_6 = (
    "2001::/23",  # Teredo and other protocol assignments (RFC 2928)
    "2001:db8::/32",  # documentation (RFC 3849)
    "2002::/16",  # 6to4 (RFC 3056)
    "2620:4f:8000::/48",  # AS112 (RFC 7534)
    "3fff::/20",  # documentation (RFC 9637)
)
_NOT_PUBLIC_4 = tuple(map(IPv4Network, _SPECIAL_4))
_NOT_PUBLIC_6 = tuple(map(IPv6Network, _SPECIAL_6))


def is_public(address: Address) -> bool:
    """Whether an address is on the public internet, and not in a private or special network."""
    if isinstance(address, IPv4Address):
        return not any(address in each for each in _NOT_PUBLIC_4)
    return address in _UNICAST_6 and not any(address in each for each in _NOT_PUBLIC_6)


def resolve(host: str, port: int) -> list[Address]:
    """The current addresses of a name, the preferred one first.

    Raises:
        Retryable: the name cannot be resolved.
    """
    try:
        found = getaddrinfo(host, port, proto=IPPROTO_TCP)
    except (gaierror, UnicodeError) as error:
        raise Retryable(f"{host} cannot be resolved: {error}") from error
    return [ip_address(each[4][0]) for each in found]
