"""A constructor is a schema: settings are checked against the keyword-only parameters of a class.

An option is declared in one place, the signature of the class that uses it, and explained in that
class's docstring (section ``Args:``). Sizes that come from neighbouring parts are positional-only
and so are never settings. Values are checked by pydantic; keys are checked here, so that error
messages can list the allowed ones.
"""

import difflib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from datetime import date
from functools import cache
from reprlib import Repr
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from nmt.errors import UserError
from nmt.schema import Part, Settings

Override = tuple[str, Sequence[str]]
"""A dotted key and the words of its value."""


@dataclass(frozen=True)
class Option:
    """One setting: its key, type, default and meaning."""

    key: str
    annotation: Any
    default: Any
    help: str


@cache
def _help_of(constructor: Callable[..., Any]) -> dict[str, str]:
    """The ``Args:`` section of a class's docstring as {name: meaning}."""
    text = inspect.getdoc(constructor) or ""
    section = re.search(r"^Args:\n((?:[ ]+.*\n?|\n)*)", text, re.MULTILINE)
    entries = re.split(r"^ {4}(\w+): ", section.group(1), flags=re.MULTILINE) if section else [""]
    pairs = zip(entries[1::2], entries[2::2], strict=True)
    return {name: " ".join(body.split()) for name, body in pairs}


@cache
def parameters(constructor: Callable[..., Any]) -> dict[str, Option]:
    """The settings of a class: keyword-only parameters, or the fields of a dataclass."""
    hints = get_type_hints(
        constructor.__init__ if inspect.isclass(constructor) else constructor,
        include_extras=True,
    )
    fields_made = (
        {f.name for f in fields(constructor) if f.default_factory is not MISSING}
        if is_dataclass(constructor)
        else set()
    )
    return {
        name: Option(
            name,
            hints[name],
            {} if name in fields_made else parameter.default,
            _help_of(constructor).get(name, ""),
        )
        for name, parameter in inspect.signature(constructor).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }


def check(target: Any, settings: Any, where: str) -> Settings:
    """Settings with every default filled in, as plain data.

    Args:
        target: a class, or a table ``{kind: class}``.
        settings: a mapping as read from YAML; for a table, a bare string is short for
            ``{"kind": string}``.
        where: the dotted key of the settings, for error messages.

    Raises:
        UserError: an unknown key or kind, a value of the wrong type or range.
    """
    if isinstance(target, Mapping):
        return _check_kind(target, settings, where)
    if not isinstance(settings, Mapping):
        raise UserError(
            f"{where or 'the file'}: expected keys and values, found {_brief(settings)}"
        )
    options = parameters(target)
    for key in settings:
        if key not in options:
            raise UserError(f"{_join(where, key)}: unknown key; {_allowed(str(key), options)}")
    return {
        key: _check_value(option, settings, _join(where, key)) for key, option in options.items()
    }


def _target_of(option: Option) -> Any:
    """The class or table that describes an option's own settings; None for a plain value."""
    if get_origin(option.annotation) is Annotated:
        parts = (mark for mark in get_args(option.annotation) if isinstance(mark, Part))
        return next((part.resolve() for part in parts), None)
    return option.annotation if is_dataclass(option.annotation) else None


def _section_of(option: Option, settings: Mapping[str, Any]) -> Any:
    """An option's own settings, with its default kind if none is named."""
    value = settings.get(option.key, option.default)
    value = {} if value is None else value
    if isinstance(option.default, str) and isinstance(value, Mapping):
        return {"kind": option.default, **value}
    return value


def _kind_at(target: Any, settings: Any, path: Sequence[str]) -> Any:
    """The kind of the part under a dotted key, named or by default.

    None if that part is not chosen from a table, or has not been chosen.
    """
    chosen = None
    for name in path:
        option = parameters(target).get(name) if callable(target) else None
        if option is None or not isinstance(settings, Mapping):
            return None
        target, settings, chosen = _target_of(option), _section_of(option, settings), None
        if isinstance(target, Mapping):
            kind = settings.get("kind") if isinstance(settings, Mapping) else settings
            chosen = kind if isinstance(kind, str) else None
            target = None if chosen is None else target.get(chosen)
    return chosen


def _check_kind(table: Mapping[str, Any], settings: Any, where: str) -> Settings:
    settings = _expect_kind(table, settings, where)
    rest = {key: value for key, value in settings.items() if key != "kind"}
    return {"kind": settings["kind"], **check(table[settings["kind"]], rest, where)}


def _expect_kind(table: Mapping[str, Any], settings: Any, where: str) -> Settings:
    """The settings as a mapping whose `kind` is one of the table."""
    settings = {"kind": settings} if isinstance(settings, str) else settings
    if not isinstance(settings, Mapping) or "kind" not in settings:
        raise UserError(
            f"{where}: expected a key 'kind', one of {', '.join(table)}, found {_brief(settings)}"
        )
    kind = settings["kind"]
    if not isinstance(kind, str) or kind not in table:
        raise UserError(f"{where}.kind: unknown value {_brief(kind)}; {_allowed(str(kind), table)}")
    return dict(settings)


