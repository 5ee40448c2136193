"""The types of options: any kind of number is taken for a number, and all else is refused in one sentence."""

from dataclasses import fields
from decimal import Decimal
from fractions import Fraction
from types import NoneType
from typing import Any, get_args

from .errors import UsageError

DECODERS = ("native", "numpy")
"""The names of the decoders, the faster one first."""


def settle_types(options: Any) -> None:
    """Bring the fields of a dataclass to the types that it names; for its `__post_init__`.

    The types are bool, int, float and str, each alone or or-ed with None. Numbers of NumPy, whole numbers written as
    2.0, and arrays without dimensions are numbers. NaN is a number that lies in no range.

    Raises `UsageError` for values of other types.
    """
    for field in fields(options):
        value = getattr(options, field.name)
        kinds = get_args(field.type) or (field.type,)
        if value is not None or NoneType not in kinds:
            object.__setattr__(options, field.name, settled(field.name, kinds[0], value))


def settled(name: str, kind: type, value: Any) -> Any:
    """Return a value as `kind`: bool, int, float or str.

    name: the option's, for the sentence of a `UsageError`. Raises `UsageError` for values of other types.
    """
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
    # A great whole number changes when it becomes a float.
    if int(value if isinstance(value, int) else _number(value)) != value or isinstance(value, bool):
        raise ValueError
    return int(value)


def _text(value):
    if not isinstance(value, str):
        raise TypeError
    return value


_TAKEN = {bool: _truth, int: _whole, float: _number, str: _text}
"""Type -> the function that takes a value for it, or raises."""
_CALLED = {bool: "True or False", int: "a whole number", float: "a number", str: "a text"}
"""Type -> its name in the sentence of an error."""
