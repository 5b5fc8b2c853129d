"""The files that say what to install, how to cite, and what continuous integration runs, hold together."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from shutil import copy2, which

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
    return {canonical(name): version for name, version, _ in pins()}


def pins() -> list[tuple[str, str, str]]:
    """Name, version and hashes of each package of the lock."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    return re.findall(r"^([\w.-]+)==([^\s;]+)((?: \\\n    --hash=sha256:[0-9a-f]{64})*)$", text, re.MULTILINE)


def required(project) -> set[str]:
    extras = project["optional-dependencies"]
    return {
        canonical(re.match(r"[\w.-]+", line)[0]) for line in project["dependencies"] + extras["book"] + extras["test"]
    }


def test_every_file_that_is_installed_is_known_by_its_hash():
    """PyTorch's own index and PyPI serve different builds of one version: it has none, and is installed apart."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert len(pins()) == len(re.findall(r"^[^#\s]", text, re.MULTILINE))
    assert [name for name, _, hashes in pins() if not hashes] == ["torch"]
    assert "--no-deps --require-hashes" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_the_lock_is_whole():
    """It is installed without a look at what its packages ask for: nothing that they ask for may be missing."""
    run = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout


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
def test_workflows_run_this_projects_commands(name):
    assert "permissions" in workflow(name)
    assert "Untested until" in (WORKFLOWS / name).read_text(encoding="utf-8").splitlines()[0]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for command in commands(name):
        assert subprocess.run(["bash", "-n", "-c", command]).returncode == 0, command
        for target in re.findall(r"\bmake ([a-z-]+)", command):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), command
    assert any(re.search(r"\.ci/run|make (book|reproduce)\b", command) for command in commands(name))
    for job in workflow(name)["jobs"].values():
        for step in job["steps"]:
            assert re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", step.get("uses", f"actions/checkout@{40 * '0'}"))


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
        subprocess.run(
            ["bash", "-c", command.replace("README.md", shlex.quote(str(ROOT / "README.md")))], cwd=tmp_path
        ).returncode
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
def test_issue_forms_ask_for_something_and_name_what_is_there(name):
    """That they are what GitHub takes is a hook."""
    fields = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / name).read_text(encoding="utf-8"))["body"]
    assert len({field["id"] for field in fields}) == len(fields) > 1
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
    assert citation["version"] == project["version"] == forwardecg.__version__
    (paper,) = citation["references"]
    assert paper["identifiers"][0]["value"] == "arXiv:2512.13765"
    assert [author["family-names"] for author in paper["authors"]][0] == "Ogbomo-Harmitt"


CONFIG = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
HOOKS = {hook["id"]: hook for repo in CONFIG["repos"] for hook in repo["hooks"]}
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
WORKFLOW = "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    timeout-minutes: 1\n    steps: [{run: make}]\n"
FORM = "name: a\ndescription: b\nbody:\n  - type: input\n    id: c\n    attributes: {label: d}\n"
CITATION = "cff-version: 1.2.0\nmessage: m\ntitle: t\nauthors: [{name: a}]\n"
# hook: a file that it lets pass, and the same one spoiled, with what it says
SPOILED = {
    "ruff-check": ("src/a.py", "x = 1\n", "import os\n", "F401"),
    "ruff-format": ("src/a.py", "x = 1\n", "x=1\n", "would be reformatted"),
    "trailing-whitespace": ("a.md", "a\n", "a \n", "a.md"),
    "end-of-file": ("a.md", "a\n", "a\n\n", "a.md"),
    "mixed-line-ending": ("a.md", "a\n", "a\r\n", "a.md"),
    "merge-conflict": ("a.md", "a\n", "<<<<<<< ours\n", "conflict"),
    "yaml": ("a.yml", "a: [1]\n", "a: [1\n", "while parsing"),
    "toml": ("a.toml", "a = 1\n", "a = \n", "a.toml"),
    "json": ("a.json", "{}\n", "{\n", "a.json"),
    "size": ("a.md", "1\n", "1" * 2 * 2**20, "2048 KB"),
    "size-data": ("data/a.csv", "1\n", "1" * 5 * 2**20, "5120 KB"),
    "size-runs": ("data/results/runs/a.csv", "1" * 3 * 2**20, "1" * 4 * 2**20, "4096 KB"),
    "workflows": (".github/workflows/a.yml", WORKFLOW, WORKFLOW.replace("runs-on", "runs"), "runs"),
    "timeouts": (
        ".github/workflows/a.yml",
        WORKFLOW,
        WORKFLOW.replace("    timeout-minutes: 1\n", ""),
        "timeout-minutes",
    ),
    "issue-forms": (".github/ISSUE_TEMPLATE/a.yml", FORM, FORM.replace("input", "image"), "body"),
    "citation": ("CITATION.cff", CITATION, CITATION.replace("title: t\n", ""), "title"),
    "pyproject": ("pyproject.toml", '[project]\nname = "a"\nversion = "1"\n', '[project]\nname = "a"\n', "version"),
    "pairs": ("notebooks/99_toy.py", TOY, TOY + "\n# %%\n2 + 2\n", "not its pair"),
}


def takes(hook: dict, name: str) -> bool:
    """Whether pre-commit would give a hook the file of this name, kinds of files apart."""
    left_out = hook.get("exclude", "^$")
    return bool(re.search(hook.get("files", ""), name)) and not re.search(f"{CONFIG['exclude']}|{left_out}", name)


def run_hook(hook: dict, names: list[str], folder: Path) -> subprocess.CompletedProcess:
    program, *words = hook["entry"].split()
    words = [str(ROOT / word) if word.startswith("tools/") else word for word in words]
    python = sys.executable if program.endswith("/python") else str(Path(sys.executable).with_name(Path(program).name))
    closed = os.environ | {
        name: "http://127.0.0.1:9" for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
    }
    return subprocess.run([python, *words, *names], cwd=folder, env=closed, capture_output=True, text=True)


def own_git(folder: Path) -> None:
    """Two of pre-commit-hooks ask git where they are."""
    if which("git") is None:
        pytest.skip("the hooks of a commit need git")
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)


def test_hooks_fetch_nothing_and_name_this_environment():
    assert [repo["repo"] for repo in CONFIG["repos"]] == ["local"] and {*HOOKS} == {*SPOILED}
    for hook in HOOKS.values():
        assert hook["language"] == "system" and hook["entry"].startswith(".venv/bin/")


@pytest.mark.parametrize("hook", HOOKS.values(), ids=HOOKS)
def test_a_hook_lets_a_right_file_pass_and_stops_a_spoiled_one(hook, tmp_path):
    name, right, wrong, says = SPOILED[hook["id"]]
    assert takes(hook, name)
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)  # the folders of the repository: what a limit holds for
    path.write_text(right)
    if hook["id"] == "pairs":
        jupytext.write(jupytext.read(path), path.with_suffix(".ipynb"))
    own_git(tmp_path)

    passed = run_hook(hook, [name], tmp_path)
    assert passed.returncode == 0, passed.stdout + passed.stderr
    path.write_bytes(wrong.encode())
    stopped = run_hook(hook, [name], tmp_path)
    assert stopped.returncode and says in stopped.stdout + stopped.stderr


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """A copy of the tracked files: some hooks mend what they find."""
    folder = tmp_path_factory.mktemp("tree")
    for name in reproduce.tracked_files():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        copy2(ROOT / name, folder / name)
    own_git(folder)
    return folder


@pytest.mark.parametrize(
    "hook",
    [hook for name, hook in HOOKS.items() if name not in ("ruff-check", "ruff-format", "pairs")],
    ids=lambda hook: hook["id"],
)
def test_the_tree_passes_the_checks_of_files(hook, tree):
    """The pairs of notebooks are a test of the pipeline, ruff is a command of `make test`."""
    names = [path.relative_to(tree).as_posix() for path in sorted(tree.rglob("*")) if path.is_file()]
    names = [name for name in names if takes(hook, name) and not name.startswith(".git/")]
    if "text" in hook.get("types", ()):
        names = [name for name in names if b"\0" not in (tree / name).read_bytes()[:8192]]
    done = run_hook(hook, names, tree)
    assert names and done.returncode == 0, done.stdout + done.stderr
