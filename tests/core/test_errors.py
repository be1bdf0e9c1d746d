"""The tree of errors: base classes, statuses and attributes."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import pytest

import rxagents
from rxagents.core import errors
from rxagents.core.errors import ProviderError, class_of_status

TREE = {
    "RxAgentsError": ["ConfigurationError", "ProviderError", "AgentError", "ToolError",
                      "StorageError", "BackpressureError", "StreamCancelledError",
                      "RunInterruptedError"],
    "ProviderError": ["TransportError", "StreamTimeoutError", "StatusError", "ResponseError",
                      "StreamDecodeError", "LimitExceededError", "TruncatedStreamError"],
    "TransportError": ["ConnectError", "ProtocolError", "RedirectError"],
    "StreamTimeoutError": ["ConnectTimeoutError", "FirstEventTimeoutError", "IdleTimeoutError",
                           "TotalTimeoutError"],
    "StatusError": ["BadRequestError", "AuthenticationError", "NotFoundError", "ConflictError",
                    "PayloadTooLargeError", "RateLimitError", "ServerError", "OverloadedError"],
    "StorageError": ["LeaseError", "LogGoneError"],
    "AgentError": ["MaxIterationsError", "RunLimitError", "OutputError"],
    "ToolError": ["ToolNotFoundError", "ToolArgumentsError", "ToolTimeoutError"],
}  # fmt: skip
CHILDREN = [(parent, child) for parent, children in TREE.items() for child in children]
NAMES = {"RxAgentsError", *(child for _, child in CHILDREN)}


@pytest.mark.parametrize(("parent", "child"), CHILDREN)
def test_each_error_has_its_parent(parent: str, child: str) -> None:
    assert getattr(errors, child).__bases__[0] is getattr(errors, parent)


def test_docstring_draws_the_whole_tree() -> None:
    defined = {
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, BaseException)
    }
    assert defined == NAMES
    assert [name for name in NAMES if name not in (errors.__doc__ or "")] == []


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_error_is_exported_and_documented(name: str) -> None:
    kind = getattr(rxagents, name)
    assert kind is getattr(errors, name)
    assert name in rxagents.__all__
    assert kind.__doc__ != kind.__bases__[0].__doc__


def test_errors_have_their_builtin_bases() -> None:
    assert issubclass(rxagents.RxAgentsError, Exception)
    assert issubclass(rxagents.ConfigurationError, ValueError)
    with pytest.raises(ValueError, match="wrong"):
        raise rxagents.ConfigurationError("wrong")


PROVIDER_ERRORS = [
    kind
    for kind in vars(errors).values()
    if inspect.isclass(kind) and issubclass(kind, ProviderError)
]


@pytest.mark.parametrize("kind", PROVIDER_ERRORS)
@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))]
)
def test_pickle_and_copy_keep_attributes(kind: type[ProviderError], duplicate: Any) -> None:
    error = kind(
        "It failed.", provider="p", request_id="r-1", status=418, retryable=True, retry_after=2.5
    )
    twin = duplicate(error)
    assert type(twin) is kind
    assert twin is not error
    assert str(twin) == "It failed."
    assert (twin.provider, twin.request_id, twin.status) == ("p", "r-1", 418)
    assert (twin.retryable, twin.retry_after) == (True, 2.5)


RETRYABLE = {
    "TransportError", "ConnectError", "ProtocolError", "StreamTimeoutError",
    "ConnectTimeoutError", "FirstEventTimeoutError", "ConflictError", "RateLimitError",
    "ServerError", "OverloadedError", "TruncatedStreamError",
}  # fmt: skip


@pytest.mark.parametrize("kind", PROVIDER_ERRORS)
def test_retryable_default_of_each_class(kind: type[ProviderError]) -> None:
    error = kind("It failed.")
    assert error.retryable is (kind.__name__ in RETRYABLE)
    assert (error.provider, error.request_id, error.status, error.retry_after) == (
        "",
        None,
        None,
        None,
    )
    assert kind("It failed.", retryable=not error.retryable).retryable is not error.retryable


@pytest.mark.parametrize(
    ("statuses", "name"),
    [
        ([400, 422], "BadRequestError"),
        ([401, 403], "AuthenticationError"),
        ([404], "NotFoundError"),
        ([408], "StreamTimeoutError"),
        ([409], "ConflictError"),
        ([413], "PayloadTooLargeError"),
        ([429], "RateLimitError"),
        ([503, 529], "OverloadedError"),
        ([500, 501, 502, 504, 520, 599], "ServerError"),
        ([301, 302, 303, 307, 308], "RedirectError"),
        ([402, 405, 418, 451, 499], "StatusError"),
    ],
)
def test_each_status_has_its_class(statuses: list[int], name: str) -> None:
    assert {class_of_status(status) for status in statuses} == {getattr(rxagents, name)}
