"""Selecting a coreset by scores."""

from ltc.selection.coreset import Coreset

__all__ = ["Coreset"]
