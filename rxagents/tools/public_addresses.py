"""Decide whether an IP address belongs to the public internet."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_GLOBAL_UNICAST = IPv6Network("2000::/3")

_TRANSLATED = IPv6Network("64:ff9b::/96")
"""NAT64 (RFC 6052): the last four bytes are the IPv4 address of the destination."""

_NOT_PUBLIC_4 = [
    IPv4Network(network)
    for network in (
        # https://www.iana.org/assignments/iana-ipv4-special-registry
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "168.63.129.16/32",  # Azure's host agent, reachable from its own machines only
    )
]

_NOT_PUBLIC_6 = [
    IPv6Network(network)
    for network in (
        # https://www.iana.org/assignments/iana-ipv6-special-registry
        "2001::/23",  # Teredo, ORCHID, benchmarking
        "2001:db8::/32",
        "2002::/16",  # 6to4, which can contain any IPv4 address
        "2620:4f:8000::/48",
        "3fff::/20",
    )
]


def is_public(address: str) -> bool:
    """Return whether `address`, as a socket connects to it, belongs to the public internet.

    An IPv6 address that contains an IPv4 address is public if the IPv4 address is.
    """
    try:
        numeric = ip_address(address)
    except ValueError:
        return False
    if isinstance(numeric, IPv4Address):
        return not any(numeric in network for network in _NOT_PUBLIC_4)
    embedded = _embedded_ipv4(numeric)
    if embedded is not None:
        return is_public(str(embedded))
    return numeric in _GLOBAL_UNICAST and not any(numeric in network for network in _NOT_PUBLIC_6)


def _embedded_ipv4(address: IPv6Address) -> IPv4Address | None:
    if address in _TRANSLATED:
        return IPv4Address(address.packed[-4:])
    return address.ipv4_mapped
