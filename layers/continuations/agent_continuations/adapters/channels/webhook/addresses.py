"""Public IP addresses, and their resolution (protection against SSRF)."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from socket import IPPROTO_TCP, gaierror, getaddrinfo
from typing import TypeAlias

from agent_continuations.errors import Retryable

Address: TypeAlias = IPv4Address | IPv6Address
# Python's `is_global` differs between releases and accepts translations to IPv4. So only the IPv6
# block that IANA allocates as unicast is public, without Teredo and other special purposes
# (RFC 2928), 6to4 (RFC 3056) and documentation (RFC 9637). NAT64 (RFC 6052), IPv4-mapped,
# link-local and unique local addresses are outside of 2000::/3.
_UNICAST = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = [IPv6Network(each) for each in ("2001::/23", "2002::/16", "3fff::/20")]
_NOT_PUBLIC_4 = [IPv4Network("192.88.99.0/24")]  # relays of 6to4 (RFC 7526)


def is_public(address: Address) -> bool:
    """Whether an address is on the public internet, and not in a private or special network."""
    if address.is_multicast or not address.is_global:
        return False
    if isinstance(address, IPv4Address):
        return not any(address in each for each in _NOT_PUBLIC_4)
    return address in _UNICAST and not any(address in each for each in _NOT_PUBLIC_6)


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
