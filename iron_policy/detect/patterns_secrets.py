"""Shapes of credentials that announce themselves by how they start.

Owns the table; the source of a row is the vendor's own documentation of its keys unless a comment names
another. Knows nothing of how a table is searched.
"""

from __future__ import annotations

from typing import Final

from iron_policy.detect.checks import is_jwt, looks_drawn
from iron_policy.detect.shapes import Shape

_ALNUM: Final = "[A-Za-z0-9]"
_URLSAFE: Final = "[A-Za-z0-9_-]"
_HEX: Final = "[0-9a-f]"
_LOWER: Final = "[a-z0-9]"


def _row(kind: str, leads: str, charset: str, counts: str, *, tail: str = "", drawn: bool = True) -> Shape:
    """Return a row whose body is *charset* repeated *counts* (``36`` or ``20,200``), then *tail*."""
    check = looks_drawn if drawn else None
    return Shape(kind, tuple(leads.split()), f"{charset}{{{counts}}}{tail}", charset, check)


_MODEL_VENDORS: Final = (
    # Project and service keys: platform.openai.com/docs/api-reference/authentication.
    _row("OPENAI_KEY", "sk-proj- sk-svcacct- sk-admin- sk-None-", _URLSAFE, "20,200"),
    _row("OPENAI_KEY", "sk-", _ALNUM, "32,64"),
    _row(
        "ANTHROPIC_KEY",
        "sk-ant-api01- sk-ant-api02- sk-ant-api03- sk-ant-admin01- sk-ant-oat01- sk-ant-ort01- sk-ant-sid01- sk-ant-sid02-",
        _URLSAFE,
        "20,160",
    ),
    _row("XAI_KEY", "xai-", _ALNUM, "60,100"),
    _row("GROQ_KEY", "gsk_", _ALNUM, "40,64"),
    _row("PERPLEXITY_KEY", "pplx-", _ALNUM, "40,64"),
    _row("REPLICATE_KEY", "r8_", _URLSAFE, "30,48"),
    _row("LANGSMITH_KEY", "lsv2_pt_ lsv2_sk_", _HEX, "32", tail="_[0-9a-f]{10}"),
    _row("LANGSMITH_KEY", "ls__", _HEX, "32"),
    _row("HUGGINGFACE_TOKEN", "hf_ api_org_", _ALNUM, "30,40"),
    _row("GOOGLE_API_KEY", "AIza", _URLSAFE, "35"),
    _row("GOOGLE_API_KEY", "GOCSPX-", _URLSAFE, "28"),
    _row("GOOGLE_API_KEY", "ya29.", _URLSAFE, "30,512"),
    _row("OTHER_API_KEY", "sk-or-v1- sk-lf- pk-lf-", "[0-9a-f-]", "32,64"),
    _row(
        "OTHER_API_KEY",
        "nvapi- tvly-dev- tvly-prod- tvly- jina_ e2b_ csk- pcsk_ fw_ phx_ phc_ lsk_ voyage-",
        _URLSAFE,
        "24,100",
    ),
)

