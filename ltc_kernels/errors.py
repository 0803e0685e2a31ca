"""Errors that both packages raise on purpose.

Each derives from the builtin that fits, so ``except ValueError`` keeps working, and from
:class:`LtcError`, so that a program can tell them from defects. A message names the parameter, the
rule and the value.
"""


class LtcError(Exception):
    """Base of every error that is raised on purpose."""


class ArgumentValueError(LtcError, ValueError):
    """An argument has the right type and a value, shape or length that its rule forbids."""


class ArgumentTypeError(LtcError, TypeError):
    """An argument has a type or dtype that its rule forbids."""


class ArgumentIndexError(LtcError, IndexError):
    """An index lies outside what it indexes."""


class BackendUnavailableError(LtcError, RuntimeError):
    """A backend was asked for that this machine, or this version, doesn't have."""
