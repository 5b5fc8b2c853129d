"""The README: its examples run as written, its numbers are the published ones, and what it names is there."""

import os
import re
import subprocess
import sys

import pandas as pd
import pytest
from data.igb_files import write_run

from compendium import headline, minutes
from compendium.registry import BY_NAME, ROOT

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
# what is made smaller, and nothing else: 300 tissues take minutes
SMALLER = {
    "Recipe(n_sim=300)": "Recipe(n_sim=5, n_cells=60, dx=1.0, t_end=300.0, pool=4, min_activated=0.2)",
}
# what each example is for: printed after it by a line that the test adds
SHOWN = {
    "load_surrogate": "out.phi_e.sizes['time_ecg'] > 50 and bool((out.phi_e_low < out.phi_e_high).all())",
    "load_or_simulate": "ds.sizes['sim'] == 5 and ds.phi_e.sizes['lead'] == 37",
    "s1_s2": "ecg.sizes['lead'] == 12 and ds.sizes['time'] > 20",
    "read_mesh": "ecg.sizes == {'lead': 12, 'time_ecg': 30} and bool(abs(ecg).max() > 1e-3)",
}


def test_every_example_is_run_and_everything_made_smaller_is_there_once():
    assert len(EXAMPLES) == len(SHOWN) == TEXT.count("```python")
    for name in SHOWN:
        assert sum(name in example for example in EXAMPLES) == 1
    for text in SMALLER:
        assert TEXT.count(text) == 1


@pytest.mark.parametrize("name", SHOWN)
def test_example(name, tmp_path):
    """As a script of a user's own, in a folder with the repository's small data and an empty cache."""
    (example,) = (example for example in EXAMPLES if name in example)
    for text, smaller in SMALLER.items():
        example = example.replace(text, smaller)
    if "read_mesh" in example:
        write_run(tmp_path)
    indent = "    " if "__main__" in example else ""
    (tmp_path / "example.py").write_text(f"{example}\n{indent}assert {SHOWN[name]}\n{indent}print('SHOWN')\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "small").symlink_to(ROOT / "data" / "small")
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "NUMBA_NUM_THREADS": "1"}
    if "load_or_simulate" in example:
        environment["FORWARDECG_DATA"] = str(tmp_path / "data")
    run = subprocess.run(
        [sys.executable, "example.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=1200
    )
    assert run.returncode == 0 and run.stdout.endswith("SHOWN\n"), run.stdout + run.stderr


def test_its_minutes_are_those_of_the_committed_run():
    table = pd.read_csv(ROOT / "data" / "results" / "bench_reproduce.csv")
    assert minutes.TOLD.findall(TEXT) == [minutes.told(table)]


def test_a_run_that_is_kept_tells_its_minutes(tmp_path):
    """Also the older tables, of notebooks one after the other, have a whole."""
    readme, table = tmp_path / "README.md", pd.DataFrame({"minutes": ["1.5", "2.6"], "machine": "zen", "cores": 8})
    readme.write_text(TEXT, encoding="utf-8")
    minutes.tell(readme, table)
    assert readme.read_text(encoding="utf-8").count("(4 minutes for 2 pages on 8 cores of zen)") == 1
    minutes.tell(readme, table.assign(whole="2.70"))
    text = readme.read_text(encoding="utf-8")
    assert text == minutes.TOLD.sub("(3 minutes for 2 pages on 8 cores of zen)", TEXT)
    readme.write_text("no minutes", encoding="utf-8")
    with pytest.raises(ValueError, match=r"README.md: expected one place such as .*, got 0"):
        minutes.tell(readme, table)


MINUTES = {
    "seconds": 1,
    "half a minute": 0.5,
    "a minute": 1,
    "a minute or two": 2,
    "some minutes": 10,
    "half an hour": 30,
}


def test_what_pages_say_of_their_time_is_what_the_committed_run_took():
    """Roughly: the run compiles everything first, and two pages share the cores."""
    table, told = pd.read_csv(ROOT / "data" / "results" / "bench_reproduce.csv").set_index("notebook"), {}
    for name, notebook in BY_NAME.items():
        head = notebook.source.read_text(encoding="utf-8").partition("# %% [markdown]")[2].partition("# %% ")[0]
        head = re.sub(r"\n#? ?", " ", head)
        said = re.findall(rf"\b({'|'.join(sorted(MINUTES, key=len, reverse=True))})\b", head)
        if said and name in table.index:
            told[name] = max(MINUTES[words] for words in said)
    assert len(told) > 15
    assert {name: most for name, most in told.items() if table.minutes[name] > 1 + 3 * most} == {}


def test_numbers_are_those_that_the_pipeline_writes():
    """Its table of findings is the published one (`test_pipeline.py`); in the prose there is the paper's own number alone."""
    section = TEXT.partition("## What was found")[2].partition("\n## ")[0]
    assert headline.BEGIN in section and headline.END in section
    assert {*re.findall(r"\d\.\d+", re.sub(r"^\|.*$", "", section, flags=re.MULTILINE))} == {"0.99"}


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", ".github/PULL_REQUEST_TEMPLATE.md"])
def test_what_the_front_door_names_is_there(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    targets = {*re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)}
    assert {*re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE)} <= targets
    pages = {path.stem for path in (ROOT / "book").rglob("*.md")} | {*BY_NAME}
    listed = {*re.findall(r"\*(\w+)\*", text.partition("| page | for |")[2].partition("\n## ")[0])}
    listed |= {*re.findall(r"page \*(\w+)\*", text)}
    assert listed <= pages
    for path in re.findall(r"\]\(([\w./-]+)\)", text):
        assert (ROOT / path).is_file(), path
    for path in re.findall(r"`((?:book|tools|tests|data|src|notebooks)/[\w./-]+)`", text):
        assert (ROOT / path).exists() or "NN" in path, path


def test_the_picture_is_there_and_comes_first():
    picture = re.search(r"!\[(.+)\]\((.+)\)", TEXT)
    assert (ROOT / picture[2]).is_file() and len(picture[1]) > 40
    assert picture.start() < TEXT.index("\n## "), "people decide in twenty seconds"


def test_no_address_but_the_papers():
    assert not re.findall(r"https?://|doi\.org|badge|shields", TEXT)
