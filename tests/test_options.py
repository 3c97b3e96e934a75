"""A signature as a schema: what is accepted, what is refused, and in which words."""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass, field, is_dataclass
from typing import Annotated, Any, Literal, get_args, get_origin

import pytest

from nmt import options
from nmt.config import Config, Training
from nmt.corpora import CORPORA
from nmt.errors import UserError
from nmt.model.cells import CELLS
from nmt.model.encoders import ENCODERS
from nmt.model.memory import ATTENTIONS
from nmt.model.seq2seq import Seq2Seq
from nmt.schema import Count, Fraction, NonNegative, Part, Positive, PositiveInt, Settings


@dataclass(frozen=True, kw_only=True)
class Coat:
    """What a cup is painted with.

    Args:
        colour: as a word.
        layers: how many.
    """

    colour: str = "white"
    layers: PositiveInt = 1


class Round:
    """A round handle.

    Args:
        radius: in millimetres,
            measured outside.
    """

    def __init__(self, width: int, /, *, radius: Positive = 10.0) -> None:
        self.width, self.radius = width, radius


class Square:
    """A square handle; it has no options."""

    def __init__(self, width: int, /) -> None:
        self.width = width


HANDLES = {"round": Round, "square": Square}


class Cup:
    """A cup.

    Args:
        volume: in millilitres.
        material: of the body.
        handle: what to hold it by.
        lid: whether it has one.
        share: how full it is.
        price: in cents, if it is for sale.
        chips: how many.
        weight: in grams.
        marks: written on it.
    """

    def __init__(
        self,
        width: int,
        /,
        *,
        volume: PositiveInt,
        material: Literal["clay", "glass"] = "clay",
        handle: Annotated[Settings | str, Part(f"{__name__}:HANDLES")] = "round",
        lid: bool = False,
        share: Fraction = 0.5,
        price: PositiveInt | None = None,
        chips: Count = 0,
        weight: NonNegative = 0.0,
        marks: list[str] | None = None,
    ) -> None:
        if material == "glass" and lid:
            raise ValueError("lid: true is not for material: glass")
        self.width, self.volume = width, volume
        self.handle: Round | Square = options.build(HANDLES, handle, 2 * width, where="handle")


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """Where it stands.

    Args:
        height: in metres.
        cup: the cup on it.
        coat: its paint.
    """

    height: float
    cup: Annotated[Settings, Part(f"{__name__}:Cup")] = field(default_factory=dict)
    coat: Coat = field(default_factory=Coat)


DEFAULTS: Settings = {
    "volume": 100,
    "material": "clay",
    "handle": {"kind": "round", "radius": 10.0},
    "lid": False,
    "share": 0.5,
    "price": None,
    "chips": 0,
    "weight": 0.0,
    "marks": None,
}


def test_defaults_are_filled_in_at_every_depth() -> None:
    assert options.check(Cup, {"volume": 100}, "") == DEFAULTS
    found = options.check(Shelf, {"height": 2, "cup": {"volume": 100, "handle": "square"}}, "")
    assert found == {
        "height": 2.0,
        "cup": DEFAULTS | {"handle": {"kind": "square"}},
        "coat": {"colour": "white", "layers": 1},
    }


def test_checking_twice_changes_nothing() -> None:
    once = options.check(Cup, {"volume": 3, "handle": {"kind": "round", "radius": 4}}, "")
    assert options.check(Cup, once, "") == once


def test_an_emptied_section_takes_its_defaults() -> None:
    settings = {"height": 1, "cup": {"volume": 1}, "coat": None}
    assert options.check(Shelf, settings, "")["coat"] == {"colour": "white", "layers": 1}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"volme": 3},
            "cup.volme: unknown key; did you mean 'volume'? allowed: chips, handle, lid, marks, "
            "material, price, share, volume, weight",
        ),
        (
            {"zzz": 3},
            "cup.zzz: unknown key; allowed: chips, handle, lid, marks, material, price, share, "
            "volume, weight",
        ),
        ({True: 3}, "cup.True: unknown key; allowed: chips, handle, lid, marks, material, price"),
        ({"width": 3}, "cup.width: unknown key"),
        ({}, "cup.volume: this key is required (in millilitres.)"),
        ({"volume": None}, "cup.volume: input should be a valid integer, found None"),
        ({"volume": "big"}, "cup.volume: input should be a valid integer"),
        ({"volume": 2.5}, "cup.volume: input should be a valid integer"),
        ({"volume": [1, 2]}, "cup.volume: input should be a valid integer, found [1, 2]"),
        ({"volume": 0}, "cup.volume: input should be greater than 0, found 0"),
        ({"material": "gold"}, "cup.material: input should be 'clay' or 'glass', found 'gold'"),
        ({"lid": "perhaps"}, "cup.lid: input should be a valid boolean"),
        ({"share": 1}, "cup.share: input should be less than 1, found 1"),
        ({"share": -0.1}, "cup.share: input should be greater than or equal to 0, found -0.1"),
        ({"share": float("nan")}, "cup.share: input should be"),
        ({"chips": -1}, "cup.chips: input should be greater than or equal to 0, found -1"),
        ({"price": 0}, "cup.price: input should be greater than 0, found 0"),
        ({"marks": "x"}, "cup.marks: input should be a valid list, found 'x'"),
        ({"marks": [1]}, "cup.marks: input should be a valid string, found [1]"),
        ({"handle": "rund"}, "cup.handle.kind: unknown value 'rund'; did you mean 'round'? "),
        ({"handle": {"kind": "x"}}, "cup.handle.kind: unknown value 'x'; allowed: round, square"),
        ({"handle": {"kind": ["a"]}}, "cup.handle.kind: unknown value ['a']; allowed: round"),
        ({"handle": 7}, "cup.handle: expected a key 'kind', one of round, square, found 7"),
        ({"handle": {"kind": "square", "radius": 3}}, "cup.handle.radius: unknown key"),
        ({"handle": {"kind": "round", "radius": 0}}, "cup.handle.radius: input should be greater"),
        ("blue", "cup: expected keys and values, found 'blue'"),
        ([1], "cup: expected keys and values, found [1]"),
    ],
    ids=str,
)
def test_a_mistake_is_named_with_key_value_and_what_is_allowed(settings: Any, message: str) -> None:
    given = {"volume": 1} | settings if isinstance(settings, dict) and settings else settings
    with pytest.raises(UserError) as error:
        options.check(Cup, given, "cup")
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_numbers_may_be_written_as_yaml_reads_them() -> None:
    """YAML 1.1 takes `1e-3` for a word, and `2.0` may stand where a count is wanted."""
    found = options.check(Cup, {"volume": 2.0, "weight": "1e-3", "share": 0}, "")
    assert (found["volume"], found["weight"], found["share"]) == (2, 0.001, 0.0)


