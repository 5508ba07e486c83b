"""What arguments have to be: each check gives the value as it is used, or raises InputError naming the argument."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping

from . import _core
from ._errors import InputError


def whole(value, field, low, high):
    """A whole number within bounds."""
    try:
        number = value.__index__()
    except (AttributeError, TypeError):  # TypeError: of an array of several
        number = None
    if number is None or isinstance(value, bool) or not low <= number <= high:
        raise InputError(field, f"can be a whole number from {low} to {high}, not {value!r}", field)
    return number


def finite(value, field):
    """A finite number."""
    try:
        number = math.nan if isinstance(value, (bool, str)) else float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError(field, f"should be a finite number, not {value!r}", field)
    return number


def flag(value, field):
    """True or False, of NumPy too."""
    if isinstance(value, bool):
        return value
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == () and value.dtype == bool:
        return bool(value)
    raise InputError(field, f"can be True or False, not {value!r}", field)


def text(value, field):
    """Text that UTF-8 can write."""
    if not isinstance(value, str):
        raise InputError(field, f"should be text, not {value!r}", field)
    try:
        value.encode()
    except UnicodeError:
        raise InputError(field, f"has what is no text: {value!r}", field) from None
    return str(value)


def one_of(value, field, known):
    """One of some texts."""
    if not isinstance(value, str) or value not in known:
        raise InputError(field, f"can be {', '.join(map(repr, known))}, not {value!r}", field)
    return str(value)


def path(value, field):
    """A path that is not empty, as text."""
    given = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(given, str):
        raise InputError(field, f"should be a path, not {value!r}", field)
    if not given:
        raise InputError(field, "is an empty path", field)
    if "\0" in given:
        raise InputError(field, f"has a zero byte in it: {given!r}", field)
    return given


def plain_path(value, field):
    """The same of what the C++ side takes as text."""
    return text(path(value, field), field)


def callable_or_flag(value, field):
    """True, False (or None), or what can be called."""
    return value if callable(value) else flag(False if value is None else value, field)


def several(values):
    """One value, or several, as a list: what is text or a path, or cannot be gone through, is one."""
    if hasattr(values, "tolist"):  # of NumPy, pandas, torch
        values = values.tolist()
    if isinstance(values, Iterable) and not isinstance(values, (str, bytes, os.PathLike)):
        return list(values)
    return [values]


def numbers(values, field):
    """Whole numbers, one or several; None, which is no choice, gives none."""
    if values is None:
        return []
    return [whole(value, field, -(2**31), 2**31) for value in _some(several(values), field)]


def names(values, field):
    """Texts, one or several; None gives none."""
    if values is None:
        return []
    return [text(value, field) for value in several(values)]


def chosen_names(values, field):
    """The same of a choice, where none of what there is would be asked for in vain."""
    return [] if values is None else _some(names(values, field), field)


def matrix_types(values, field="types"):
    """Names of types of matrices, as "W_Q" or "q_proj", as results call them."""
    out = []
    for name in chosen_names(values, field):
        known = _core.type_named(name)
        if known is None:
            raise InputError(field, f"{name!r} is no type of matrix", field)
        out.append(known)
    return list(dict.fromkeys(out))


def paths(values, field):
    """Files or names, one or several, none of them empty."""
    if isinstance(values, Mapping):
        raise InputError(field, f"should be a path or several, not {type(values).__name__}", field)
    given = several(values)
    if not given:
        raise InputError(field, "names none", field)
    return [path(value, field) for value in given]


def goes_with(operation, given, usual, takers):
    """Refuses an argument of another value than the usual one that would have no effect: `takers` has the operations
    that take it."""
    for field, value in given.items():
        if operation not in takers[field] and not _same(value, usual[field]):
            raise InputError(field, f"goes with {_listed(takers[field])}, not with {operation}", field)


def _same(value, usual):
    return value is usual or type(value) is type(usual) and value == usual


def _listed(words):
    words = list(words)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _some(values, field):
    if not values:
        raise InputError(field, "names none: None means all", field)
    return values
