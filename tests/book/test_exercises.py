"""The exercises of the theory pages: each answer that computes is run, and prints what its page shows."""

import ast
import importlib
import re
from contextlib import redirect_stdout
from io import StringIO

import pytest

from compendium.registry import ROOT

PAGES = (
    "cell", "tissue", "forward", "torso", "reentry", "verification", "data", "surrogate", "structured",
    "reproduction", "limits", "use", "bring_your_own_data",
)  # fmt: skip
EXERCISE = re.compile(r"^\*\*(\d)\.\*\* (.*?)\n\n:::\{dropdown\} Answer (\d)\n(.*?)\n:::$", re.MULTILINE | re.DOTALL)
ANSWER = re.compile(r"```\{code-block\} python\n(.*?)```\n\n```output\n(.*?)```", re.DOTALL)
NUMBER = re.compile(r"[-+]?\d+\.?\d*")
RELATIVE = 0.005  # numbers may differ by so much of their size, or by one unit of their last digit
MOST_LINES, WIDEST = 12, 88


def section(page: str) -> str:
    text = (ROOT / "book" / f"{page}.md").read_text(encoding="utf-8")
    return text.partition(f"\n(exercises-{page})=\n## Exercises\n")[2]


EXERCISES = {
    (page, number): (question, answer, same)
    for page in PAGES
    for number, question, same, answer in EXERCISE.findall(section(page))
}
CODES = {key: found[0] for key, (_, answer, _) in EXERCISES.items() if (found := ANSWER.findall(answer))}


def off(shown: str, printed: str) -> list[str]:
    """In what an output differs from the one that is shown: its words, or its numbers by more than is allowed."""
    words = [NUMBER.sub("0", one).split() for one in (shown, printed)]
    numbers = [NUMBER.findall(one) for one in (shown, printed)]
    if words[0] != words[1] or len(numbers[0]) != len(numbers[1]):
        return [f"{shown!r} is shown, {printed!r} printed"]
    allowed = [max(RELATIVE * abs(float(a)), 1.001 * 10.0 ** -len(a.partition(".")[2])) for a in numbers[0]]
    return [
        f"{a} is shown, {b} printed"
        for a, b, most in zip(*numbers, allowed, strict=True)
        if abs(float(a) - float(b)) > (most if "." in a else 0)
    ]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_ends_with_two_or_three_questions_and_their_answers(page):
    numbers = [number for where, number in EXERCISES if where == page]
    assert numbers in (["1", "2"], ["1", "2", "3"])
    assert section(page).count("{dropdown}") == len(numbers) and "\n## " not in section(page)
    for number in numbers:
        question, answer, same = EXERCISES[page, number]
        assert same == number and "?" in question and answer.strip().endswith((".", "```"))


@pytest.mark.parametrize(("page", "number"), CODES, ids=["-".join(key) for key in CODES])
def test_an_answer_prints_what_its_page_shows(page, number, monkeypatch, one_thread):
    monkeypatch.chdir(ROOT)
    code, shown = CODES[page, number]
    printed = StringIO()
    with redirect_stdout(printed):
        exec(compile(code, f"answer {number} of {page}", "exec"), {})
    assert shown.strip() and not off(shown, printed.getvalue())


@pytest.mark.parametrize(("page", "number"), CODES, ids=["-".join(key) for key in CODES])
def test_an_answer_is_short_and_uses_what_is_public(page, number):
    code, _ = CODES[page, number]
    lines = code.splitlines()
    assert len(lines) <= MOST_LINES and max(map(len, lines)) <= WIDEST
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            assert {alias.name for alias in node.names} <= {"forwardecg", "math", "numpy", "pandas"}
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None and re.fullmatch(r"forwardecg\.\w+", node.module)
            room = importlib.import_module(node.module)
            assert {alias.name for alias in node.names} <= {*dir(room)}, "a room exports it"
    tables = re.findall(r"data/results/[\w./-]+", code)
    assert all((ROOT / table).is_file() for table in tables) and code.count("read_csv") == len(tables)


def test_numbers_in_the_words_of_an_answer_are_given_or_computed():
    for key, (question, answer, _) in EXERCISES.items():
        code, shown = CODES.get(key, ("", ""))
        words = ANSWER.sub("", answer)
        decimals = re.findall(r"\d+\.\d+", words)
        assert {*decimals} <= {*re.findall(r"\d+\.\d+", f"{question} {code} {shown}")}, key


def test_most_answers_compute():
    assert len(CODES) >= 30 and {page for page, _ in CODES} == {*PAGES}


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("ratio: 0.706", "ratio: 0.707\n", True),
        ("ratio: 0.706", "ratio: 0.712\n", False),
        ("251 ms", "251 ms", True),
        ("251 ms", "252 ms", False),
        ("off by +0.107", "off by -0.107", False),
        ("speed 0.7", "ratio 0.7", False),
        ("0.01 [1.96 1.84]", "0.01 [1.96]", False),
    ],
)
def test_another_output_is_seen(shown, printed, same):
    assert (off(shown, printed) == []) == same
