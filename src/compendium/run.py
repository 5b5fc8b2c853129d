"""``make run NB=03_ecg SET="dx=0.25"``: one notebook with changed parameters, as notebook and page in ``_run/``."""

import sys

from compendium.execute import NotebookError, execute
from compendium.parameters import ParameterError, from_text
from compendium.registry import BY_NAME, ROOT
from compendium.render import page


def main(name: str, changes: str) -> None:
    if name not in BY_NAME:
        raise ParameterError(f"NB={name}: there is no such notebook. There are {', '.join(BY_NAME)}")
    parameters = from_text(BY_NAME[name].source, changes)
    executed = execute(BY_NAME[name], parameters=parameters, publish=False)
    print(f"notebook  {executed.relative_to(ROOT)}\nresults   _run/stage/{name}", flush=True)
    print(f"page      {page(executed).relative_to(ROOT)}")


if __name__ == "__main__":
    try:
        main(sys.argv[1].removesuffix(".py"), sys.argv[2])
    except (NotebookError, ParameterError) as error:
        sys.exit(str(error))
