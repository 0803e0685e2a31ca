"""The one comparison of results with their definition, and the one table of tolerances."""

import numpy as np

# Worst element and root mean square against float64 on the same stored values, by backend. The
# contract allows 1e-5 and 2e-6 everywhere; a backend that centres before it squares has no reason
# to come near that.
TOLERANCES = {
    "contract": (1e-5, 2e-6),  # every backend, every case
    "cpu": (
        3e-6,
        5e-7,
    ),  # float32 sums of centred values: some units in the last place of the result
    "gpu": (3e-6, 5e-7),  # the same, centred block by block
}


def assert_scores_close(actual, expected, *, backend="contract", what=""):
    """Fail unless NaNs agree and both limits hold; the message names the worst element."""
    actual, expected = np.asarray(actual, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    if actual.shape != expected.shape:
        raise AssertionError(f"{what} shapes differ: {actual.shape} and {expected.shape}")
    undefined = np.isnan(actual) != np.isnan(expected)
    if undefined.any():
        place = np.unravel_index(np.argmax(undefined), actual.shape)
        raise AssertionError(
            f"{what} {undefined.sum()} of {actual.size} are undefined on one side only, "
            f"first at {place}: {actual[place]} and {expected[place]}"
        )
    error = np.nan_to_num(np.abs(actual - expected), nan=0.0)
    if not error.size:
        return
    worst, rms = TOLERANCES[backend]
    place = np.unravel_index(np.argmax(error), error.shape)
    reached = float(np.sqrt(np.mean(np.square(error))))
    if error[place] > worst or reached > rms:
        raise AssertionError(
            f"{what} worst {error[place]:.3g} (limit {worst:g}) at {place}: {actual[place]} and "
            f"{expected[place]}; root mean square {reached:.3g} (limit {rms:g})"
        )
