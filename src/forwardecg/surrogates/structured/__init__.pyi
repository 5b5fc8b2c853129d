from .data import MapSet as MapSet
from .data import View as View
from .fronts import fronts as fronts
from .model import Conductivity as Conductivity
from .model import Structured as Structured
from .model import StructuredConfig as StructuredConfig
from .task import StructuredLoss as StructuredLoss
from .task import StructuredTask as StructuredTask
