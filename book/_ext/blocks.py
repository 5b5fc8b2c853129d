"""A table in blocks: ``block-table`` is a ``csv-table`` whose rows are gathered by the words in one of its columns.

The option ``by`` names that column, which has one of the verdicts of `compendium.claims` in each row. Each verdict has a block, in
their order, under a row with the word and how many of the rows it has; the column itself is left out.
"""

import re

from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.directives.patches import CSVTable

from compendium.claims import VERDICTS

# a row of one cell is the head of a block
HEAD = re.compile(r'<td (colspan="\d+")>(<p><strong>.*?</strong>, .*?</p>)\s*</td>', re.DOTALL)


class BlockTable(CSVTable):
    option_spec = {**CSVTable.option_spec, "by": directives.unchanged_required}

    def parse_csv_data_into_rows(self, csv_data, dialect, source):
        (head, *body), width = super().parse_csv_data_into_rows(csv_data, dialect, source)
        names = [" ".join(cell[3]) for cell in head]
        if self.options["by"] not in names:
            raise self.error(f"block-table: expected one of {names}, got {self.options['by']!r}")
        at = names.index(self.options["by"])
        blocks: dict[str, list] = {verdict: [] for verdict in VERDICTS}
        for row in body:
            word = " ".join(row.pop(at)[3])
            if word not in blocks:
                raise self.error(f"block-table: expected one of {[*blocks]}, got {word!r}")
            blocks[word].append(row)
        rows = [head[:at] + head[at + 1 :]]
        for word, found in blocks.items():
            text = f"**{word[0].upper()}{word[1:]}**, {len(found) or 'none'} of {len(body)}"
            # over all columns: the others of its row are part of it
            rows += [[(0, width - 2, 0, StringList([text], source=source)), *[None] * (width - 2)], *found]
        return rows, width - 1


def mend(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    """The row over a block is its head, for those who hear the table as well."""
    if "body" in context:
        context["body"] = HEAD.sub(r'<th class="block" scope="rowgroup" \1>\2</th>', context["body"])


def setup(app: Sphinx) -> dict:
    app.add_directive("block-table", BlockTable)
    app.connect("html-page-context", mend)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
