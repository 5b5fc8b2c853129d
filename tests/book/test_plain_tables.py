"""Tables of notebooks in the built book: as readers want them, however long ago the notebook was executed."""

import re

import pytest

from compendium.tables import plain

TABLE = re.compile(r'<table border="1" class="dataframe">.*?</table>', re.DOTALL)
ROW = re.compile(r"<tr.*?</tr>", re.DOTALL)
CELL = re.compile(r"<t[hd](?: [^>]*)?>(.*?)</t[hd]>", re.DOTALL)
MOST_COLUMNS = 7
# pages whose tables are wider still
WIDE = ["20_your_own_maps"]
# pages of which a table has no caption yet
BARE = ["20_your_own_maps", "23_back_from_the_ecg", "24_remodeled_tissue"]
BARE += ["27_reading_the_ecg", "30_population"]


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
        assert name in WIDE or max(widths, default=0) <= MOST_COLUMNS, (name, widths)


def test_tables_of_pages_without_code_are_narrow(html):
    pages = sorted((html / "book").glob("*.html"))
    found = {page.stem: re.findall(r"<table.*?</table>", page.read_text(encoding="utf-8"), re.DOTALL) for page in pages}
    assert sum(map(len, found.values())) > 30
    for name, of in found.items():
        widths = [max(len(CELL.findall(row)) for row in ROW.findall(one)) for one in of]
        assert max(widths, default=0) <= MOST_COLUMNS, (name, widths)


def test_tables_say_what_they_hold(tables):
    assert [name for name, of in tables.items() if name not in BARE and any("<caption>" not in one for one in of)] == []
