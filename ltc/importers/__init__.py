"""Stores from losses that something else has recorded; one module for each kind of source."""

from ltc.importers.losses import import_losses

__all__ = ["import_losses"]
