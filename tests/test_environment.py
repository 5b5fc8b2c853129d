"""The files that say what to install, how to cite, and what continuous integration runs, hold together."""

import os
import re
import tomllib

import pytest
import yaml
from registry import ROOT

import forwardecg

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
    pinned = dict(line.split("=") for line in listed if isinstance(line, str) and "=" in line)
    python = pinned.pop("python")
    assert pinned == {CONDA_NAMES.get(name, name): lock[name] for name in required(project)}
    assert python == project["requires-python"].removeprefix(">=")


@pytest.mark.parametrize("name", ["test.yml", "book.yml"])
def test_workflows_parse_and_run_this_projects_commands(name):
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text(encoding="utf-8"))
    assert {"name", "jobs", True} <= {*workflow}, "yaml reads the key `on` as True"
    commands = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    assert any(re.search(r"\.ci/run|make book", command) for command in commands)


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
