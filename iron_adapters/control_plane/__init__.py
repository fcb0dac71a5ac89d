"""The client of an Iron Cage control plane: keys, leases of a budget, analytics.

::

    plane = ControlPlane("https://iron-cage.example.com", ic_token)
    keys = KeyRing(plane, ttl_seconds=300)
    key = await keys.get("openai")
    ...
    await keys.close()
    await plane.close()

Owns the protocol as an agent speaks it. Knows no server and no provider's API.
"""

from __future__ import annotations

from iron_adapters.control_plane.analytics import Analytics
from iron_adapters.control_plane.client import ControlPlane
from iron_adapters.control_plane.errors import ControlPlaneError, ProviderMismatch
from iron_adapters.control_plane.keys import KeyRing
from iron_adapters.control_plane.leases import LeasedBudget
from iron_adapters.control_plane.outbox import Pace
from iron_adapters.control_plane.replies import Lease, ProviderKey

__all__ = [
    "Analytics",
    "ControlPlane",
    "ControlPlaneError",
    "KeyRing",
    "Lease",
    "LeasedBudget",
    "Pace",
    "ProviderKey",
    "ProviderMismatch",
]
