"""Others' packages, imported when they are needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ltc.errors import MissingExtraError


def package(name: str, what: str) -> Any:
    """Import a module of a package that `ltc` doesn't depend on.

    Parameters
    ----------
    name : str
        The module.
    what : str
        What needs it, for the error.

    Raises
    ------
    MissingExtraError
        It is not installed.

    Examples
    --------
    >>> package("nonesuch.io", "an example")
    Traceback (most recent call last):
    ...
    ltc.errors.MissingExtraError: an example needs nonesuch: pip install nonesuch
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        distribution = name.partition(".")[0]
        raise MissingExtraError(
            f"{what} needs {distribution}: pip install {distribution}"
        ) from error
