"""The colours of a report, each for a light and for a dark page.

The hues are close to those of Okabe and Ito, which stay apart for the colour-blind; whatever a
colour says, a dash pattern or a table says too. Each is at least 3 to 1 against its background, and
text at least 7 to 1.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "BLUE",
    "COLOURS",
    "DENSITY",
    "DIVERGING",
    "GREEN",
    "GREY",
    "GRID",
    "ORANGE",
    "PURPLE",
    "ROSE",
]

TEXT: Final = "#30343b"
AXIS: Final = "#868c96"
GRID: Final = "#e3e6ea"
GREY: Final = "#6a717d"
BLUE: Final = "#0072b2"
ORANGE: Final = "#c4530a"
GREEN: Final = "#007a5c"
PURPLE: Final = "#8b55a6"
ROSE: Final = "#b3366b"

# name: on a light page, on a dark one
COLOURS: Final = {
    "page": ("#ffffff", "#16181d"),
    "panel": ("#f5f6f8", "#1f2229"),
    "text": (TEXT, "#d8dce3"),
    "axis": (AXIS, "#808793"),
    "grid": (GRID, "#30343d"),
    "grey": (GREY, "#a4abb7"),
    "blue": (BLUE, "#4fabe3"),
    "orange": (ORANGE, "#f2924d"),
    "green": (GREEN, "#38c29e"),
    "purple": (PURPLE, "#c99fe2"),
    "rose": (ROSE, "#f083ae"),
}

# Few to many; a dark page takes it the other way round.
DENSITY: Final = (
    "#d5e4f1",
    "#b3cfe6",
    "#8bb6da",
    "#5f9bcc",
    "#3a7fbb",
    "#2064a4",
    "#134b85",
    "#0b3462",
)
# Conflicting to aligned.
DIVERGING: Final = ("#b84a00", "#d97b3a", "#e5b08a", "#a9adb3", "#8fb8d6", "#4795c9", "#0068a3")
