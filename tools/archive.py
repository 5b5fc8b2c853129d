"""One zip of a complete data set, ready for an archive: recipe, tissues, data card, Croissant description, license, checksums.

    make archive RECIPE=recipe.json FOLDER=sets [DATA=0] [OUT=set.zip]

With DATA=0 the zip has no arrays: they are simulated again from the recipe. The same set gives the same bytes.
"""

import argparse
import hashlib
import json
import os
import sys
from itertools import chain
from pathlib import Path
from zipfile import ZipFile, ZipInfo

import numpy as np
import pandas as pd
import xarray as xr
import yaml

from compendium.registry import ROOT
from forwardecg.contract import CONTRACT
from forwardecg.data import layout
from forwardecg.data.recipe import Recipe, read_recipe, write_recipe
from forwardecg.data.store import store_path
from forwardecg.paths import progress

CITATION, LICENSE = ROOT / "CITATION.cff", ROOT / "LICENSE-text"
LICENSE_URL = "https://creativecommons.org/licenses/by/4.0/"
ABOUT = (
    "Voltage maps of simulated two-dimensional cardiac tissue, healthy and diseased, with the diffusivity and the activation "
    "times on all cells, and the ECG of each tissue at several electrodes."
)
COLUMNS = {  # per tissue, what the page on the data contract says of them in more words
    "sim": "number of the tissue in the arrays, from 0",
    "condition": "healthy, gap_junction, fibrotic or combined",
    "texture": "of the fibrosis",
    "stimulus": "kind of the stimulus",
    "attempt": "draws before the one that was kept",
    "rejected_site": "draws without a conducting cell at the site of the stimulus",
    "rejected_activation": "draws of which the wave activated too little",
    "rejected_reentry": "draws of which the re-entry did not last",
    "mild": "sparse fibrosis that is not interstitial",
    "activated": "share of the conducting cells that the wave reached",
    "fibrosis_density": "share of fibrotic cells",
    "gj_scale": "factor of gap-junction remodeling",
    "D0": "diffusivity of the healthy tissue, mm2 ms-1",
    "last_activation": "end of the activation, first beat, ms",
    "last_recovery": "end of the recovery, first beat, ms",
    "apd": "median duration of the first beat, ms",
    "rest_time": "time from which on the sheet was at rest, ms",
    "digest": "CRC-32 of the tissue's number and all its values as they are stored",
}
KINDS = {"object": "sc:Text", "str": "sc:Text", "bool": "sc:Boolean", "float64": "sc:Float"}  # others: sc:Integer
CONTEXT = {  # of Croissant 1.0, word for word
    "@language": "en", "@vocab": "https://schema.org/", "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/", "dct": "http://purl.org/dc/terms/", "sc": "https://schema.org/",
    "data": {"@id": "cr:data", "@type": "@json"}, "examples": {"@id": "cr:examples", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"}, "conformsTo": "dct:conformsTo",
    **{word: f"cr:{word}" for word in (
        "citeAs", "column", "equivalentProperty", "extract", "field", "fileProperty", "fileObject", "fileSet", "format",
        "includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet", "references", "regex",
        "repeated", "replace", "samplingRate", "separator", "source", "subField", "transform",
    )},
}  # fmt: skip
CARD = """# {title}

{about}

**Purpose.** Research on methods that compute ECGs from cardiac voltage. The tissue is simulated and flat; nothing in this set is a
statement about a patient.

## Variables

| variable | dims | size | unit | type | meaning |
|---|---|---|---|---|---|
{variables}

The dim `sim` counts the tissues. `y, x` are the cells of the solver, `y_map, x_map` the pixels of the maps, each the mean of
{pool} x {pool} cells; a cell has a side of {dx:g} mm, rows run upward. `time` counts maps and `time_ecg` samples of the ECG. The Zarr store holds
`V_m` as u = (V_m + 85 mV) / 100 mV in half precision, with the attributes by which CF readers give back mV. The ECG lacks the constant
that its attributes name.

## Tissues

`tissues.csv` has one row a tissue:

{columns}

| condition | texture | tissues |
|---|---|---|
{counts}

`recipe.json` holds every number that the tissues were drawn and simulated with; its fields are those of `forwardecg.Recipe`.

## How it was made

forwardecg {version}, code {code}, {made_with}. `CITATION.cff` says how to cite it.

## Files

{files}

`sha256sum -c SHA256SUMS` checks the files. License: CC BY 4.0, see `LICENSE`.
"""
WITH_DATA = """- `{store}`: the arrays, one chunk a tissue, as Zarr 3. With this package, in the unpacked folder:
  `load_or_simulate(read_recipe("recipe.json"), folder=".")`. Without it:
  `xarray.open_zarr("{store}", consolidated=False)`; words are then codes that their attribute `flag_meanings` explains."""
NO_DATA = """- The arrays are not in this archive. `python -m forwardecg.data --recipe recipe.json --folder .` simulates them. On the same kind of
  processor each tissue has the `digest` that `tissues.csv` lists; on another one the last digits may differ."""
OTHERS = """- `recipe.json`, `tissues.csv`: see above
- `croissant.json`: this description for programs, as Croissant 1.0"""


def read_tissues(location: Path | str) -> pd.DataFrame:
    """One row a tissue: what was drawn, what came of it, and its digest."""
    ds = layout.open_store(location)
    table = pd.DataFrame({name: ds[name].values for name in layout.TISSUE_COLUMNS}).rename_axis("sim").reset_index()
    return table.assign(digest=np.asarray(layout.open_arrays(location)[layout.DIGEST][:]))[[*COLUMNS]]


def list_variables(ds: xr.Dataset) -> list[dict[str, str]]:
    """Name, dims, sizes, unit, type and meaning of each array of the contract in the set, as text."""
    found = []
    for name in (name for name in CONTRACT if name in ds.variables):
        array = ds[name]
        kind = layout.KINDS.get(name, str(array.dtype))
        sizes = " x ".join(map(str, array.shape))
        entry = {"name": name, "dims": ", ".join(map(str, array.dims)), "size": sizes, "unit": array.attrs["units"]}
        found.append(entry | {"type": kind, "meaning": array.attrs["long_name"]})
    return found


def write_card(recipe: Recipe, ds: xr.Dataset, tissues: pd.DataFrame, data: bool) -> str:
    """The data card, as Markdown."""
    counts = tissues.groupby(["condition", "texture"]).size().reset_index(name="tissues").to_numpy().tolist()
    return CARD.format(
        title=ds.attrs["title"], about=ABOUT, pool=recipe.pool, dx=recipe.dx, version=ds.attrs["forwardecg"],
        code=ds.attrs["code"], made_with=ds.attrs["made_with"],
        variables="\n".join(f"| {' | '.join(one.values())} |" for one in list_variables(ds)),
        columns="\n".join(f"- `{name}`: {words}" for name, words in COLUMNS.items()),
        counts="\n".join(f"| {' | '.join(map(str, row))} |" for row in counts),
        files=(WITH_DATA.format(store=ds.attrs["store"]) if data else NO_DATA) + "\n" + OTHERS,
    )  # fmt: skip


def describe(ds: xr.Dataset, tissues: pd.DataFrame, files: dict[str, bytes], data: bool) -> dict:
    """The set as Croissant 1.0: its files, the variables of the contract as records, and the tissues as records."""
    citation = yaml.safe_load(CITATION.read_text(encoding="utf-8"))
    distribution = [
        {
            "@type": "cr:FileObject", "@id": name, "name": name, "contentUrl": name, "encodingFormat": encoding,
            "contentSize": f"{len(files[name])} B", "sha256": hashlib.sha256(files[name]).hexdigest(),
        }
        for name, encoding in (("recipe.json", "application/json"), ("tissues.csv", "text/csv"))
    ]  # fmt: skip
    if data:
        distribution.append({
            "@type": "cr:FileSet", "@id": ds.attrs["store"], "name": ds.attrs["store"], "includes": f"{ds.attrs['store']}/**",
            "encodingFormat": "application/vnd.zarr; version=3", "description": "all arrays, one chunk a tissue",
        })  # fmt: skip
    variables = list_variables(ds)
    named = [
        {"@type": "cr:Field", "@id": f"variables/{name}", "name": name, "dataType": "sc:Text"} for name in variables[0]
    ]
    columns = [
        {
            "@type": "cr:Field", "@id": f"tissues/{name}", "name": name, "description": words,
            "dataType": KINDS.get(str(tissues[name].dtype), "sc:Integer"),
            "source": {"fileObject": {"@id": "tissues.csv"}, "extract": {"column": name}},
        }
        for name, words in COLUMNS.items()
    ]  # fmt: skip
    inline = [{f"variables/{name}": text for name, text in one.items()} for one in variables]
    records = [
        {
            "@type": "cr:RecordSet", "@id": "variables", "name": "variables", "key": {"@id": "variables/name"},
            "description": "names, dims and units of the arrays", "field": named, "data": inline,
        },
        {
            "@type": "cr:RecordSet", "@id": "tissues", "name": "tissues", "key": {"@id": "tissues/sim"},
            "description": "one record a tissue: what was drawn and what came of it", "field": columns,
        },
    ]  # fmt: skip
    return {
        "@context": CONTEXT, "@type": "sc:Dataset", "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": ds.attrs["store"].removesuffix(".zarr"), "description": f"{ds.attrs['title']}. {ABOUT}",
        "license": LICENSE_URL, "version": ds.attrs["forwardecg"], "datePublished": str(citation["date-released"]),
        "creator": [{"@type": "sc:Organization", "name": author["name"]} for author in citation["authors"]],
        "citeAs": f"{citation['title']}, version {citation['version']}", "isLiveDataset": False,
        "distribution": distribution, "recordSet": records,
    }  # fmt: skip


def write_archive(recipe: Recipe, target: Path, folder: Path | str | None = None, data: bool = True) -> None:
    """Write the zip of a data set in one move; ValueError if the set is not complete, and nothing is written then."""
    location = store_path(recipe, folder)
    fs, root = layout.place_of(location)
    there = {name for name in layout.list_files(location) if not name.endswith(".partial")}
    absent = [*layout.missing_tissues(location, recipe.n_sim, True)] if there else [*range(recipe.n_sim)]
    if absent:
        lacks = f"{len(absent)} of {recipe.n_sim} tissues are missing or damaged, the first is {absent[0]}"
        raise ValueError(f"expected a complete data set in {location}, but {lacks}: python -m forwardecg.data mends it")
    ds, tissues = layout.open_store(location), read_tissues(location)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    try:
        write_recipe(recipe, part)
        files = {"recipe.json": part.read_bytes(), "tissues.csv": tissues.to_csv(index=False).encode()}
        files["croissant.json"] = (json.dumps(describe(ds, tissues, files, data), indent=1) + "\n").encode()
        files["README.md"] = write_card(recipe, ds, tissues, data).encode()
        files |= {"LICENSE": LICENSE.read_bytes(), "CITATION.cff": CITATION.read_bytes()}
        sums = ""
        with ZipFile(part, "w") as out:  # as they are: chunks are compressed
            arrays = ((f"{ds.attrs['store']}/{name}", fs.cat_file(f"{root}/{name}")) for name in sorted(there))
            for name, content in chain(files.items(), arrays if data else ()):
                sums += f"{hashlib.sha256(content).hexdigest()}  {name}\n"
                _add(out, name, content)
            _add(out, "SHA256SUMS", sums.encode())
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def _add(out: ZipFile, name: str, content: bytes) -> None:
    """A file of 1980, so that the same set gives the same bytes."""
    entry = ZipInfo(name)
    entry.create_system, entry.external_attr = 3, 0o644 << 16
    out.writestr(entry, content)


def main() -> None:
    parser = argparse.ArgumentParser("make archive", description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--folder", help="where data sets are kept; otherwise the cache of the package")
    parser.add_argument("--no-data", action="store_true", help="without the arrays")
    parser.add_argument("--out", type=Path, help="otherwise _build/NAME.zip")
    given = parser.parse_args()
    try:
        recipe = read_recipe(given.recipe)
        name = str(store_path(recipe)).rpartition("/")[2].removesuffix(".zarr")
        target = given.out or ROOT / "_build" / f"{name}.zip"
        write_archive(recipe, target, given.folder, not given.no_data)
    except (ValueError, OSError) as error:
        sys.exit(f"make archive: {error}")
    progress(f"{target}: {target.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
