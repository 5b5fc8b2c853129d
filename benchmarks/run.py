"""Both benchmarks beside Finitewave, one after the other: one thread, and no compiled code from elsewhere.

Compiled code in the usual cache may be that of another numpy, and numba gives no assembly of code that it has loaded.
"""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

THREADS = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

with TemporaryDirectory(prefix="forwardecg-bench-") as data:
    environment = {**os.environ, **dict.fromkeys(THREADS, "1"), "FORWARDECG_DATA": data}
    for script in ("bench.py", "nversion.py"):
        command = [sys.executable, "-u", str(Path(__file__).parent / script), *sys.argv[1:]]
        done = subprocess.run(command, env=environment)
        if done.returncode:
            sys.exit(done.returncode)
