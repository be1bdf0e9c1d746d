"""Sum what requests have used and cost."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from rxagents.core.usage import Usage, add_usage

NOTHING = Decimal(0)


class Cost(Struct, frozen=True):
    """The usage and cost of some requests.

    A request that failed before its answer began, such as with a 429, counts nothing. One that was
    cut or stopped, such as the loser of a `hedge`, is billed by the provider, which sends no counts
    for it: it is estimated, and kept apart.

    Attributes:
        requests: The number of requests that the provider has counted.
        usage: Their token counts; `None` if there are none.
        usd: Their price in US dollars; `None` if the price of one of them is not known.
        estimated_requests: The number of requests that were estimated.
        estimated_usage: The estimate of their token counts; `None` if there are none.
        estimated_usd: The estimate of their price; `None` if the price of one is not known.
        unpriced: The models whose price is not known.
    """

    requests: int = 0
    usage: Usage | None = None
    usd: Decimal | None = NOTHING
    estimated_requests: int = 0
    estimated_usage: Usage | None = None
    estimated_usd: Decimal | None = NOTHING
    unpriced: tuple[str, ...] = ()

    @property
    def total_usd(self) -> Decimal | None:
        """The price of all requests, with estimates; `None` if a price is not known."""
        return _sum(self.usd, self.estimated_usd)

    def plus(self, usage: Usage, usd: Decimal | None, model: str) -> Cost:
        """Return the cost with one request more."""
        unpriced, usage = self.unpriced, replace(usage, raw={})
        if usd is None and model not in unpriced:
            unpriced = (*unpriced, model)
        if usage.estimated:
            return replace(
                self,
                estimated_requests=self.estimated_requests + 1,
                estimated_usage=add_usage(self.estimated_usage, usage),
                estimated_usd=_sum(self.estimated_usd, usd),
                unpriced=unpriced,
            )
        return replace(
            self,
            requests=self.requests + 1,
            usage=add_usage(self.usage, usage),
            usd=_sum(self.usd, usd),
            unpriced=unpriced,
        )


def _sum(a: Decimal | None, b: Decimal | None) -> Decimal | None:
    return None if a is None or b is None else a + b
