"""Finds the item that an event of a response belongs to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from itertools import islice
from typing import Any, Generic, TypeAlias, TypeVar

from rxagents.core.json_text import encode_json
from rxagents.wire.responses.function_call import FunctionCall
from rxagents.wire.responses.item_text import ItemText
from rxagents.wire.responses.whole_item import (
    TEXTS,
    content_of,
    ids_of,
    kind_of,
    read_later,
    text_of,
)

K = TypeVar("K", str, int)

# Theory of operation
#
# The API names an item by `item_id` and by `output_index`. Hosts leave out one or both, number two
# items alike, reopen an item at a new index, and send other ids in later events. So:
#
# - An id that is known decides. Both the item's id and a call's `call_id` are ids.
# - Else the index decides, among the items of one kind, since hosts give a message and the thinking
#   before it one index. `output_item.added` with an index that is taken starts a new item; other
#   events continue the item, until it is done. A text at an index that nothing started belongs to
#   the open text that `output_item.added` started last: a new item would repeat it.
# - Without id and index, deltas belong to the last item of their kind that is not done, and `done`
#   to the first one that agrees with it.
# - The final response repeats all items, often with other ids. It is matched as a whole: by id, by
#   content, by index, by order. Only an item that is left over is new: emitting an item twice would
#   run a call twice.
# - Every search is by key or has a bound, so that the cost stays linear in the number of items.

_IDS_AN_ITEM = 16
"""How many ids of one item are kept. Some hosts send a new one with every event."""

_SEARCHED = 32
"""How many open items are compared with an item that has no known id and no index."""


class Item:
    """An item while it is streamed.

    Attributes:
        kind: Its `type`.
        index: The first `output_index` that it had.
        texts: Its texts, one of each kind.
        call: Its call, if it is one.
        added: `output_item.added` came.
        final: The whole item, once it came; of most messages and calls only what is still read.
        has_annotations: An event brought an annotation of its text.
    """

    __slots__ = ("added", "call", "final", "has_annotations", "ids", "index", "kind", "texts")

    def __init__(self, kind: str, index: int | None, call: FunctionCall | None) -> None:
        self.kind = kind
        self.index = index
        self.texts: tuple[ItemText, ...] = ()
        self.call = call
        self.added = False
        self.final: dict[str, Any] | None = None
        self.has_annotations = False
        self.ids = 0

    def text(self, kind: str) -> ItemText:
        """Return its text of one kind."""
        for text in self.texts:
            if text.kind == kind:
                return text
        text = ItemText(kind)
        self.texts = *self.texts, text
        return text

    @property
    def name(self) -> str:
        """The function's name, if it is a call."""
        return "" if self.call is None else self.call.name

    @property
    def is_ahead(self) -> bool:
        """Whether a whole text came before its last deltas."""
        return any(text.is_ahead for text in self.texts)

    def content(self) -> object:
        """Return what identifies it among items of its kind: its texts or its call."""
        if self.call is not None:
            return self.call.content()
        if self.kind in TEXTS:
            return "".join(text.text() for text in self.texts)
        return encode_json(self.final, order="sorted")

    def agrees_with(self, whole: dict[str, Any]) -> bool:
        """Return whether what was emitted may be the beginning of the whole item."""
        if self.call is not None:
            return self.call.agrees_with(text_of(whole, "name"), text_of(whole, "arguments"))
        if self.kind in TEXTS:
            return str(content_of(whole)).startswith(str(self.content()))
        return True

    def stored(self) -> dict[str, Any] | None:
        """Return the item to store in `provider_data`; `None` if it never came whole.

        Texts and calls are stored as references to the message.
        """
        if self.call is not None:
            return {"type": "function_call", "call_id": self.call.id}
        if self.kind == "message":
            return {"type": "message", "length": self.text("text").end}
        if self.final is None:
            return None
        return {name: value for name, value in self.final.items() if name != "status"}


class _ItemMap(Generic[K]):
    """Items by their kind and a key.

    Nearly always one key is of one kind. So the key alone is stored, and the kind only with a key
    that another kind has: a tuple for each item would cost more than the rest of the entry.
    """

    __slots__ = ("_items",)

    def __init__(self) -> None:
        self._items: dict[K | tuple[str, K], Item] = {}

    def find(self, kind: str, key: K) -> Item | None:
        item = self._items.get(key)
        if item is None or item.kind == kind:
            return item
        return self._items.get((kind, key))

    def set(self, item: Item, key: K) -> None:
        first = self._items.get(key)
        self._items[key if first is None or first.kind == item.kind else (item.kind, key)] = item


