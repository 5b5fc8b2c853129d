"""The files that say what to install, how to cite, and what continuous integration runs, hold together."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import hooks
import jupytext
import pytest
import yaml

import forwardecg
from compendium import reproduce
from compendium.registry import ROOT

WORKFLOWS = ROOT / ".github" / "workflows"
CONDA_NAMES = {"torch": "pytorch"}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def lock():
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonical(name): version for name, version in pairs}


def required(project) -> set[str]:
    extras = project["optional-dependencies"]
    return {
        canonical(re.match(r"[\w.-]+", line)[0]) for line in project["dependencies"] + extras["book"] + extras["test"]
    }


def test_lock_holds_every_dependency_at_a_public_version(project, lock):
    assert required(project) <= {*lock}
    assert "forwardecg" not in lock
    assert not any("+" in version for version in lock.values()), "a local version such as +cpu exists on one index only"


def test_conda_environment_matches_the_lock(project, lock):
    listed = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    (by_pip,) = (one["pip"] for one in listed if not isinstance(one, str))
    pinned = dict(line.split("=") for line in listed if isinstance(line, str) and "=" in line)
    pinned |= dict(line.split("==") for line in by_pip if "==" in line)
    python = pinned.pop("python")
    assert "--editable ." in by_pip
    assert pinned == {CONDA_NAMES.get(name, name): lock[name] for name in required(project)}
    assert python == project["requires-python"].removeprefix(">=")


def test_binder_has_the_package_and_its_figures_at_the_versions_of_the_lock(project, lock):
    listed = yaml.safe_load((ROOT / "binder" / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    pinned = dict(line.split("=") for line in listed if "=" in line)
    python = pinned.pop("python")
    lines = project["dependencies"] + project["optional-dependencies"]["plot"] + ["jupytext", "ipykernel"]
    names = {canonical(re.match(r"[\w.-]+", line)[0]) for line in lines}
    assert pinned == {CONDA_NAMES.get(name, name): lock[name] for name in names}
    assert python == project["requires-python"].removeprefix(">=")


def test_binder_prepares_this_package(tmp_path):
    """As far as it goes without Binder: the script parses, and its Python runs on this package."""
    script = ROOT / "binder" / "postBuild"
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", script]).returncode == 0
    command, code = re.search(
        r"^(.+ --editable \.)\n.*<<'PYTHON'\n(.+)^PYTHON$", script.read_text(), re.M | re.S
    ).groups()
    assert command.endswith("python -m pip install --no-deps --editable .")
    exec(compile(code, str(script), "exec"), {})


def workflow(name: str) -> dict:
    return yaml.safe_load((WORKFLOWS / name).read_text(encoding="utf-8"))


def commands(name: str) -> list[str]:
    return [step["run"] for job in workflow(name)["jobs"].values() for step in job["steps"] if "run" in step]


@pytest.mark.parametrize("name", sorted(path.name for path in WORKFLOWS.iterdir()))
def test_workflows_parse_and_run_this_projects_commands(name):
    assert {"name", "jobs", "permissions", True} <= {*workflow(name)}, "yaml reads the key `on` as True"
    assert "Untested until" in (WORKFLOWS / name).read_text(encoding="utf-8").splitlines()[0]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for command in commands(name):
        assert subprocess.run(["bash", "-n", "-c", command]).returncode == 0, command
        for target in re.findall(r"\bmake ([a-z-]+)", command):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), command
    assert any(re.search(r"\.ci/run|make (book|reproduce)\b", command) for command in commands(name))
    for job in workflow(name)["jobs"].values():
        assert "timeout-minutes" in job
        for step in job["steps"]:
            assert ("run" in step) != ("uses" in step)
            assert re.fullmatch(r"actions/[\w-]+@v\d+", step.get("uses", "actions/checkout@v4"))


def test_tested_versions_of_python_are_those_that_are_promised(project):
    jobs = workflow("test.yml")["jobs"]
    prefix = "Programming Language :: Python :: 3."
    promised = [f"3.{one.removeprefix(prefix)}" for one in project["classifiers"] if one.startswith(prefix)]
    assert jobs["locked"]["strategy"]["matrix"]["python"] == promised == jobs["package"]["strategy"]["matrix"]["python"]
    assert promised[0] == project["requires-python"].removeprefix(">=")
    (newest,) = (
        step["with"]["python-version"] for step in jobs["newest"]["steps"] if "setup-python" in step.get("uses", "")
    )
    assert newest == promised[-1]


def test_the_package_job_runs_the_readmes_first_example(tmp_path):
    (command,) = (command for command in commands("test.yml") if "README.md" in command)
    assert (
        subprocess.run(["bash", "-c", command.replace("README.md", str(ROOT / "README.md"))], cwd=tmp_path).returncode
        == 0
    )
    example = (tmp_path / "example.py").read_text(encoding="utf-8")
    assert f"```python\n{example}```" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert "load_surrogate" in example and compile(example, "example.py", "exec")
    assert {"python -m pip install .", "python example.py"} <= {*commands("test.yml")}


def test_the_weekly_reproduction_keeps_its_table(tmp_path):
    """The summary takes the log from the head of the table on, and a failed run is not hidden by the pipe."""
    (job,) = workflow("reproduce.yml")["jobs"].values()
    run, summary, upload = [step for step in job["steps"] if "run" in step or "upload" in step["uses"]]
    assert (
        run["shell"] == "bash"
        and run["run"].endswith("| tee reproduce.txt")
        and upload["with"]["path"] == "reproduce.txt"
    )
    assert summary["if"] == upload["if"] == "always()"
    rows = [("x", "1", "2", "0.1", "OUTSIDE")]
    (tmp_path / "reproduce.txt").write_text(f"01: published\n\n{reproduce.table(rows)}\n\n0 of 1 as published\n")
    out = tmp_path / "summary.md"
    environment = os.environ | {"GITHUB_STEP_SUMMARY": str(out)}
    assert subprocess.run(["bash", "-e", "-c", summary["run"]], cwd=tmp_path, env=environment).returncode == 0
    assert out.read_text().splitlines() == [
        "```",
        *reproduce.table(rows).splitlines(),
        "",
        "0 of 1 as published",
        "```",
    ]


@pytest.mark.parametrize("name", ["bug.yml", "number.yml", "question.yml"])
def test_issue_forms_are_whole(name):
    form = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / name).read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= {*form}
    fields = form["body"]
    assert len({field["id"] for field in fields}) == len(fields) > 1
    for field in fields:
        assert field["type"] in {"input", "textarea", "dropdown"} and field["attributes"]["label"]
        assert ("options" in field["attributes"]) == (field["type"] == "dropdown")
    assert any(field.get("validations", {}).get("required") for field in fields)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"\bmake ([a-z-]+)", str(fields)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_ci_runs_make_test():
    script = ROOT / ".ci" / "run"
    assert "make test" in script.read_text(encoding="utf-8").splitlines()
    assert os.access(script, os.X_OK)


def test_citation_names_this_version_and_the_paper(project):
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= {*citation}
    assert citation["version"] == project["version"] == forwardecg.__version__
    (paper,) = citation["references"]
    assert paper["identifiers"][0]["value"] == "arXiv:2512.13765"
    assert [author["family-names"] for author in paper["authors"]][0] == "Ogbomo-Harmitt"


HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
TOY = """# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %%
1 + 1
"""
# hook: a file that it lets pass, and the same one spoiled, with what it says
SPOILED = {
    "ruff-check": ("src/a.py", "x = 1\n", "import os\n", "F401"),
    "ruff-format": ("src/a.py", "x = 1\n", "x=1\n", "would be reformatted"),
    "text": ("a.yml", "a: [1]\n", "a: [1\n", "does not parse"),
    "pairs": ("notebooks/99_toy.py", TOY, TOY + "\n# %%\n2 + 2\n", "not its pair"),
    "size": ("data/a.csv", "1\n", "1" * 3 * 2**20, "3.0 MiB"),
}


def test_hooks_fetch_nothing_and_name_this_environment():
    (repo,) = HOOKS["repos"]
    assert repo["repo"] == "local" and {hook["id"] for hook in repo["hooks"]} == {*SPOILED}
    for hook in repo["hooks"]:
        assert hook["language"] == "system" and hook["entry"].startswith(".venv/bin/")


@pytest.mark.parametrize("hook", HOOKS["repos"][0]["hooks"], ids=lambda hook: hook["id"])
def test_a_hook_lets_a_right_file_pass_and_stops_a_spoiled_one(hook, tmp_path):
    name, right, wrong, says = SPOILED[hook["id"]]
    assert re.search(hook.get("files", ""), name) and not re.search(HOOKS["exclude"], name)
    program, *words = hook["entry"].split()
    words = [str(ROOT / word) if word.startswith("tools/") else word for word in words]
    python = sys.executable if program.endswith("/python") else str(Path(sys.executable).with_name(Path(program).name))
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)  # the folders of the repository: what a limit holds for
    path.write_text(right)
    if hook["id"] == "pairs":
        jupytext.write(jupytext.read(path), path.with_suffix(".ipynb"))

    def run():
        command = [python, *words, name]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    assert run().returncode == 0
    path.write_text(wrong)
    stopped = run()
    assert stopped.returncode == 1 and says in stopped.stdout + stopped.stderr


@pytest.mark.parametrize("check", ["text", "size"])
def test_the_tree_passes_the_checks_of_files(check, monkeypatch):
    """The pairs of notebooks are a test of the pipeline, ruff is a command of `make test`."""
    monkeypatch.chdir(ROOT)  # names are from there on
    binary = {".png", ".safetensors", ".nc", ".zip", ".npy", ".npz", ".webp", ".woff2"}
    names = [name for name in reproduce.tracked() if not re.search(HOOKS["exclude"], name)]
    names = [name for name in names if check == "size" or Path(name).suffix not in binary]
    assert not [f"{name} {problem}" for name in names for problem in hooks.CHECKS[check](Path(name))]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("a\n", None),
        ("", None),
        ("a", "one newline"),
        ("a\n\n", "one newline"),
        ("a \nb\n", "line 1"),
        ("a\r\n", "Windows"),
        ("<<<<<<< ours\n", "merge"),
    ],
)
def test_check_of_text(content, problem, tmp_path):
    (tmp_path / "a.md").write_bytes(content.encode())
    found = [*hooks.text(tmp_path / "a.md")]
    assert found == [] if problem is None else problem in found[0]
