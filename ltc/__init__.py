"""Loss Trajectory Correlation: which training data matters, from per-sample losses alone.

Record losses during training (`Recorder`, or `write_store` from arrays), score every training
sample by how its loss moves with the validation loss (`score`), and select a coreset
(`Scores.select`).

Papers: arXiv 2503.09721 (LTC) and arXiv 2508.20230 (CLD, on loss differences).
"""

from ltc.block_selection import select
from ltc.clustering import clusters
from ltc.dataset import IndexedDataset
from ltc.difficulty import difficulty
from ltc.errors import LtcError
from ltc.importers import import_losses
from ltc.online import OnlineScorer
from ltc.pairs import Neighbors, correlation, neighbors
from ltc.recorder import Recorder
from ltc.reporting import report
from ltc.saved_models import record_checkpoints
from ltc.scores import Scores, load_scores
from ltc.scoring import score
from ltc.selection import Coreset, CoresetBlocks
from ltc.stability import Stability, stability
from ltc.store import Store, open_store
from ltc.store.arrays import write_store
from ltc.validation import ValidationQuality, validation_quality

__all__ = [
    "Coreset",
    "CoresetBlocks",
    "IndexedDataset",
    "LtcError",
    "Neighbors",
    "OnlineScorer",
    "Recorder",
    "Scores",
    "Stability",
    "Store",
    "ValidationQuality",
    "clusters",
    "correlation",
    "difficulty",
    "import_losses",
    "load_scores",
    "neighbors",
    "open_store",
    "record_checkpoints",
    "report",
    "score",
    "select",
    "stability",
    "validation_quality",
    "write_store",
]
