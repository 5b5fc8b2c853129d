from .data import Sequences as Sequences
from .losses import hybrid as hybrid
from .losses import spectral_entropy as spectral_entropy
from .model import Seq2Seq as Seq2Seq
