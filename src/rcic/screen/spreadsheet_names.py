"""Names that a spreadsheet turned into dates or numbers, such as ``2-Sep`` for the gene SEPT2.

Source: Ziemann, Eren and El-Osta, "Gene name errors are widespread in the scientific literature", Genome Biology 17:177
(2016).
"""

import re
from collections.abc import Collection

from rcic.errors import quoted

_MONTHS = (  # of English and German spreadsheets
    r"(?:jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec|mrz|mär|mai|okt|dez|"
    r"january|february|march|april|june|july|august|september|october|november|december)"
)
_DATE = re.compile(
    r"\d{1,4}[-/. ]{1,2}MONTH(?:[-/. ]\d{2,4})?|MONTH[-/. ]\d{1,4}|\d{4}-\d\d-\d\d(?:[ T]00:00:00)?|"
    r"\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}|\d(?:[.,]\d+)?e\+\d{2}".replace("MONTH", _MONTHS),
    re.IGNORECASE,
)
_NUMBER = re.compile(r"[-+]?\d*[.,]?\d+(?:e[-+]?\d+)?", re.IGNORECASE)
_MOST_SHOWN = 4


def spreadsheet_names(labels: Collection[str]) -> list[str]:
    """Return the labels that look like dates, or like numbers as 2.31E+13, among others that are neither."""
    names = [label for label in labels if label]
    if all(_DATE.fullmatch(name) or _NUMBER.fullmatch(name) for name in names):
        return []
    return [name for name in names if _DATE.fullmatch(name)]


def spreadsheet_warning(labels: Collection[str]) -> str:
    """Return a sentence on the labels that a spreadsheet may have changed, "" if there are none."""
    names = spreadsheet_names(labels)
    if not names:
        return ""
    shown = ", ".join(map(quoted, names[:_MOST_SHOWN])) + (", ..." if len(names) > _MOST_SHOWN else "")
    return (
        f"{shown} may be what a spreadsheet made of a name (2-Sep of SEPT2), of two names the same: compare with the "
        "table that it was made from"
    )
