from .data import MapSet as MapSet
from .fronts import read_fronts as read_fronts
from .model import Structured as Structured
from .model import StructuredConfig as StructuredConfig
from .task import StructuredLoss as StructuredLoss
from .task import StructuredTask as StructuredTask
