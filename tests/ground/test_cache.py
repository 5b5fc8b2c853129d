"""Names of cached work, and the hash of the code that is written into it."""

import shutil
import subprocess
import sys
from dataclasses import dataclass

import pytest

from forwardecg.cache import code_hash, key, versions_of
from forwardecg.paths import PACKAGE

SOURCE = '''
"""About."""
def f(x):
    """Twice."""
    return 2 * x
'''


@dataclass(frozen=True)
class Part:
    a: float = 0.1


def test_a_key_says_what_it_is_and_hangs_on_version_and_parts():
    one = key("tissues", 3, {"a": 1, "b": (0.1, "c")}, Part(), b"weights")
    assert one.startswith("tissues-v3-") and len(one.rpartition("-")[2]) == 16
    assert one == key("tissues", 3, {"b": [0.1, "c"], "a": 1}, {"a": 0.1}, b"weights"), (
        "the order of names is no matter"
    )
    others = [key("tissues", 4, {"a": 1, "b": (0.1, "c")}, Part(), b"weights")]
    others += [key("tissues", 3, {"a": 1, "b": (0.1, "c")}, part, b"weights") for part in (Part(0.2), None)]
    others += [key("tissues", 3, {"a": 1, "b": (0.1, "c")}, Part(), b"other weights")]
    assert len({one, *others}) == 5
    with pytest.raises(TypeError, match="key: expected what json knows, dataclasses or bytes, got object"):
        key("tissues", 3, object())


@pytest.mark.parametrize("python", ["python3.11", "python3.12", "python3.13"])
def test_every_python_gives_the_same_key_and_hash(python):
    if not (path := shutil.which(python)) or subprocess.run([path, "--version"], capture_output=True).returncode:
        pytest.skip(f"no {python} here")
    ask = "import cache; print(cache.key('a', 1, 0.1, 1e22, 1/3, {'b': [1.0, True, None]}), cache.code_hash(['tissue/cell']))"
    done = subprocess.run([path, "-c", ask], cwd=PACKAGE, capture_output=True, text=True, check=True)
    parts = 0.1, 1e22, 1 / 3, {"b": [1.0, True, None]}
    assert done.stdout.split() == [key("a", 1, *parts), code_hash(["tissue/cell"])]


def test_what_it_was_made_with():
    assert versions_of("numpy").startswith(f"Python {sys.version.split()[0]}, numpy ")


@pytest.fixture
def file(tmp_path):
    (tmp_path / "a.py").write_text(SOURCE)
    return tmp_path / "a.py"


@pytest.mark.parametrize(
    ("old", "new"),
    [("    return", "    # double\n    return"), ("Twice", "Double"), ("About", "On"), ("def f", "\n\ndef f")],
)
def test_code_hash_is_blind_to_docstrings_and_to_lines_of_comment(file, old, new):
    before = code_hash([file])
    file.write_text(SOURCE.replace(old, new))
    assert code_hash([file]) == before


@pytest.mark.parametrize(
    ("old", "new"), [("2 * x", "3 * x"), ("f(x)", "f(x, y=0)"), ("return 2 * x", "return 'Twice.'")]
)
def test_code_hash_sees_an_edit_of_the_code(file, old, new):
    before = code_hash([file])
    file.write_text(SOURCE.replace(old, new))
    assert code_hash([file]) != before


def test_code_hash_is_of_the_named_files_in_any_order(file):
    other = file.with_name("b.py")
    other.write_text("y = 1\n")
    assert code_hash([file, other]) == code_hash([other, file]) != code_hash([file])
    before = code_hash([file])
    other.write_text("y = 2\n")
    assert code_hash([file]) == before