_CLOUDS: Final = (
    # IAM unique-id prefixes: docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html.
    _row("AWS_ACCESS_KEY", "AKIA ASIA ABIA ACCA", "[A-Z0-9]", "16"),
    _row("AWS_ACCESS_KEY", "ABSK", "[A-Za-z0-9+/]", "100,300", tail="={0,2}", drawn=False),
    _row("AWS_ACCESS_KEY", "bedrock-api-key-", "[A-Za-z0-9+/]", "20,1024", tail="={0,2}"),
    _row("AZURE_KEY", "AccountKey=", "[A-Za-z0-9+/]", "86", tail="=="),
    _row("AZURE_KEY", "SharedAccessKey=", "[A-Za-z0-9+/]", "43", tail="="),
    Shape(
        "AZURE_KEY",
        ("DefaultEndpointsProtocol=",),
        r"https?;AccountName=[a-z0-9]{1,24};AccountKey=[A-Za-z0-9+/]{86}==(?:;[A-Za-z]{1,32}=[A-Za-z0-9.:/-]{1,100}){0,5};?",
        "h",
    ),
    _row("DIGITALOCEAN_TOKEN", "dop_v1_ doo_v1_ dor_v1_", _HEX, "64"),
    _row("DATABRICKS_TOKEN", "dapi", _HEX, "32", tail="(?:-[0-9])?"),
    _row("HASHICORP_TOKEN", "hvs. hvb. hvr.", _URLSAFE, "24,300"),
    _row("OTHER_API_KEY", "t1.9eu", "[A-Za-z0-9_.=-]", "30,300"),
    _row("OTHER_API_KEY", "AQVN", _URLSAFE, "35,38"),
    _row("OTHER_API_KEY", "LTAI", _ALNUM, "16,24"),
    _row("OTHER_API_KEY", "tk-us-", _URLSAFE, "48"),
    _row("OTHER_API_KEY", "v1.0-", _HEX, "24", tail="-[0-9a-f]{146}"),
    _row("OTHER_API_KEY", "pul-", _HEX, "40"),
    _row("OTHER_API_KEY", "dt0c01.", "[A-Za-z0-9]", "24", tail=r"\.[A-Za-z0-9]{64}"),
    _row(
        "OTHER_API_KEY",
        "glsa_ glc_ dp.pt. dp.st. dp.sa. dp.ct. lin_api_ lin_oauth_",
        "[A-Za-z0-9_+/=.-]",
        "30,400",
    ),
    _row("OTHER_API_KEY", "fo1_ fm1_ fm2_ fm1r_ fm1a_", "[A-Za-z0-9_+/=-]", "43,500", drawn=False),
    _row("OTHER_API_KEY", "sha256~", _URLSAFE, "43", drawn=False),
    _row("OTHER_API_KEY", "tskey-auth- tskey-api- tskey-client-", "[A-Za-z0-9-]", "20,80"),
)

_CODE_AND_CHAT: Final = (
    _row("GITHUB_TOKEN", "ghp_ gho_ ghu_ ghs_ ghr_", _ALNUM, "36,255"),
    _row("GITHUB_TOKEN", "github_pat_", "[A-Za-z0-9_]", "40,100"),
    # docs.gitlab.com/security/tokens: prefixes of each kind of token.
    _row(
        "GITLAB_TOKEN",
        "glpat- glptt- glcbt- gldt- glrt- glrtr- glft- glffct- glimt- glagent- gloas- glsoat- glwt-",
        "[A-Za-z0-9_.-]",
        "20,300",
    ),
    _row("GITLAB_TOKEN", "GR1348941", _URLSAFE, "20,60"),
    _row("GITLAB_TOKEN", "_gitlab_session=", _LOWER, "32"),
    # api.slack.com/authentication/token-types; the legacy kinds end in fewer digits.
    Shape(
        "SLACK_TOKEN",
        (
            "xoxb-",
            "xoxp-",
            "xoxa-",
            "xoxo-",
            "xoxs-",
            "xoxr-",
            "xoxc-",
            "xoxd-",
            "xoxe-",
            "xoxe.xoxp-",
            "xoxe.xoxb-",
            "xapp-",
        ),
        "[0-9]{1,13}-[A-Za-z0-9-]{8,300}",
        "[0-9-]",
    ),
    Shape(
        "SLACK_TOKEN",
        ("hooks.slack.com/services/", "hooks.slack.com/workflows/", "hooks.slack.com/triggers/"),
        "[A-Za-z0-9+/]{40,80}",
        "[A-Za-z0-9+/]",
    ),
    _row("NPM_TOKEN", "npm_", _ALNUM, "36"),
    _row("PYPI_TOKEN", "pypi-AgE", _URLSAFE, "50,512"),
    _row("OTHER_API_KEY", "rubygems_", _HEX, "48"),
    _row("OTHER_API_KEY", "CLOJARS_", _LOWER, "60"),
    _row("OTHER_API_KEY", "sgp_ sgp_local_", "[0-9a-fA-F_]", "40,57"),
    _row("OTHER_API_KEY", "PMAK-", _HEX, "24", tail="-[0-9a-f]{34}"),
    _row("OTHER_API_KEY", "NRAK- NRII- NRJS- NRAL-", "[A-Za-z0-9-]", "19,40"),
    _row("OTHER_API_KEY", "sntryu_ sntrya_", _HEX, "64"),
    _row("OTHER_API_KEY", "sntrys_eyJ", "[A-Za-z0-9+/=_]", "60,400"),
    _row("OTHER_API_KEY", "ATATT3 ATCTT3", "[A-Za-z0-9_=-]", "100,250"),
    _row("OTHER_API_KEY", "figd_ ntn_ nfp_ sbp_ tfp_ pnu_", _URLSAFE, "36,80"),
    _row("OTHER_API_KEY", "pscale_tkn_ pscale_oauth_ pscale_pw_", "[A-Za-z0-9_=.-]", "32,64"),
    _row("OTHER_API_KEY", "AKCp", _ALNUM, "69"),
    _row("OTHER_API_KEY", "API-", "[A-Z0-9]", "26"),
    _row("OTHER_API_KEY", "ops_eyJ", "[A-Za-z0-9+/]", "200,1500", tail="={0,3}"),
    Shape(
        "OTHER_API_KEY",
        ("A3-",),
        "[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})-[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{5}",
        "[A-Z0-9]",
    ),
    Shape("OTHER_API_KEY", ("AGE-SECRET-KEY-1",), "[A-Z0-9]{58}", "[A-Z0-9]"),
    _row("OTHER_API_KEY", "ico-", _ALNUM, "32"),
    _row("OTHER_API_KEY", "sm_aat_ sm_pat_ sm_sat_", _ALNUM, "16"),
    _row("OTHER_API_KEY", "s-s4t2ud- s-s4t2af-", _HEX, "64"),
)

