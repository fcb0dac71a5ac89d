"""Shapes of national identifiers and bank accounts, with the check digits or the words that prove them.

Owns the table. A row whose check digit lets one number in ten pass needs a word near by; a row with a shape of
its own does not. Check digits are python-stdnum's (its modules name the issuers' documents). Knows nothing of
how candidates are found.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from iron_policy.detect.beginnings import beginnings
from iron_policy.detect.checks import stdnum_check
from iron_policy.detect.linear import re2_search
from iron_policy.detect.shapes import is_word

_DOCUMENTS: Final = "passport|reisepass|pasaporte|passeport|passaporto|paspoort|ausweis|driving licen[cs]e|driver'?s licen[cs]e"
DOCUMENT_GATE: Final = rf"(?i:{_DOCUMENTS})[^0-9A-Z\n]{{1,24}}[A-Z]{{0,3}}[0-9][A-Z0-9]{{4}}"
"""A document's name and a number that starts with few digits."""

DOCUMENT_PARTIAL: Final = (
    rf"(?i:{beginnings(_DOCUMENTS)})|(?i:{_DOCUMENTS})[^0-9A-Z\n]{{0,24}}[A-Z0-9]{{0,16}}"
)
DOCUMENT_STARTS: Final = "(?i:pa|re|au|dr)"

_SEPARATORS: Final = re.compile(r"[ .\-/:]")
_KEEPS_SEPARATORS: Final = frozenset({"se.personnummer", "fi.hetu", "ch.ssn"})


class Identifier(NamedTuple):
    """One way in which an identifier is written."""

    pattern: re.Pattern[str]
    module: str | None = None
    """python-stdnum's module with the check, or ``None`` where the issuer defined no check digit."""
    words: str = ""
    """What must stand in the line before it; ``None`` where shape and check suffice."""
    near: re.Pattern[str] | None = None
    kind: str = "NATIONAL_ID"


def _id(pattern: str, module: str | None = None, words: str = "", kind: str = "NATIONAL_ID") -> Identifier:
    near = re.compile(words, re.IGNORECASE) if words else None
    return Identifier(re.compile(pattern), module, words, near, kind)


