"""Stores of losses: a Zarr group that a recording appends to, and that anything can read."""

from ltc.store.arrays import write_store
from ltc.store.commits import Commit
from ltc.store.opening import open_store
from ltc.store.reading import Store
from ltc.store.verification import Verification

__all__ = ["Commit", "Store", "Verification", "open_store", "write_store"]
