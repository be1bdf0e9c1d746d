"""Compare host names, which have several spellings."""

from __future__ import annotations

from collections.abc import Collection

from yarl import URL

from rxagents.core.errors import ConfigurationError


def host_of(url: URL) -> str:
    """Return the host of `url` for comparison: lower case, in punycode, without a final dot."""
    return (url.raw_host or "").lower().rstrip(".")


def checked_hosts(names: object) -> frozenset[str]:
    """Return the names of the hosts that are allowed, each as `host_of` spells it.

    Raises:
        ConfigurationError: `names` is not a collection of names or addresses of hosts.
    """
    if isinstance(names, (str, bytes)) or not isinstance(names, Collection):
        raise ConfigurationError(f"allowed_hosts must be a list of names, not {names!r}.")
    return frozenset(map(_checked_host, names))


def _checked_host(name: object) -> str:
    if isinstance(name, str):
        host = name[1:-1] if name.startswith("[") and name.endswith("]") else name
        try:
            url = URL.build(scheme="http", host=host)
            if url.host and "*" not in url.host:
                return host_of(url)
        except ValueError:
            pass
    raise ConfigurationError(
        f"allowed_hosts must hold names such as 'api.example.com', not {name!r}. Write each host "
        "in full, without a scheme, port or wildcard."
    )


def is_valid_host(url: URL) -> bool:
    """Return whether no label of the host name is empty, too long or badly encoded."""
    try:
        host_of(url).encode("idna")
        return bool(url.host)  # yarl decodes it here
    except UnicodeError:
        return False
