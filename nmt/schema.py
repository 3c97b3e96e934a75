"""Annotations of constructor parameters: types that are validated, and nested parts."""

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from os.path import expanduser
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le, Lt
from pydantic import AfterValidator, AllowInfNan, BeforeValidator, StringConstraints

Settings = dict[str, Any]
PositiveInt = Annotated[int, Gt(0), Le(10**9)]
"""Limited, as a larger one is a mistake that would end in an overflow."""
Depth = Annotated[int, Gt(0), Le(64)]
"""A number of stacked layers; limited, as each takes time to build, whatever its size."""
Count = Annotated[int, Ge(0), Le(10**9)]
BeamSize = Annotated[int, Gt(0), Le(10_000)]
Positive = Annotated[float, Gt(0), AllowInfNan(False)]
NonNegative = Annotated[float, Ge(0), AllowInfNan(False)]
Fraction = Annotated[float, Ge(0), Lt(1)]
Code = Annotated[str, StringConstraints(pattern=r'^[^\s\\/:*?"<>|]+$')]
"""A language's code: files are named by it."""
Place = Annotated[str, AfterValidator(expanduser)]
"""A path, in which `~` is the user's own folder."""
Paths = Annotated[
    list[Place], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)
]


@dataclass(frozen=True)
class Part:
    """Marks a parameter whose value is the settings of another class.

    Args:
        target: ``"module:NAME"``; a class, or a table of classes from which the key ``kind``
            chooses. A string, so that naming a part imports nothing.
    """

    target: str

    def resolve(self) -> Any:
        module, name = self.target.split(":")
        return getattr(importlib.import_module(module), name)


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings by their dotted keys, such as ``model.encoder.kind``."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = value
    return found


def differing(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """The dotted keys whose values differ, with both.

    A key that one of them lacks, as another version added or removed it, makes no difference where
    the other's value is null, false, 0 or empty; nor does an empty list instead of null.
    """
    old, new = flat(was), flat(now)
    for key in dict.fromkeys([*old, *new]):
        before, after = old.get(key), new.get(key)
        unset = (
            not before and not after and (key not in old or key not in new or [] in (before, after))
        )
        if before != after and not unset:
            yield key, before, after
