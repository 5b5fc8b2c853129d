"""From cardiac voltage to the ECG: simulate tissue, compute its pseudo-ECG, learn the map between them.

Nothing is re-exported here: import from the module that holds the mathematics, for example
``from forwardecg.solver import simulate``. Units everywhere: mm, ms, mm^2/ms; array order (time, y, x).
"""

__version__ = "0.1.0"