class Items:
    """The items of one response, in the order in which they start."""

    def __init__(self) -> None:
        self.all: list[Item] = []
        self.calls = 0
        self._by_id: _ItemMap[str] = _ItemMap()
        self._by_index: _ItemMap[int] = _ItemMap()
        self._open: dict[str, dict[Item, None]] = defaultdict(dict)
        self._last: dict[str, Item] = {}

    def of_part(
        self, kind: str, item_id: str | None, index: int | None, *, done: bool = False
    ) -> Item:
        """Return the item that a delta, or the `done` event of a part, belongs to."""
        item = self._by_id.find(kind, item_id) if item_id else None
        if item is None:
            item = self._at(kind, index) or (None if item_id else self._announced(kind))
            if item is None or not (done or item.final is None or item.is_ahead):
                item = self._start(kind, index)
        self._name(item, (item_id or "",), index)
        return item

    def of_added(self, kind: str, ids: tuple[str, ...], index: int | None) -> Item:
        """Return the item that `output_item.added` starts."""
        item = self._known(kind, ids)
        if item is None:
            item = self._at(kind, index)
            if item is None or item.added or item.final is not None:
                item = self._start(kind, index)
        item.added = True
        self._name(item, ids, index)
        return item

    def of_done(
        self, kind: str, ids: tuple[str, ...], index: int | None, whole: dict[str, Any]
    ) -> Item:
        """Return the item that `output_item.done` completes."""
        item = self._known(kind, ids)
        if item is None and index is not None:
            item = self._by_index.find(kind, index)
            if item is not None and item.final is not None and (any(ids) or item.final != whole):
                item = None  # the index is taken
        elif item is None:
            item = self._agreeing(kind, whole)
        if item is None:
            item = self._start(kind, index)
        self._name(item, ids, index)
        return item

    def finish(self, item: Item, whole: dict[str, Any]) -> None:
        """Set the whole item."""
        item.final = read_later(whole) if self._is_found_by_id(item, whole) else whole
        self._open[item.kind].pop(item, None)

    def match_all(self, output: list[dict[str, Any]]) -> list[tuple[Item, dict[str, Any]]]:
        """Pair each item of the final response with the item that it repeats, or a new one."""
        found: dict[int, Item] = {}
        for position, whole in enumerate(output):
            item = self._known(kind_of(whole), ids_of(whole))
            if item is not None:
                found[position] = item
        if len(found) < len(output):
            self._match_rest(output, found)
        return [
            (found.get(position) or self._start(kind_of(whole), None), whole)
            for position, whole in enumerate(output)
        ]

    def _match_rest(self, output: list[dict[str, Any]], found: dict[int, Item]) -> None:
        """Match by content, then by index, then by order."""
        for keys in (_content_keys, _index_keys, _order_keys):
            taken = set(found.values())
            key_of, key_of_whole = keys
            candidates: dict[object, list[Item]] = defaultdict(list)
            for item in reversed(self.all):
                if item not in taken:
                    candidates[item.kind, key_of(item)].append(item)
            for position, whole in enumerate(output):
                if position not in found:
                    same = candidates[kind_of(whole), key_of_whole(position, whole)]
                    if same:
                        found[position] = same.pop()

    def _known(self, kind: str, ids: tuple[str, ...]) -> Item | None:
        known = (self._by_id.find(kind, item_id) for item_id in ids if item_id)
        return next((item for item in known if item is not None), None)

    def _is_found_by_id(self, item: Item, whole: dict[str, Any]) -> bool:
        """Return whether no item without a known id can equal `whole`, a message or call."""
        if item.kind not in ("message", "function_call"):
            return False
        item_id = text_of(whole, "id")
        return bool(item_id) and self._by_id.find(item.kind, item_id) is not None

    def _at(self, kind: str, index: int | None) -> Item | None:
        """Return the item at an index; else the last one, if it has no index yet."""
        last = self._last.get(kind)
        if index is None:
            return last
        return self._by_index.find(kind, index) or (
            last if last is not None and last.index is None else None
        )

    def _announced(self, kind: str) -> Item | None:
        """Return the open text that `output_item.added` started last."""
        last = self._last.get(kind) if kind in TEXTS else None
        return last if last is not None and last.added and last.final is None else None

    def _agreeing(self, kind: str, whole: dict[str, Any]) -> Item | None:
        still_open = list(islice(self._open[kind], _SEARCHED))
        for item in still_open:
            if item.agrees_with(whole):
                return item
        if kind in TEXTS and still_open:
            return still_open[0]  # the host changed the text
        last = self._last.get(kind)
        return last if last is not None and last.final == whole else None

    def _start(self, kind: str, index: int | None) -> Item:
        call = None
        if kind == "function_call":
            call = FunctionCall(self.calls)
            self.calls += 1
        item = Item(kind, index, call)
        self.all.append(item)
        self._open[kind][item] = None
        self._last[kind] = item
        return item

    def _name(self, item: Item, ids: tuple[str, ...], index: int | None) -> None:
        for item_id in ids:
            if not item_id or item.ids >= _IDS_AN_ITEM:
                continue
            if self._by_id.find(item.kind, item_id) is None:
                self._by_id.set(item, item_id)
                item.ids += 1
        if index is not None:
            self._by_index.set(item, index)
            item.index = index if item.index is None else item.index
        self._last[item.kind] = item


_Keys: TypeAlias = tuple[Callable[[Item], object], Callable[[int, dict[str, Any]], object]]
"""How an item, and an item of the final response at a position, are compared."""

_content_keys: _Keys = (lambda item: item.content(), lambda _, whole: content_of(whole))
_index_keys: _Keys = (
    lambda item: (item.name, item.index),
    lambda position, whole: (text_of(whole, "name"), position),
)
_order_keys: _Keys = (lambda item: item.name, lambda _, whole: text_of(whole, "name"))