_NUMERIC: Final = (
    _id(r"\d{3}\.\d{3}\.\d{3}-\d{2}", "br.cpf"),
    _id(r"\d{2}\.\d{3}\.\d{3}/\d{4}-\d{2}", "br.cnpj"),
    _id(r"\d{17}[\dX]", "iso7064.mod_11_2"),
    _id(r"\d{6}-[1-8]\d{6}", "kr.rrn"),
    _id(r"[2-9]\d{3}([ :-])\d{4}[ :-]\d{4}", "in_.aadhaar"),
    _id(r"756\.\d{4}\.\d{4}\.\d{2}", "ch.ssn"),
    _id(r"[12] ?\d{2} ?(?:0[1-9]|1[0-2]) ?\d{2} ?\d{3} ?\d{3} ?\d{2}", "fr.nir"),
    _id(r"(?:19|20)?\d{6}[-+]\d{4}", "se.personnummer"),
    _id(r"\d{8}-?[A-Za-z]", "es.nif"),
    _id(r"\d{6}[-+A-FU-Y]\d{3}[0-9A-Y]", "fi.hetu"),
    _id(r"\d{1,2}\.\d{3}\.\d{3}-[\dKk]", "cl.rut"),
    _id(r"9\d{2}-[5-9]\d-\d{4}", "us.itin"),
    _id(r"\d{2}[ -]?[0-9]{6}[ -]?[A-Z][ -]?\d{3}", None, "sozialversicherung|rvnr|rentenversicherung"),
    _id(r"\d{11}", "tr.tckimlik", "kimlik|t\\.?c\\.? ?no|tckn"),
    _id(r"\d{11}", "pl.pesel", "pesel"),
    _id(r"\d{2} ?\d{3} ?\d{3} ?\d{3}", "de.idnr", "steuer|idnr|tax|identifikationsnummer"),
    _id(r"\d{11}", "br.cpf", "cpf"),
    _id(r"\d{11}", "no.fodselsnummer", "f.dselsnummer|personnummer|national id"),
    _id(r"\d{11}", "hr.oib", "oib"),
    _id(r"\d{11}", "it.iva", "partita iva|p\\. ?iva|vat"),
    _id(r"\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}", "be.nn"),
    _id(r"\d{2} ?\d{3} ?\d{3} ?\d{3}", "au.abn", "abn|business number"),
    _id(r"\d{3} ?\d{3} ?\d{2,3}", "au.tfn", "tfn|tax file"),
    _id(r"\d{3} ?\d{3} ?\d{3}", "au.acn", "acn|company number"),
    _id(r"\d{3}([ -]?)\d{3}[ -]?\d{3}", "ca.sin", r"\bsin\b|\bnas\b|social insurance|assurance sociale"),
    _id(r"\d{3}[ -]?\d{3}[ -]?\d{4}", "gb.nhs", "nhs"),
    _id(r"\d{9}", "nl.bsn", "bsn|burgerservice|sofi"),
    _id(r"\d{9}", "il.idnr", "teudat|israeli? id|mispar zehut"),
    _id(r"\d{13}", "za.idnr", "south africa|identity number|id number|resident|\\bid\\b"),
    _id(r"\d{1}[ -]?\d{4}[ -]?\d{5}[ -]?\d{2}[ -]?\d", "th.pin", "thai|citizen|\\bid\\b|ประชาชน"),
    _id(r"\d{13}", "kr.rrn", "\\brrn\\b|resident|주민"),
    _id(r"\d{6}-?[5-8]\d{6}", None, "\\bfrn\\b|foreign(?:er)? registration|외국인"),
    _id(r"\d{3}-?\d{2}-?\d{5}", "kr.brn", "\\bbrn\\b|business registration|사업자"),
    _id(r"(?:19|20)?\d{10}", "se.personnummer", "personnummer|swedish|id code"),
    _id(r"\d{6}-\d{4}", None, "orgnummer|organisationsnummer|företag|cpr"),
    _id(r"\d{13}", "ro.cnp", "cnp|cod numeric"),
    _id(r"\d{6}/?\d{3,4}", "cz.rc", "rodn. [cč]"),
    _id(r"\d{10}", "bg.egn", "егн|egn"),
    _id(r"\d{4}[ -]?\d{3}[ -]?\d{3}", None, "\\bnpi\\b|provider"),
    _id(r"\d{3}-?\d{3}-?\d{3}(?:-?\d{3,5})?", None, r"\btin\b|tax id|taxpayer"),
    _id(r"\d{9}", None, "bsnr|lanr|arztnummer|betriebsst"),
    _id(r"\d{2}[ -]\d{2}[ -]\d{6}[ -]\d{2}", None, "licen[cs]e|면허"),
    _id(r"\d{8,9}", None, "passport|reisepass|pasaporte|passeport|travel document"),
    _id(r"\d{7,9}", None, "driver'?s?'? licen[cs]e|national id|identity card"),
    _id(r"\d{9}|\d{4}-\d{4}-\d", "us.rtn", r"routing|\baba\b|\brtn\b|transit", "BANK_ACCOUNT"),
    _id(r"\d{4}-\d{4}-\d", "us.rtn", "", "BANK_ACCOUNT"),
    _id(
        r"\d{2}-\d{2}-\d{2} {1,3}\d{8}|\d{6,17}|\d{3,4}[- ]\d{4,6}[- ]\d{2,6}",
        None,
        r"(?:bank|checking|savings) account|account (?:number|no|num|#)|acct\.? ?(?:no|number|#)|a/c no|kontonummer|sort code",
        "BANK_ACCOUNT",
    ),
)

