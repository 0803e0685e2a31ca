"""Addresses of stores that are not on a local disk, and keeping secrets out of them.

An address names a place and nothing else: it is shown by `ltc info`, kept with scores, and printed
in errors. So one that holds a user, a password or a token is refused, and the refusal shows none of
it; credentials have their place in the environment and in ``storage_options``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from ltc.errors import ArgumentValueError

__all__ = ["Address", "is_address", "redacted"]

WRITABLE: Final = ("s3", "gs")
READABLE: Final = (*WRITABLE, "https", "http")

_HOST: Final = re.compile(r"[^/@:?#\s]+|\[[0-9a-fA-F:.]+\]")
_PORT: Final = re.compile(r":\d+")


@dataclass(frozen=True)
class Address:
    """Where a store is that is not on a local disk.

    Attributes
    ----------
    scheme : str
        One of ``"s3"``, ``"gs"``, ``"https"`` and ``"http"``.
    host : str
        The bucket; for ``https`` the host, with its port if there is one.
    path : str
        The store below it, without slashes at its ends.
    """

    scheme: str
    host: str
    path: str

    def __str__(self) -> str:
        """Return the address."""
        return f"{self.scheme}://{self.host}/{self.path}".rstrip("/")

    @property
    def writable(self) -> bool:
        """Whether stores can be made there."""
        return self.scheme in WRITABLE

    @classmethod
    def parse(cls, text: str) -> Address:
        """Take an address apart.

        Raises
        ------
        ArgumentValueError
            It is of another kind, says more than where the store is, or is incomplete.

        Examples
        --------
        >>> Address.parse("s3://bucket/runs/run.zarr/")
        Address(scheme='s3', host='bucket', path='runs/run.zarr')
        """
        scheme, _, rest = text.partition("://")
        if scheme not in READABLE:
            raise ArgumentValueError(
                "path must be on a local disk, or an address that begins with s3://, gs:// or "
                f"https://, got {redacted(text)!r}"
            )
        host, _, path = rest.partition("/")
        if re.search(r"[?#]", rest):
            raise ArgumentValueError(
                "path must be an address without ? and #, what follows them would be lost or shown "
                f"to others; got {redacted(text)!r}"
            )
        # Of a host, what follows an @ further on is the host in truth.
        name = host if scheme in WRITABLE else _PORT.sub("", host) + "@" * rest.count("@")
        if not _HOST.fullmatch(name):
            raise ArgumentValueError(
                "path must name a bucket or host and hold no credentials, which belong into the "
                f"environment or into storage_options; got {redacted(text)!r}"
            )
        path = path.rstrip("/")
        if any(part in ("", ".", "..") for part in path.split("/")) and path:
            raise ArgumentValueError(
                f"path must be an address with none of its parts empty, '.' or '..', got {text!r}"
            )
        return cls(scheme, host, path)


def is_address(text: str) -> bool:
    """Tell an address from a path on a local disk."""
    return "://" in text


def redacted(text: str) -> str:
    """Return an address without what may be a secret in it: before an @, and after a ? or #.

    Examples
    --------
    >>> redacted("s3://key:secret/+@bucket/run.zarr?token=12")
    's3://***@bucket/run.zarr?***'
    """
    scheme, separator, rest = text.partition("://")
    before, at, after = rest.rpartition("@")
    found = re.search(r"[?#]", after)
    shown = f"{after[: found.end()]}***" if found else after
    return f"{scheme}{separator}{'***' if before else ''}{at}{shown}"
