"""Rewriting: stand-ins for values, the vault that turns them back, and the window for streams.

Owns what replaces a finding. Pure but for the vault, which remembers; finds nothing itself.
"""

from __future__ import annotations

from iron_policy.redact.rewrite import review_text, rewrite
from iron_policy.redact.vault import Vault
from iron_policy.redact.window import StreamWindow, guard_for

__all__ = ["StreamWindow", "Vault", "guard_for", "review_text", "rewrite"]
