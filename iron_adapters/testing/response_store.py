"""Responses that the double remembers, so that a request can go on from an earlier one.

Owns the items of the last stored responses. Bounded: the oldest are forgotten.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

import orjson

from iron_adapters.testing.problems import Problem

_MOST = 1000


class ResponseStore:
    """Conversations by the id of their last response."""

    def __init__(self) -> None:
        self._items: OrderedDict[str, list[dict[str, Any]]] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, response_id: str, items: list[dict[str, Any]]) -> None:
        """Remember *items*, input and output, under *response_id*."""
        with self._lock:
            self._items[response_id] = items
            if len(self._items) > _MOST:
                self._items.popitem(last=False)

    def items_of(self, response_id: str | None) -> list[dict[str, Any]]:
        """Return what stands before a request that names *response_id*; raise a 400 for an unknown one."""
        if response_id is None:
            return []
        with self._lock:
            items = self._items.get(response_id)
        if items is None:
            message = f"Previous response with id '{response_id}' not found."
            raise Problem(400, message, param="previous_response_id", code="previous_response_not_found")
        return items

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._items.clear()

    @staticmethod
    def bytes_of(items: list[dict[str, Any]]) -> int:
        """Return how many bytes *items* would have been in a body."""
        return len(orjson.dumps(items)) if items else 0
