"""Execute one notebook: convert, execute, check, normalize, publish.

Nothing is published before the notebook has finished and passed its checks: it runs in ``_run/`` and writes its
results to a stage there (see ``forwardecg.paths``).
"""

import argparse
import contextlib
import functools
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest import mock

import filelock
import nbformat
import papermill
from jupytext.compare import NotebookDifference, compare_notebooks
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import strip_color

from compendium.normalize import normalize, read_source
from compendium.parameters import check
from compendium.record import write_json
from compendium.registry import NOTEBOOKS, ROOT, Notebook

SECONDS = "seconds.json"


class NotebookError(Exception):
    """A notebook that was not published, with what a reader needs to go on."""


def execute(
    notebook: Notebook,
    *,
    home: Path = ROOT,
    parameters: Mapping[str, Any] | None = None,
    say: Callable[[str], object] = print,
    publish: bool = True,
    lock: bool = True,
) -> Path:
    """Execute a notebook and publish it with its results; return the path of the executed notebook.

    Args:
        notebook: which.
        home: folder that holds ``data/`` and ``notebooks/`` to publish to and ``_run/`` to work in.
        parameters: changed ones; a notebook that ran with any is not the pair of its source.
        say: takes the lines of progress.
        publish: False leaves notebook and results in ``_run/``.
        lock: False in a process that one started which holds the lock of ``_run/`` itself.

    Raises:
        NotebookError: It failed, or must not be published.
    """
    __tracebackhide__ = True
    run = home / "_run"
    changed = check(notebook.source, parameters or {})
    copy, listener = run / f"{notebook.name}.ipynb", run / f"{notebook.name}.txt"
    stage = run / "stage" / notebook.name
    if lock:
        hold_lock(run)
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir(parents=True)
    copy.unlink(missing_ok=True)
    start = time.monotonic()
    with mock.patch.dict(os.environ, _environment(home, stage, listener)), _progress(listener, say):
        try:
            executed = papermill.execute_notebook(
                read_source(notebook.source),
                copy,
                changed,
                kernel_name="python3",
                cwd=stage,  # a file written beside the results shows up in the check
                progress_bar=False,
                coalesce_streams=True,  # else how a text is cut into outputs depends on timing
                extra_arguments=["--IPKernelApp.log_level=CRITICAL"],
            )
        except papermill.PapermillExecutionError as error:
            raise NotebookError(_failure(notebook, copy, error, changed=bool(changed))) from None
        except DeadKernelError as error:
            raise NotebookError(f"{notebook.name}: {error} (out of memory?). Nothing was published.") from None
    executed = normalize(executed, ROOT)
    nbformat.write(executed, copy)
    _check(notebook, executed, stage, paired=not changed)
    if publish:
        _publish(stage, home / "data")
        copy = _move(copy, home / "notebooks" / copy.name)
    say(f"{notebook.name}: {'published' if publish else 'done'} after {time.monotonic() - start:.0f} s")
    return copy


