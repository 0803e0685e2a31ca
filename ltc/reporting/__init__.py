"""A report to look at: one HTML file about a run, its scores and single samples of it.

`report` gathers what the rest of the package computes, draws it with Bokeh, and writes one file
that needs no network. Whatever comes from outside, ids and names of classes, is text in it.
"""

from ltc.reporting.building import report

__all__ = ["report"]
