"""Selecting a coreset by scores."""

from ltc.selection.blocks import CoresetBlocks
from ltc.selection.coreset import Coreset

__all__ = ["Coreset", "CoresetBlocks"]