def _check_value(option: Option, settings: Mapping[str, Any], where: str) -> Any:
    required = option.default is inspect.Parameter.empty
    if required and option.key not in settings:
        raise UserError(f"{where}: this key is required ({option.help})")
    value = settings.get(option.key, option.default)
    if (target := _target_of(option)) is not None:
        if isinstance(target, Mapping) and "none" in target and value is None:
            raise UserError(
                f"{where}: expected one of {', '.join(target)}, found null; write the word none "
                "for none, or leave the key out"
            )
        return check(target, _section_of(option, settings), where)
    try:
        checked = _adapter(option.annotation).validate_python(value)
    except ValidationError as error:
        problem = error.errors()[0]
        what = problem["msg"][0].lower() + problem["msg"][1:]
        raise UserError(f"{where}: {what}, found {_brief(value)}{_hint(problem)}") from None
    if isinstance(value, bool) and not isinstance(checked, bool):
        raise UserError(f"{where}: expected a number, found {_brief(value)}")
    return checked


def _hint(problem: Any) -> str:
    """How to write a word that YAML takes for something else: no, 2026, 2026-11-27."""
    found = problem["input"]
    if problem["type"] != "string_type" or not isinstance(found, int | float | date):
        return ""
    word = "no" if found is False else str(found)  # Norway's code is YAML's word for false
    return f'; to name a word, write "{word}" in a file and \'"{word}"\' on the command line'


@cache
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    # A number in place of a word is a mistake: nothing is converted to a string.
    return TypeAdapter(annotation, config=ConfigDict(coerce_numbers_to_str=False))


def build(target: Any, settings: Any, *sizes: Any, where: str = "") -> Any:
    """Constructs the class that checked settings describe; nested dataclasses are built too."""
    settings = check(target, settings, where)
    constructor = target[settings.pop("kind")] if isinstance(target, Mapping) else target
    for key, option in parameters(constructor).items():
        if is_dataclass(option.annotation):
            settings[key] = build(option.annotation, settings[key], where=_join(where, key))
    try:
        return constructor(*sizes, **settings)
    except UserError as error:  # of a part, which begins with its own key
        raise UserError(_join(where, error)) from None
    except ValueError as error:
        raise UserError(f"{where or constructor.__name__}: {error}") from None


def apply_overrides(target: Any, raw: Settings, overrides: Sequence[Override]) -> None:
    """Applies overrides to settings in place; of several for one key, the last wins.

    Each word is parsed as YAML; several make a list. Choosing another `kind` takes that kind's own
    defaults: the options of the old kind are dropped.

    Args:
        target: the class that the settings are for.
        raw: the settings.
        overrides: dotted keys and their words.
    """

    def order(override: Override) -> int:
        # A part comes before its options and its own parts, whatever their order.
        return override[0].removesuffix(".kind").count(".")

    for key, words in sorted(overrides, key=order):
        *path, last = key.split(".")
        was = _kind_at(target, raw, path)
        section = _section(raw, path)
        if last == "kind" and was not in (None, words[0]):
            section.clear()
        values = [_value(word) for word in words]
        section[last] = values[0] if len(values) == 1 else values


def _section(raw: Settings, path: Sequence[str]) -> Settings:
    section = raw
    for name in path:
        inner = section.get(name)
        if isinstance(inner, str):  # the short form of a kind
            inner = {"kind": inner}
        # A copy, because YAML's aliases (*x) are one and the same mapping.
        section[name] = section = dict(inner) if isinstance(inner, dict) else {}
    return section


def _value(word: str) -> Any:
    """A word parsed as YAML; one that is not YAML stays as it is."""
    try:  # " #" begins a comment in a file, but not in a word of the command line
        return word if " #" in word else yaml.safe_load(word)
    except (yaml.YAMLError, ValueError):  # ValueError: what looks like a date and is none
        return word


def walk(target: Any, settings: Any, where: str = "") -> Iterator[Option]:
    """Every option below a class, in order, with its dotted key; for help texts.

    Raises:
        UserError: an unknown kind.
    """
    if isinstance(target, Mapping):
        settings = _expect_kind(target, settings, where)
        kinds = " | ".join(target)
        yield Option(_join(where, "kind"), str, settings["kind"], f"one of: {kinds}")
        target = target[settings["kind"]]
    settings = settings if isinstance(settings, Mapping) else {}
    for key, option in parameters(target).items():
        required = option.default is inspect.Parameter.empty and key not in settings
        if isinstance(inner := _target_of(option), Mapping) and required:
            meaning = f"one of: {' | '.join(inner)}"
            yield Option(_join(where, f"{key}.kind"), str, option.default, meaning)
        elif inner is not None:
            yield from walk(inner, _section_of(option, settings), _join(where, key))
        else:
            value = settings.get(key, option.default)
            yield Option(_join(where, key), option.annotation, value, option.help)


def _join(where: str, key: object) -> str:
    return f"{where}.{key}" if where else str(key)


def _allowed(found: str, allowed: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(found, allowed, n=1)
    hint = f"did you mean '{close[0]}'? " if close else ""
    return f"{hint}allowed: {', '.join(sorted(allowed))}"


def _brief(value: Any) -> str:
    """The repr of a value, abbreviated if it is long or deep."""
    told = Repr()
    told.maxlevel = 2
    told.maxstring = told.maxother = told.maxlong = 200
    return told.repr(value)


def show(value: Any) -> str:
    """A default as a user would write it."""
    if value is inspect.Parameter.empty:
        return "none, required"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return str(value)