def test_a_class_is_built_with_sizes_and_settings() -> None:
    cup = options.build(Cup, {"volume": 3, "handle": {"kind": "round", "radius": 4}}, 7)
    assert (cup.width, cup.volume) == (7, 3)
    assert isinstance(cup.handle, Round)
    assert (cup.handle.width, cup.handle.radius) == (14, 4.0)


def test_nested_dataclasses_are_built_and_parts_stay_plain_data() -> None:
    shelf = options.build(Shelf, {"height": 1, "cup": {"volume": 100}, "coat": {"layers": 2}})
    assert shelf == Shelf(height=1.0, cup=DEFAULTS, coat=Coat(layers=2))


def test_the_given_settings_are_left_alone() -> None:
    settings = {"volume": 3, "handle": {"kind": "round"}}
    options.build(Cup, settings, 7)
    assert settings == {"volume": 3, "handle": {"kind": "round"}}


def test_a_contradiction_is_a_users_mistake_and_keeps_its_place() -> None:
    settings = {"volume": 3, "material": "glass", "lid": True}
    with pytest.raises(UserError, match=r"^shelf\.cup: lid: true is not for material: glass$"):
        options.build(Cup, settings, 7, where="shelf.cup")
    with pytest.raises(UserError, match=r"^Cup: lid: true"):
        options.build(Cup, settings, 7)


def test_every_option_is_listed_with_key_default_and_meaning() -> None:
    listed = options.walk(Shelf, {"height": 1, "cup": {"lid": True, "handle": "square"}})
    found = {option.key: (option.default, option.help) for option in listed}
    assert list(found) == [
        "height",
        *(f"cup.{name}" for name in ("volume", "material", "handle.kind", "lid", "share")),
        *(f"cup.{name}" for name in ("price", "chips", "weight", "marks")),
        "coat.colour",
        "coat.layers",
    ]
    assert found["height"] == (1, "in metres.")
    assert found["cup.volume"] == (inspect.Parameter.empty, "in millilitres.")
    assert found["cup.handle.kind"] == ("square", "one of: round | square")
    assert found["cup.lid"] == (True, "whether it has one.")
    assert found["coat.layers"] == (1, "how many.")


def test_a_meaning_may_take_several_lines() -> None:
    assert options.parameters(Round)["radius"].help == "in millimetres, measured outside."


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (1, "1"),
        (0.1, "0.1"),
        ("clay", "clay"),
        (inspect.Parameter.empty, "none, required"),
    ],
)
def test_a_default_is_shown_as_a_user_writes_it(value: object, shown: str) -> None:
    assert options.show(value) == shown


def below(target: Any) -> Iterator[Any]:
    """A class and all those whose settings stand below its own."""
    if isinstance(target, dict):
        for constructor in target.values():
            yield from below(constructor)
        return
    yield target
    for option in options.parameters(target).values():
        if get_origin(option.annotation) is Annotated:
            for mark in get_args(option.annotation):
                if isinstance(mark, Part):
                    yield from below(mark.resolve())
        elif is_dataclass(option.annotation):
            yield from below(option.annotation)


def test_every_setting_of_an_experiment_says_what_it_means() -> None:
    classes = set(below(Config))
    families = (CORPORA, CELLS, ATTENTIONS, ENCODERS)
    assert {Seq2Seq, *(c for table in families for c in table.values())} <= classes
    silent = [
        f"{constructor.__name__}.{name}"
        for constructor in classes
        for name, option in options.parameters(constructor).items()
        if not option.help
    ]
    assert silent == []


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (True, "learning_rate: expected a number, found True"),
        (float("inf"), "learning_rate: input should be a finite number, found inf"),
    ],
)
def test_a_rate_is_a_finite_number(value: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        options.check(Training, {"folder": "run", "learning_rate": value}, "")


def test_a_part_keeps_its_kind_when_only_its_options_are_given() -> None:
    settings = options.check(Seq2Seq, {"encoder": {"hidden_size": 7}}, "")
    assert settings["encoder"]["kind"] == "recurrent"
    assert settings["encoder"]["hidden_size"] == 7
