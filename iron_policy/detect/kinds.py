"""The kinds of content that can be found, the family of each, and who wins where two overlap.

Owns names only. Knows no pattern and no action.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

Family: TypeAlias = Literal["pii", "secrets", "injection"]
"""What a policy's sections ``safety.input`` and ``safety.output`` name."""

PII: Final = (
    "EMAIL",
    "PHONE",
    "CREDIT_CARD",
    "US_SSN",
    "IBAN",
    "IP_ADDRESS",
    "MAC_ADDRESS",
    "CRYPTO",
    "NATIONAL_ID",
    "BANK_ACCOUNT",
    "URL",
)

SECRETS: Final = (
    "OPENAI_KEY",
    "ANTHROPIC_KEY",
    "AWS_ACCESS_KEY",
    "AZURE_KEY",
    "GOOGLE_API_KEY",
    "GITHUB_TOKEN",
    "GITLAB_TOKEN",
    "SLACK_TOKEN",
    "STRIPE_KEY",
    "TWILIO_KEY",
    "SENDGRID_KEY",
    "NPM_TOKEN",
    "PYPI_TOKEN",
    "HUGGINGFACE_TOKEN",
    "DATABRICKS_TOKEN",
    "DIGITALOCEAN_TOKEN",
    "HASHICORP_TOKEN",
    "SHOPIFY_TOKEN",
    "TELEGRAM_TOKEN",
    "XAI_KEY",
    "GROQ_KEY",
    "PERPLEXITY_KEY",
    "REPLICATE_KEY",
    "LANGSMITH_KEY",
    "JWT",
    "PRIVATE_KEY",
    "BASIC_AUTH_URL",
    "OTHER_API_KEY",
    "GENERIC_SECRET",
)

INJECTION: Final = "INJECTION"

KINDS: Final[Mapping[str, Family]] = MappingProxyType(
    {
        **dict.fromkeys(PII, "pii"),
        **dict.fromkeys(SECRETS, "secrets"),
        INJECTION: "injection",
    }
)
"""Every built-in kind and its family, in a stable order."""

DEFAULT_KINDS: Final[frozenset[str]] = frozenset(KINDS) - {"URL"}
"""What is looked for unless told otherwise."""

_CUSTOM_RANK: Final = 9
_RANKS: Final[Mapping[str, int]] = {
    "PRIVATE_KEY": 8,
    **{kind: 7 for kind in SECRETS if kind not in {"PRIVATE_KEY", "BASIC_AUTH_URL", "GENERIC_SECRET"}},
    "BASIC_AUTH_URL": 6,
    "EMAIL": 5,
    "CREDIT_CARD": 5,
    "US_SSN": 5,
    "IBAN": 5,
    "IP_ADDRESS": 5,
    "MAC_ADDRESS": 5,
    "CRYPTO": 5,
    "GENERIC_SECRET": 5,
    "NATIONAL_ID": 3,
    "BANK_ACCOUNT": 3,
    "PHONE": 2,
    "URL": 1,
    INJECTION: 0,
}


def rank_of(kind: str) -> int:
    """Return how specific *kind* is: of two findings that overlap, the higher rank stays."""
    return _RANKS.get(kind, _CUSTOM_RANK)
