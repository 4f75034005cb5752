"""Spellings of names: blanks at the ends, names that look alike, characters that cannot be seen."""

import re
import unicodedata

# Blanks, and characters without width: soft hyphen, zero-width space, marks of direction, variants, byte-order mark.
BLANKS = "".join(
    map(
        chr,
        (
            *(*range(0x09, 0x0E), *range(0x1C, 0x21), 0x85, 0xA0, 0xAD, 0x034F, 0x061C, 0x1680, 0x180E),
            *(*range(0x2000, 0x2010), *range(0x2028, 0x2030), *range(0x205F, 0x2070), 0x2800, 0x3000, 0x3164),
            *(*range(0xFE00, 0xFE10), 0xFEFF),
        ),
    )
)
_NO_BLANKS = dict.fromkeys(map(ord, BLANKS))
_DASHES = "\u02d7\u2010\u2011\u2012\u2013\u2014\u2015\u2043\u2212\u2796\u2e3a\u2e3b\u30fc\ufe58\ufe63\uff0d"
_QUOTES = "\u0060\u00b4\u02b9\u02bb\u02bc\u02c8\u2018\u2019\u201a\u201b\u2032\u2035\uff07"
_TWINS = (  # letters of other scripts, each with the Latin letter that it looks like
    ("\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0423\u0425\u0405\u0406\u0408", "ABEKMHOPCTYXSIJ"),
    ("\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0455\u0456\u0458", "aeopcyxsij"),
    ("\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03bf", "ABEZHIKMNOPTYXo"),
)
_LOOKS = str.maketrans(
    {letter: "-" for letter in _DASHES}
    | {letter: "'" for letter in _QUOTES}
    | {letter: twin for letters, twins in _TWINS for letter, twin in zip(letters, twins, strict=True)}
)
_PADDED = re.compile(r"0*([0-9]+)(?:\.0+)?")


def trimmed(text: str) -> str:
    """Return a name without blanks at its ends: spaces of any width, tabs, characters without width."""
    return text.strip(BLANKS)


def look(name: str) -> str:
    """Return a key that is equal for names that a reader takes for the same.

    Such names differ in blanks, case, Unicode form, kind of dash or quote, or in the script of a letter; numbers also
    in leading zeros and ``.0``: ``1``, ``01``, ``1.0``.
    """
    if not name.isascii():
        name = unicodedata.normalize("NFKC", name.translate(_LOOKS)).translate(_LOOKS)
    key = name.translate(_NO_BLANKS).casefold()
    number = _PADDED.fullmatch(key)
    return number[1] if number else key


def visible(text: str) -> str:
    """Return text with an escape for each character that cannot be seen: ``a\\u200bb``. Spaces stay."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
