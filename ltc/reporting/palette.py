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
    "DASHES",
    "DENSITY",
    "DIVERGING",
    "GREEN",
    "GREY",
    "GRID",
    "HUES",
    "MARKERS",
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

# Of several lines.
HUES: Final = (BLUE, ORANGE, GREEN, PURPLE, ROSE, GREY)
DASHES: Final = ("solid", "dashed", "dotted", "dashdot", "solid", "dashed")
# Marks of strategies, and what they look like as a path of ten pixels.
MARKERS: Final = {
    "circle": "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0",
    "square": "M-4-4h8v8h-8z",
    "triangle": "M0-5l5 8h-10z",
    "diamond": "M0-5.5l3.7 5.5l-3.7 5.5l-3.7-5.5z",
    "inverted_triangle": "M0 5l5-8h-10z",
    "plus": "M-1.5-5h3v3.5h3.5v3h-3.5v3.5h-3v-3.5h-3.5v-3h3.5z",
}
