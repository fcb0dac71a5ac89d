"""What proves a candidate: check digits, structure, randomness.

Owns the judgement of single values. Knows no pattern and no surroundings. The libraries that know the check
digits are imported when the first candidate needs them, since most processes start without one.
"""

from __future__ import annotations

import binascii
import math
import re
from base64 import urlsafe_b64decode
from collections import Counter
from functools import cache
from importlib import import_module
from ipaddress import AddressValueError, IPv6Address
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_SAME_AGAIN: Final = re.compile(r"(?:(.)\1{5})", re.DOTALL)
_PLACEHOLDER: Final = re.compile(
    r"(?i)example|sample|placeholder|changeme|change_me|redacted|your|insert|dummy|replace|todo|foobar"
    r"|undefined|process\.env|os\.environ|getenv|#\w+#|secrets?\.|settings\.|config\.|vault:|\.\.\."
)
_PARTS: Final = re.compile(r"[A-Za-z0-9]+")
_WORDLIKE: Final = re.compile(
    r"[A-Z]?[a-z]+\d{0,2}|[A-Z]+\d{0,2}|\d{1,8}|v\d+|(?:[A-Z]?[a-z]{2,}){2,}\d{0,2}"
)
_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_LEAST_DISTINCT: Final = 9
_LEAST_SECRET_BITS: Final = 3.0
_LEAST_PASSWORD_LENGTH: Final = 8
_LEAST_SECRET_LENGTH: Final = 12


def bits_per_character(value: str) -> float:
    """Return the Shannon entropy of *value*'s characters, in bits per character."""
    length = len(value)
    return math.log2(length) - sum(n * math.log2(n) for n in Counter(value).values()) / length


