from .predict import Surrogate as Surrogate
from .predict import load_surrogate as load_surrogate
from .train import TrainConfig as TrainConfig
from .train import fit as fit
from .train import load_or_fit as load_or_fit
from .train import seeded as seeded
from .weights import load_models as load_models
from .weights import save_models as save_models
