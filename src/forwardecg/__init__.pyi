# What `forwardecg.<name>` is, for type checkers and for the lazy loader, which imports a name when it is asked for.
# Modules of this package import from each other by file: `record.closure` follows import statements only.
from . import activation as activation
from . import cache as cache
from . import contract as contract
from . import data as data
from . import ecg as ecg
from . import inverse as inverse
from . import measure as measure
from . import paths as paths
from . import signals as signals
from . import solver as solver
from . import surrogates as surrogates
from . import tissue as tissue
from .data.igb import read_igb as read_igb
from .data.maps import export_tissue as export_tissue
from .data.maps import import_maps as import_maps
from .data.maps import load_small as load_small
from .data.recipe import Recipe as Recipe
from .data.sets import collection as collection
from .data.store import load_or_simulate as load_or_simulate
from .ecg.electrodes import Electrodes as Electrodes
from .ecg.electrodes import center_electrode as center_electrode
from .ecg.electrodes import standard_electrodes as standard_electrodes
from .ecg.leadfield import lead_field as lead_field
from .ecg.leadfield import pseudo_ecg as pseudo_ecg
from .ecg.leads import twelve_leads as twelve_leads
from .ecg.mesh import Mesh as Mesh
from .ecg.meshfiles import read_mesh as read_mesh
from .solver.simulation import simulate as simulate
from .surrogates.predict import Surrogate as Surrogate
from .surrogates.predict import load_surrogate as load_surrogate
from .tissue.sheet import Tissue as Tissue
from .tissue.sheet import fibrotic as fibrotic
from .tissue.sheet import healthy as healthy
from .tissue.sheet import with_fibers as with_fibers
from .tissue.stimulus import edge_stimulus as edge_stimulus
from .tissue.stimulus import s1_s2 as s1_s2

__version__: str
