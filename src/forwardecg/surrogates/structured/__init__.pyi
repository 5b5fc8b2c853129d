from .data import MapSet as MapSet
from .fronts import read_fronts as read_fronts
from .model import Structured as Structured
