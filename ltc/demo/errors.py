"""What can be missing when the demonstration starts."""

from importlib.util import find_spec

from ltc.errors import LtcError, MissingExtraError

__all__ = ["DatasetFormatError", "DatasetNotFoundError", "MissingExtraError", "require_extra"]

_EXTRA = {"matplotlib": "matplotlib", "sklearn": "scikit-learn"}


class DatasetNotFoundError(LtcError, FileNotFoundError):
    """The files of a data set are not where they were looked for."""


class DatasetFormatError(LtcError, ValueError):
    """A file of a data set is not what its name says."""


def require_extra() -> None:
    """Check that the packages of the extra ``demo`` are there, without importing them.

    Raises
    ------
    MissingExtraError
        At least one is not installed.
    """
    missing = [name for module, name in _EXTRA.items() if find_spec(module) is None]
    if missing:
        raise MissingExtraError(f"the demo needs {' and '.join(missing)}: pip install 'ltc[demo]'")
