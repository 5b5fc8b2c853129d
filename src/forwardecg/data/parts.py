"""One part of a data set, for one node of a cluster: nodes share a folder, and nothing else tells them of each other.

No tissue is in two parts. They wait for each other where the empty store is made and where its time is noted, nowhere else.
"""

from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path

from threadpoolctl import threadpool_limits

from forwardecg.contract import count, instance
from forwardecg.data import layout
from forwardecg.data.recipe import Recipe
from forwardecg.data.store import check_folder, check_recipe, check_workers, fill_store, load_or_simulate, store_path
from forwardecg.paths import progress


def tissues_of(n_sim: int, part: int, parts: int) -> range:
    """The tissues of one part: neighbors, so that each part has every condition in its share."""
    parts = count("parts", parts, 1, n_sim)
    part = count("part", part, 1, parts)
    return range(n_sim * (part - 1) // parts, n_sim * part // parts)


def simulate_part(
    recipe: Recipe, part: int, parts: int, executor: Executor | None = None, *, folder: Path | str | None = None
) -> int:
    """Simulate what is missing or damaged of one part of a data set; the part that ends last reads the whole set.

    Args:
        recipe, executor, folder: as `load_or_simulate` takes them, but a folder on a disk alone: a URL has no locks.
        part, parts: which one, from 1; of how many, at most one a tissue.

    Returns:
        How many tissues of the whole set are still missing.

    Raises:
        ValueError: The recipe cannot be simulated, or there is no such part; nothing is written then.
        OSError, RuntimeError: The disk is full, or a worker died. What is finished is kept, and the next call goes on.
    """
    own = tissues_of(instance("recipe", recipe, Recipe).n_sim, part, parts)
    location = store_path(recipe, folder)
    if isinstance(location, str):
        raise ValueError(f"folder: expected a folder of a file system that all nodes share, got {location}")
    check_workers(executor)
    check_folder(location)
    empty = layout.skeleton(recipe)
    if not layout.list_files(location):
        check_recipe(recipe)
    layout.restore(location, empty)
    there, arrays = layout.list_files(location), layout.open_arrays(location)
    missing = [sim for sim in own if not layout.is_finished(arrays, sim, there, True)]
    progress(f"data set: part {part} of {parts}, tissues {own[0]} to {own[-1]} of {recipe.n_sim}")
    if missing:
        with threadpool_limits(1):
            # its lines of progress count the tissues of the recipe, and what is drawn does not depend on their number
            fill_store(location, replace(recipe, n_sim=len(own)), missing, executor)
    if absent := len(layout.missing_tissues(location, recipe.n_sim, False)):
        progress(f"data set: part {part} of {parts} is finished; {absent} tissues of the other parts are not")
    else:
        load_or_simulate(recipe, executor, folder=folder)  # reads all, and mends what is damaged
        progress(f"data set: complete, {recipe.n_sim} tissues were read and have the right checksums")
    return absent
