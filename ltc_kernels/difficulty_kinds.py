"""Scores of difficulty by name: what each is made of, and how much it needs."""

from typing import Final

KINDS: Final = (
    "cumulative-loss",
    "mean-loss",
    "final-loss",
    "least-loss",
    "confidence",
    "variability",
    "dyn-unc",
    "dual",
    "forgetting-least",
    "forgetting-most",
)

# Positions in `KINDS`: rows of what the kernels write.
CUMULATIVE: Final = 0
MEAN: Final = 1
FINAL: Final = 2
LEAST: Final = 3
CONFIDENCE: Final = 4
VARIABILITY: Final = 5
DYN_UNC: Final = 6
DUAL: Final = 7
FORGETTING_LEAST: Final = 8
FORGETTING_MOST: Final = 9

OF_LOSSES: Final = KINDS[: LEAST + 1]
"""Those that any loss has; the others are of p = exp(-loss)."""
WINDOWED: Final = ("dyn-unc", "dual")
FORGETTING: Final = ("forgetting-least", "forgetting-most")


def fewest_values(kind: str, window: int) -> int:
    """Return how many losses of a sample `kind` needs."""
    if kind in WINDOWED:
        return window
    return 2 if kind in ("variability", *FORGETTING) else 1
