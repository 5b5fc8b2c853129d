from .predict import Surrogate as Surrogate
from .predict import load_surrogate as load_surrogate
from .train import fit as fit
from .train import initialize as initialize
from .train import load_or_fit as load_or_fit
from .weights import load_models as load_models
from .weights import read_card as read_card
from .weights import save_models as save_models