_COMMERCE: Final = (
    _row(
        "STRIPE_KEY",
        "sk_live_ sk_test_ sk_prod_ rk_live_ rk_test_ rk_prod_ whsec_",
        _ALNUM,
        "20,250",
    ),
    _row("SHOPIFY_TOKEN", "shpat_ shpca_ shppa_ shpss_ shptka_", "[0-9a-fA-F]", "32"),
    _row("TWILIO_KEY", "SK AC", _HEX, "32"),
    Shape(
        "SENDGRID_KEY",
        ("SG.",),
        r"(?:[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,64}|[A-Za-z0-9_=.-]{66})",
        "[A-Za-z0-9_=-]",
        looks_drawn,
    ),
    _row("OTHER_API_KEY", "xkeysib-", _HEX, "64", tail="-[A-Za-z0-9]{16}"),
    _row("OTHER_API_KEY", "key- pubkey-", _HEX, "32"),
    _row("OTHER_API_KEY", "EZAK EZTK", _ALNUM, "54"),
    _row("OTHER_API_KEY", "FLWPUBK_TEST- FLWSECK_TEST- FLWPUBK- FLWSECK-", _HEX, "12,32", tail="(?:-X)?"),
    _row("OTHER_API_KEY", "shippo_live_ shippo_test_", _HEX, "40"),
    _row("OTHER_API_KEY", "fio-u-", _URLSAFE, "64"),
    _row("OTHER_API_KEY", "sq0atp- sq0csp- sq0idp-", _URLSAFE, "22,64"),
    _row("OTHER_API_KEY", "EAAA EAAM EAAC", _URLSAFE, "56,300"),
    _row("OTHER_API_KEY", "pat-na1- pat-na2- pat-eu1-", "[0-9a-f-]", "36"),
    _row("OTHER_API_KEY", "sl.", _URLSAFE, "130,160"),
    _row("OTHER_API_KEY", "pk. sk. tk.", _LOWER, "60", tail=r"\.[a-z0-9]{22}"),
)

_ANYWHERE: Final = (
    Shape(
        "JWT",
        ("eyJ", "ewogICJ"),
        r"[A-Za-z0-9_-]{8,1000}\.(?:eyJ|ewogICJ)[A-Za-z0-9_-]{8,3000}(?:\.[A-Za-z0-9_-]{0,1000}|={0,2})",
        _URLSAFE,
        is_jwt,
    ),
)

SHAPES: Final[tuple[Shape, ...]] = (*_MODEL_VENDORS, *_CLOUDS, *_CODE_AND_CHAT, *_COMMERCE, *_ANYWHERE)
"""Every row; of two that match at one place the longer match stays."""