def looks_drawn(value: str) -> bool:
    """Say whether *value* could come from a random generator, as opposed to ``xxxxxxxx`` in a manual."""
    return len(set(value)) >= min(_LEAST_DISTINCT, len(value) // 2 + 1) and not _SAME_AGAIN.search(value)


def is_wordy(value: str) -> bool:
    """Say whether *value* is made of words and small numbers, as names, versions and paths are."""
    return all(_WORDLIKE.fullmatch(part) for part in _PARTS.findall(value))


def is_uuid(value: str) -> bool:
    """Say whether *value* is written like a UUID."""
    return _UUID.fullmatch(value) is not None


def is_secret(value: str, *, password: bool) -> bool:
    """Say whether *value*, assigned to a name that promises a secret, is one.

    Args:
        value: without quotes.
        password: True where the name says password: people choose these, so they are short and less random.
    """
    if len(value) < (_LEAST_PASSWORD_LENGTH if password else _LEAST_SECRET_LENGTH):
        return False
    if not any(c.isdigit() for c in value) or _PLACEHOLDER.search(value) or not looks_drawn(value):
        return False
    if is_uuid(value):
        return True
    if "." in value and is_wordy(value.rpartition(".")[2]):
        return False
    return not is_wordy(value) and (password or bits_per_character(value) >= _LEAST_SECRET_BITS)


def is_jwt(value: str) -> bool:
    """Say whether the first part of *value* decodes to JSON that names an algorithm."""
    head = value.split(".", 1)[0]
    try:
        decoded = urlsafe_b64decode(head + "=" * (-len(head) % 4))
    except binascii.Error:
        return False
    return decoded.lstrip().startswith(b"{") and (b'"alg"' in decoded or b'"typ"' in decoded)


@cache
def stdnum_check(module: str) -> Callable[[str], bool]:
    """Return ``is_valid`` of python-stdnum's *module*, such as ``es.nif``.

    What the library cannot judge counts as valid: its tables of places and offices have gaps, and a number that
    has the shape is better protected.
    """
    is_valid = import_module(f"stdnum.{module}").is_valid
    # Beyond length and check digits, what banks a country has is not ours to know.
    options = {"check_country": False} if module == "iban" else {}

    def check(number: str) -> bool:
        try:
            return bool(is_valid(number, **options))
        except (LookupError, TypeError, ValueError):
            return True

    return check


def is_luhn(digits: str) -> bool:
    """Say whether the last of *digits* is their Luhn check digit."""
    return stdnum_check("luhn")(digits)


_CARDS: Final = re.compile(
    # ISO/IEC 7812 issuer ranges by network: Visa, Mastercard, American Express, Diners, Discover, JCB, UnionPay,
    # Maestro, UATP; each with the lengths it issues.
    r"4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}"
    r"|3(?:0[0-5]|[689]\d)\d{11,13}|6(?:011|4[4-9]\d|5\d\d)\d{12}(?:\d{3})?|35\d{14}|(?:2131|1800)\d{11}"
    r"|62\d{14,17}|(?:5[06-9]|6[0-9])\d{10,17}|1[0-9]\d{13}"
)


def is_card(digits: str) -> bool:
    """Say whether *digits* are a payment card number: issuer range, length and Luhn."""
    return _CARDS.fullmatch(digits) is not None and len(set(digits)) > 1 and is_luhn(digits)


def is_iban(value: str) -> bool:
    """Say whether *value* is an IBAN by length of its country and check digits (ISO 13616, mod 97)."""
    return stdnum_check("iban")(value.upper())


_BECH32: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_BECH32_GENERATOR: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_BECH32M: Final = 0x2BC830A3


def is_wallet(value: str) -> bool:
    """Say whether *value* is a Bitcoin address: Base58Check, Bech32, or Bech32m, which python-stdnum lacks."""
    if value.lower().startswith("bc1p"):
        return _is_bech32m(value.lower())
    return stdnum_check("bitcoin")(value)


def _is_bech32m(value: str) -> bool:
    """Say whether the checksum of BIP-350 holds for *value*, an address of ``bc``."""
    if any(c not in _BECH32 for c in value[3:]):
        return False
    checksum = 1
    for number in (3, 3, 0, 2, 3, *map(_BECH32.index, value[3:])):
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ number
        for bit, generator in enumerate(_BECH32_GENERATOR):
            checksum ^= generator if top >> bit & 1 else 0
    return checksum == _BECH32M


def is_ipv4(value: str) -> bool:
    """Say whether the four numbers of *value* are octets without leading zeros."""
    return all(int(part) < 256 and str(int(part)) == part for part in value.split("."))  # noqa: PLR2004


def is_ipv6(value: str) -> bool:
    """Say whether *value* is an IPv6 address that no C++ or Python code would be mistaken for."""
    try:
        IPv6Address(value.split("%", 1)[0])
    except (AddressValueError, ValueError):
        return False
    groups = [group for group in value.split(":") if group] or [""]
    if "::" not in value or "." in value or len(groups) > 2:  # noqa: PLR2004 - a::b alone also names a C++ member
        return True
    if value.startswith("::"):
        return value == "::1" or len(groups[0]) == 4  # noqa: PLR2004 - a[::20] is a slice
    return any(c.isdigit() for c in groups[0]) and len(groups[0]) > 1


def is_phone(digits: str) -> bool:
    """Say whether *digits*, as they stand behind a ``+``, are a country's code and as many more as it gives out."""
    return any(len(digits) - width in _national_lengths(int(digits[:width])) for width in (1, 2, 3))


@cache
def _national_lengths(country_code: int) -> tuple[int, ...]:
    """Return how many digits numbers of *country_code* have behind it, after phonenumbers' metadata."""
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata

    regions = COUNTRY_CODE_TO_REGION_CODE.get(country_code, ())
    if not regions:
        return ()
    if regions[0] == "001":
        metadata = PhoneMetadata.metadata_for_nongeo_region(country_code)
    else:
        metadata = PhoneMetadata.metadata_for_region(regions[0])
    description = metadata.general_desc if metadata else None
    return tuple(description.possible_length) if description else ()
