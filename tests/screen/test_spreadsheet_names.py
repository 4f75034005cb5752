"""Names that a spreadsheet changed: told, but not where dates or numbers are what labels are."""

import pytest

from rcic.screen.spreadsheet_names import spreadsheet_names, spreadsheet_warning

CHANGED = ["2-Sep", "1-Mar", "Dec-01", "02.09.2024", "9/2/2024", "1. Sep", "02. Mrz", "2.31E+13", "4,5E+20"]
CHANGED += ["2024-09-02 00:00:00", "2024-09-02", "01-Mar-24"]


@pytest.mark.parametrize("name", CHANGED)
def test_a_changed_name_is_told(name):
    assert spreadsheet_names(["TP53", name, ""]) == [name]
    assert name in spreadsheet_warning([name, "TP53"])


@pytest.mark.parametrize(
    "labels",
    [
        ["SEPT2", "MARCH1", "DEC1", "Sep15", "mar-gene", "may", "compound 1-2", "OCT4", "1e5"],
        ["7-Septanol", "mar-1-like", "3-mar-1a", "x"],
        ["1.00E+01", "1.00E+02", "5"],
        ["2024-03-01", "2024-03-02"],
        [],
    ],
)
def test_other_names_are_not(labels):
    assert spreadsheet_warning(labels) == ""
