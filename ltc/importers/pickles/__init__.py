"""Pickles of losses, read without running anything and without holding them in memory."""

from ltc.importers.pickles.machine import read_pickle
from ltc.importers.pickles.values import Array, Listed

__all__ = ["Array", "Listed", "read_pickle"]
