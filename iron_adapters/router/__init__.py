"""The router: a local server that speaks OpenAI's and Anthropic's APIs and holds every call to a policy.

Usage::

    from iron_adapters import LlmRouter

    with LlmRouter(provider_key=os.environ["OPENAI_API_KEY"], budget=10.0) as router:
        client = OpenAI(base_url=router.base_url, api_key=router.api_key)

Owns HTTP towards callers and providers, keys and addresses. Knows no rule and no wire format.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from iron_adapters.router.llm_router import LlmRouter

__all__ = ["LlmRouter"]

_NEEDS = frozenset(("pyreqwest", "uvicorn", "httptools", "aiohappyeyeballs"))


def __getattr__(name: str) -> Any:
    if name != "LlmRouter":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from iron_adapters.router.llm_router import LlmRouter
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in _NEEDS:
            raise ImportError(f'LlmRouter needs {error.name}: pip install "iron-adapters[router]"') from error
        raise
    return LlmRouter