@functools.cache
def hold_lock(run: Path) -> filelock.FileLock:
    """Keep any other run out of ``run`` until this process ends."""
    __tracebackhide__ = True
    run.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(run / ".lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise NotebookError("another run is at work in this folder: wait for it, or stop it, and repeat") from None
    return lock


def _environment(home: Path, stage: Path, listener: Path) -> dict[str, str]:
    """What the kernel inherits: this very Python, this tree's package, and where to read and write."""
    return {
        "FORWARDECG_DATA": str(home / "data"),
        "FORWARDECG_STAGE": str(stage),
        "FORWARDECG_PROGRESS": str(listener),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH")])),
        # this environment's own kernel, whatever "python3" the user has registered
        "JUPYTER_PATH": str(Path(sys.prefix, "share", "jupyter")),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


@contextlib.contextmanager
def _progress(listener: Path, say: Callable[[str], object]) -> Iterator[None]:
    """Show the lines that the notebook appends to ``listener``, while it runs."""
    listener.write_text("", encoding="utf-8")
    done = threading.Event()

    def follow() -> None:
        with listener.open(encoding="utf-8") as lines:
            while True:
                last = done.wait(0.5)
                for line in lines:
                    say(f"{listener.stem}  {line.rstrip()}")
                if last:
                    return

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _check(notebook: Notebook, executed: nbformat.NotebookNode, stage: Path, paired: bool) -> None:
    """Refuse what must not be published."""
    __tracebackhide__ = True
    written = {path.relative_to(stage).as_posix() for path in stage.rglob("*") if path.is_file()}
    problems = [f"it wrote {name}, which its header does not declare" for name in written - {*notebook.results}]
    problems += [f"it did not write {name}, which its header declares" for name in {*notebook.results} - written]
    problems += [f"it wrote an empty {name}" for name in written if not (stage / name).stat().st_size]
    if any(output.output_type == "error" for cell in executed.cells for output in cell.get("outputs", [])):
        problems.append("it holds an error output")
    if paired:
        try:
            compare_notebooks(executed, read_source(notebook.source), fmt="py:percent")
        except NotebookDifference as error:
            problems.append(f"it is not the pair of its source: {error}")
    if problems:
        raise NotebookError("\n  ".join([f"{notebook.name} ran, but nothing was published:", *sorted(problems)]))


def _publish(stage: Path, data: Path) -> None:
    for path in sorted(stage.rglob("*")):
        if path.is_file():
            _move(path, data / path.relative_to(stage))


def _move(source: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(source, target)
    return target


def _failure(notebook: Notebook, copy: Path, error: papermill.PapermillExecutionError, changed: bool) -> str:
    """Where it failed, with what, and how to go on."""
    first_line = next(line for line in error.source.splitlines() if line.strip())
    frames = [strip_color(frame).strip() for frame in error.traceback]
    source = f"notebooks/{notebook.name}.py"
    return "\n".join(
        [
            f"{notebook.name} failed in code cell {error.exec_count}: {first_line}",
            f"{error.ename}: {error.evalue}",
            *frames[:-1][-2:],  # the last one repeats the error
            f"Nothing was published. The notebook as far as it got: {_short(copy)}",
            f"Choose other values, or read in {source} what the cell claims."
            if changed
            else f"Mend {source} or what it imports, then repeat the command.",
        ]
    )


def _short(path: Path) -> Path:
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def resting_on(notebooks: Sequence[Notebook]) -> dict[str, set[str]]:
    """By name, all the notebooks that need results of one, directly or through others; they come in an order of execution."""
    found: dict[str, set[str]] = {}
    for one in reversed(notebooks):
        direct = [other.name for other in notebooks if {*one.results} & {*other.needs}]
        found[one.name] = set(direct).union(*(found[name] for name in direct))
    return found


def _timed(notebook: Notebook, parameters: Mapping[str, Any] | None, lock: bool = False) -> float:
    """`execute` in a process of its own, whose parent holds the lock, or in this one; seconds."""
    start = time.monotonic()
    execute(notebook, parameters=parameters, lock=lock)
    return time.monotonic() - start


def _at_once(notebook: Notebook, parameters: Mapping[str, Any] | None) -> Future:
    """`_timed` in this process, as a future that is done."""
    done: Future = Future()
    try:
        done.set_result(_timed(notebook, parameters, lock=True))
    except NotebookError as error:
        done.set_exception(error)
    return done


def main(names: list[str], changes: Mapping[str, Mapping[str, Any]], jobs: int = 1) -> None:
    """Execute every notebook of this tree in order, or those that are named; ``_run/seconds.json`` says how long each took.

    With more than one job they run side by side, those first that most others need. One that fails stops only those that
    need its results.

    Raises:
        NotebookError: At the end, if one failed.
    """
    seconds: dict[str, float] = {}
    failures: list[str] = []
    lost: set[str] = set()  # results
    waiting, running = [one for one in NOTEBOOKS if not names or one.name in names], dict[Future, Notebook]()
    if jobs > 1:
        hold_lock(ROOT / "_run")
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # of each process
        after = resting_on(waiting)
        waiting.sort(key=lambda one: -len(after[one.name]))
    with ProcessPoolExecutor(jobs, get_context("spawn"), max_tasks_per_child=1) as pool:  # it starts none before a task
        while waiting or running:
            unmade = {result for one in (*waiting, *running.values()) for result in one.results}
            for one in [one for one in waiting if not unmade & {*one.needs}][: jobs - len(running)]:
                waiting.remove(one)
                if missing := sorted(lost & {*one.needs}):
                    failures.append(f"{one.name} was not executed: it needs {', '.join(missing)}")
                    lost |= {*one.results}
                    print(f"{one.name}: failed; the others go on", flush=True)
                    continue
                parameters = changes.get(one.name)
                future = pool.submit(_timed, one, parameters) if jobs > 1 else _at_once(one, parameters)
                running[future] = one
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                one = running.pop(future)
                try:
                    seconds[one.name] = future.result()
                    write_json(ROOT / "_run" / SECONDS, seconds)
                except NotebookError as error:
                    failures.append(str(error))
                    lost |= {*one.results}
                    print(f"{one.name}: failed; the others go on", flush=True)
    if failures:
        raise NotebookError("\n\n".join(failures))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="notebooks, all without any")
    parser.add_argument(
        "--changes", type=json.loads, default={}, help='changed parameters, as {"03_ecg": {"dx": 0.25}}'
    )
    parser.add_argument("--jobs", type=int, default=1, help="notebooks side by side")
    arguments = parser.parse_args()
    try:
        main(arguments.names, arguments.changes, arguments.jobs)
    except NotebookError as error:
        sys.exit(str(error))