_LETTERED: Final = (
    _id(r"[STFGM]\d{7}[A-Z]", None, r"nric|\bfin\b|singapore"),
    _id(r"[XYZ]-?\d{7}-?[A-Z]", "es.nie"),
    _id(r"[A-Z]{3}[ABCFGHLJPT][A-Z]\d{4}[A-Z]", "in_.pan"),
    _id(r"[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]", "it.codicefiscale"),
    _id(r"[A-Z]{4}\d{6}[HM][A-Z]{5}[0-9A-Z]\d", "mx.curp"),
    # gov.uk/hmrc-internal-manuals/national-insurance-manual/nim39110: letters that are never used.
    _id(r"(?:[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]) ?\d{2} ?\d{2} ?\d{2} ?[A-D]"),
    _id(r"[A-Z9]{5}\d[0156]\d[0-3]\d{2}[A-Z9]{2}[A-Z0-9]{3}", None),
    _id(
        r"[1-9][AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y0-9]\d-[AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y0-9]\d-[AC-HJKMNP-RT-Y]{2}\d{2}"
    ),
    _id(
        r"[1-9][AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y0-9]\d[AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y0-9]\d[AC-HJKMNP-RT-Y]{2}\d{2}",
        None,
        r"\bmbi\b|medicare|patient",
    ),
    _id(r"[A-Z]\d{9}", None, "krankenvers|kvnr|versicherten"),
    _id(r"[A-Z]{3}\d{7}", None, "voter|epic|\\bvote\\b"),
    _id(r"[A-Z0-9]{9,10}", None, "personalausweis|ausweis"),
    _id(
        r"[A-Z]{0,3}\d[A-Z0-9]{5,8}", None, "passport|reisepass|pasaporte|passeport|passaporto|paspoort|여권"
    ),
    _id(
        r"[A-Z]{1,2}\d{6,8}[A-Z]?",
        None,
        "driver'?s?'? licen[cs]e|driving licen[cs]e|identity card|national id|führerschein|patente",
    ),
)


class Table:
    """Rows of one alphabet, arranged so that most candidates cost two searches and no row.

    Args:
        rows: in any order.

    Attributes:
        words: pattern of every word that one of the rows needs.
    """

    def __init__(self, rows: tuple[Identifier, ...]) -> None:
        self._free = tuple(row for row in rows if not row.words)
        self._worded = tuple(row for row in rows if row.words)
        self._any_free = re.compile(
            "|".join(row.pattern.pattern for row in self._free).replace("\\1", "[ :-]")
        )
        self.words = "|".join(f"(?:{row.words})" for row in self._worded)
        self._any_word = re2_search(self.words)

    def find(self, text: str, start: int, stop: int, words: str) -> list[tuple[int, str]]:
        """Return ``(end, kind)`` of each identifier that stands at *start* and ends by *stop*.

        Args:
            text: what is searched.
            start: where a group starts.
            stop: how far an identifier may reach.
            words: what stands before it, for rows that need a word.
        """
        rows = self._free if self._any_free.match(text, start, stop) else ()
        if words and self._any_word(words):
            rows += tuple(row for row in self._worded if row.near and row.near.search(words))
        return [
            (match.end(), row.kind)
            for row in rows
            if (match := row.pattern.match(text, start, stop))
            and not (match.end() < len(text) and is_word(text[match.end()]))
            and _proved(row, match.group())
        ]


def _proved(row: Identifier, value: str) -> bool:
    if row.module is None:
        return True
    written = value if row.module in _KEEPS_SEPARATORS else _SEPARATORS.sub("", value)
    return stdnum_check(row.module)(written.upper())


NUMERIC: Final = Table(_NUMERIC)
"""Identifiers that start with a digit."""

LETTERED: Final = Table(_LETTERED)
"""Identifiers that start with a capital, or mix capitals and digits."""
