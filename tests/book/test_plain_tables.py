"""Tables of notebooks in the built book: as readers want them, however long ago the notebook was executed."""

import re
import sys

import pandas as pd
import pytest
from bs4 import BeautifulSoup
from docutils.parsers.rst import DirectiveError

from compendium.claims import VERDICTS
from compendium.registry import ROOT
from compendium.tables import plain

sys.path.insert(0, str(ROOT / "book" / "_ext"))

import blocks  # noqa: E402

TABLE = re.compile(r'<table border="1" class="dataframe">.*?</table>', re.DOTALL)
ROW = re.compile(r"<tr.*?</tr>", re.DOTALL)
CELL = re.compile(r"<t[hd](?: [^>]*)?>(.*?)</t[hd]>", re.DOTALL)
MOST_COLUMNS = 7


@pytest.fixture(scope="module")
def tables(html) -> dict[str, list[str]]:
    pages = sorted((html / "notebooks").glob("*.html"))
    found = {page.stem: TABLE.findall(page.read_text(encoding="utf-8")) for page in pages}
    assert sum(map(len, found.values())) > 100
    return found


def test_no_table_is_as_pandas_leaves_it(tables):
    assert [name for name, of in tables.items() for one in of if plain(one) != one] == []


def test_numbers_have_a_true_minus_and_nothing_is_nan(tables):
    for name, of in tables.items():
        for one in of:
            cells = CELL.findall(one)
            assert not [cell for cell in cells if re.match(r"-\.?\d|nan$|NaN$", cell)], name
            assert not [cell for cell in cells if re.fullmatch("gap_junction|two_foci|[a-z]+_fibrosis", cell)], name


def test_one_row_of_heads_but_for_groups_of_columns(tables):
    for name, of in tables.items():
        for one in of:
            heads = ROW.findall(one.partition("</thead>")[0])
            assert len(heads) == 1 or "colspan" in heads[0], (name, heads)


def test_tables_are_narrow(tables):
    for name, of in tables.items():
        widths = [max(len(CELL.findall(row)) for row in ROW.findall(one)) for one in of]
        assert max(widths, default=0) <= MOST_COLUMNS, (name, widths)


def test_tables_of_pages_without_code_are_narrow(html):
    pages = sorted((html / "book").glob("*.html"))
    found = {page.stem: re.findall(r"<table.*?</table>", page.read_text(encoding="utf-8"), re.DOTALL) for page in pages}
    assert sum(map(len, found.values())) > 30
    for name, of in found.items():
        widths = [max(len(CELL.findall(row)) for row in ROW.findall(one)) for one in of]
        assert max(widths, default=0) <= MOST_COLUMNS, (name, widths)


def test_tables_say_what_they_hold(tables):
    assert [name for name, of in tables.items() if any("<caption>" not in one for one in of)] == []


def test_the_claims_are_in_blocks_by_verdict(html):
    """Each verdict has its rows under its word, in the number that the word says; one without rows says so."""
    published = pd.read_csv(ROOT / "data" / "results" / "reproduction.csv", keep_default_na=False)
    page = BeautifulSoup((html / "book" / "reproduction.html").read_text(encoding="utf-8"), "html.parser")
    table = page.find("table", id="table-reproduction")
    found: dict[str, list[str]] = {}
    for row in table.tbody.find_all("tr"):
        if head := row.find("th", class_="block"):
            rows = found.setdefault(head.get_text(" ", strip=True), [])
            assert head["scope"] == "rowgroup" and int(head["colspan"]) == len(table.thead.find_all("th"))
        else:
            rows.append(row.find_all("td")[-1].get_text().strip())
    assert "verdict" not in table.thead.get_text()
    for (words, commands), verdict in zip(found.items(), VERDICTS, strict=True):
        of = published[published.verdict == verdict]
        assert words.lower() == f"{verdict} , {len(of) or 'none'} of {len(published)}"
        assert commands == [command.strip("`") for command in of.command]


def test_a_column_or_a_verdict_that_is_unknown_is_refused():
    table = object.__new__(blocks.BlockTable)
    table.error = lambda words: DirectiveError(3, words)  # type: ignore[method-assign]
    dialect = blocks.BlockTable.DocutilsDialect({})
    table.options = {"by": "verdict"}
    rows, width = table.parse_csv_data_into_rows(["claim,verdict,n", "x,open,1", "y,open,2"], dialect, "x")
    assert width == 2 and [row[0][3][0] for row in rows if "**" not in row[0][3][0]] == ["claim", "x", "y"]
    assert rows[4][0][1] == 1 and rows[4][1] is None and rows[4][0][3][0] == "**Open**, 2 of 2"
    for by, verdict, wrong in (("verdict", "perhaps", "perhaps"), ("judgment", "open", "judgment")):
        table.options = {"by": by}
        with pytest.raises(DirectiveError) as found:
            table.parse_csv_data_into_rows(["claim,verdict", f"x,{verdict}"], dialect, "x")
        assert f"got '{wrong}'" in found.value.msg
