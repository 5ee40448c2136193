"""The types of options: what is a number is taken, of whichever kind, and what is none is refused in one sentence."""

from dataclasses import fields
from decimal import Decimal
from fractions import Fraction
from types import NoneType
from typing import get_args

from .errors import UsageError


def settle_types(options):
    """Bring the fields of a dataclass to the types that it names: bool, int, float and str, each alone or or-ed with
    None. For its `__post_init__`.

    Numbers of NumPy, whole numbers that are written as 2.0, and arrays of no dimensions are numbers; NaN is one, in no
    range. Raises `UsageError`.
    """
    for field in fields(options):
        value = getattr(options, field.name)
        kinds = get_args(field.type) or (field.type,)
        if value is not None or NoneType not in kinds:
            object.__setattr__(options, field.name, settled(field.name, kinds[0], value))


def settled(name, kind, value):
    """A value as bool, int, float or str. name: the option's, for the sentence of a `UsageError`."""
    plain = value.item() if hasattr(value, "dtype") and getattr(value, "ndim", None) == 0 else value
    try:
        return _TAKEN[kind](plain)
    except (TypeError, ValueError, OverflowError):
        raise UsageError(f"The option {name} must be {_CALLED[kind]}, not {value!r}.") from None


def _truth(value):
    if not isinstance(value, bool):
        raise TypeError
    return value


def _number(value):
    if isinstance(value, bool) or not isinstance(value, (int, float, Fraction, Decimal)):
        raise TypeError
    return float(value)


def _whole(value):
    # A float of a great whole number is another one.
    if int(value if isinstance(value, int) else _number(value)) != value or isinstance(value, bool):
        raise ValueError
    return int(value)


def _text(value):
    if not isinstance(value, str):
        raise TypeError
    return value


_TAKEN = {bool: _truth, int: _whole, float: _number, str: _text}
_CALLED = {bool: "True or False", int: "a whole number", float: "a number", str: "a text"}
