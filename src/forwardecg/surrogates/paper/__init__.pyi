from .data import Sequences as Sequences
from .losses import hybrid as hybrid
from .losses import spectral_entropy as spectral_entropy
from .model import Seq2Seq as Seq2Seq
from .model import Seq2SeqConfig as Seq2SeqConfig
from .task import Seq2SeqLoss as Seq2SeqLoss
from .task import Seq2SeqTask as Seq2SeqTask
