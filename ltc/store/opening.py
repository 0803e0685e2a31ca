"""Opening a store for reading, wherever it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ltc.errors import StoreError
from ltc.store.places import existing_header, locate
from ltc.store.reading import Store

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from zarr.abc.store import Store as ZarrStore

    from ltc.store.places import Place

__all__ = ["open_store"]


def open_store(
    path: str | os.PathLike[str] | ZarrStore | Place,
    *,
    storage_options: Mapping[str, Any] | None = None,
) -> Store:
    """Open a store for reading.

    Parameters
    ----------
    path : str, os.PathLike or zarr.abc.store.Store
        A directory on a local disk; an address that begins with ``s3://``, ``gs://`` or
        ``https://``; or any store of zarr's.
    storage_options : mapping, optional
        How to reach an address: keyword arguments of obstore's ``S3Store``, ``GCSStore`` or
        ``HTTPStore``, such as ``endpoint``, ``region``, ``access_key_id``, ``skip_signature`` or
        ``client_options``. What is not given is taken from the environment, ``AWS_ENDPOINT_URL``,
        ``AWS_ACCESS_KEY_ID``, ``GOOGLE_APPLICATION_CREDENTIALS`` and so on.

    Returns
    -------
    Store
        A view of what is committed now. Later commits are seen by opening it again.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        `path` is something else, or an address with credentials in it.
    BackendUnavailableError
        `path` is an address, and the extra ``objects`` isn't installed.
    StoreConnectionError
        An address gave no answer, or refused; so for everything that is read later.
    StoreNotFoundError
        There is no store, or none with a first commit.
    StoreFormatError
        What is there is not a store, is newer than this version reads, or is broken.
    StoreCorruptError
        The checkpoints were changed or lost.

    Examples
    --------
    >>> import numpy as np
    >>> from ltc.store.arrays import write_store
    >>> path = directory / "run.zarr"
    >>> write_store(path, np.ones((4, 3), np.float32), np.ones((4, 2), np.float32))
    >>> store = open_store(path)
    >>> store.checkpoints
    array([0., 1., 2., 3.])
    >>> store.read("train", samples=slice(1, 3), checkpoints=[0, 3])
    array([[1., 1.],
           [1., 1.]], dtype=float16)
    """
    place = locate(path, storage_options)
    while True:
        header = existing_header(place)
        try:
            return Store(place, header)
        except StoreError:
            # A rewind between reading the root and the arrays makes them disagree for a moment.
            if existing_header(place).revision == header.revision:
                raise
