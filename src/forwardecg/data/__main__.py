"""A data set from the command line, or one part of it on one node of a cluster.

python -m forwardecg.data --recipe recipe.json --part 3/16 --folder sets
"""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

from forwardecg.data.parts import simulate_part
from forwardecg.data.recipe import read_recipe
from forwardecg.data.store import load_or_simulate, store_path

ABOUT = "Simulate the data set of a recipe, or one part of it, with one process for each core that this job may use."
MORE = """
What is finished stays, so the same command goes on where a run was stopped or killed. Parts may run at the same time
and in any order, in one folder of a file system that all nodes share. The part that ends last reads the whole set and
checks it, as a call without --part does. Lines of progress go to stderr; the folder of a complete set goes to stdout.

exit code: 0 it is finished; 1 it was stopped by an error on the way; 2 the arguments are wrong; 130 by Ctrl-C
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit code."""
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m forwardecg.data", None, ABOUT, MORE, formatter_class=as_written)
    parser.add_argument("--recipe", required=True, metavar="FILE", help="json file that write_recipe wrote")
    parser.add_argument("--part", metavar="I/N", help="the I-th of N parts, I from 1, N at most one part a tissue")
    parser.add_argument("--folder", metavar="DIR", help="where data sets are kept; otherwise the cache of the package")
    given = parser.parse_args(arguments)
    try:
        with _output_to_stderr():
            recipe = read_recipe(given.recipe)
            if given.part is None:
                load_or_simulate(recipe, folder=given.folder)
            elif simulate_part(recipe, *_read_part(given.part), folder=given.folder):
                return 0
        print(store_path(recipe, given.folder))
        return 0
    except ValueError as error:
        code, why = 2, str(error)
    except (OSError, ArithmeticError, RuntimeError) as error:
        code, why = 1, f"{error}. What is finished is kept; the same command goes on from there"
    except KeyboardInterrupt as error:
        code, why = 130, str(error) or "stopped. What is finished is kept; the same command goes on from there"
    print(f"{parser.prog}: {why}", file=sys.stderr)
    return code


@contextmanager
def _output_to_stderr() -> Iterator[None]:
    """Lines of progress, also those of worker processes, which inherit the descriptor, go to stderr meanwhile."""
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _read_part(text: str) -> tuple[int, int]:
    """Which part, of how many; ValueError for other text than 3/16."""
    part, _, parts = text.partition("/")
    if not (part.isdecimal() and parts.isdecimal()):
        raise ValueError(f"part: expected I/N, such as 3/16, got {text!r}")
    return int(part), int(parts)


if __name__ == "__main__":
    sys.exit(main())
