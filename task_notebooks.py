"""The notebooks: execute those whose source, imported modules or upstream results have changed.

What each needs and makes is in its header; ``src/compendium/registry.py`` reads it, ``execute.py`` executes and publishes.
"""

import sys
from pathlib import Path

from pytask import PythonNode, console, task

sys.path.insert(0, str(Path(__file__).parent / "src"))
from compendium.execute import execute
from compendium.header import hash_without_page
from compendium.record import SOURCES, closure
from compendium.registry import NOTEBOOKS, ROOT
from forwardecg.cache import code_hash


def say(line: str) -> None:
    """Print above the live table."""
    console.print(line, markup=False, highlight=False, soft_wrap=True)


for _notebook in NOTEBOOKS:
    _depends = {
        # what the header says of the page, such as its question and answer, is none of this task's business
        "source": PythonNode(value=_notebook.source, hash=hash_without_page),
        "results": {name: ROOT / "data" / name for name in _notebook.needs},
        # the code of the imported modules: an edited docstring, or comment on a line of its own, makes nothing stale
        "modules": {
            path.relative_to(SOURCES).as_posix(): PythonNode(value=path, hash=lambda path: code_hash([path]))
            for path in closure(_notebook.source)
        },
    }
    _produces = {"notebook": _notebook.ipynb, "results": [ROOT / "data" / name for name in _notebook.results]}

    @task(id=_notebook.name, kwargs={"notebook": _notebook, "depends_on": _depends, "produces": _produces})
    def task_notebook(notebook, depends_on, produces):
        __tracebackhide__ = True
        execute(notebook, say=say)
