"""Signatures that hypothesis makes, with JSON values for them.

A signature is described by plain JSON, from which another process makes the same one.
"""

import dataclasses
import json
from collections import deque
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path
from types import GenericAlias
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NotRequired,
    Optional,
    TypeVar,
    Union,
)
from uuid import UUID

from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Json,
    PlainValidator,
    RootModel,
    Secret,
    SecretBytes,
    SecretStr,
    WrapValidator,
    computed_field,
    create_model,
    field_serializer,
    model_serializer,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.dataclasses import dataclass as pydantic_dataclass
from typing_extensions import TypedDict

Spec = list[Any]


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
# A mask as a value is refused; it has a test of its own.
SECRET = TEXT.filter(lambda text: text != "**********")
DAY = st.dates(date(1971, 1, 1), date(2100, 1, 1))
_WORDS = st.sampled_from(["a", "b", "ä", "zz", "b c"])

# By kind: the type, and JSON values for it, most of which are valid.
LEAVES: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "int": (int, st.integers() | st.just("7") | st.just(3.0)),
    "float": (float, st.floats(allow_nan=False, allow_infinity=False) | st.integers(-9, 9)),
    "bool": (bool, st.booleans()),
    "str": (str, TEXT),
    "decimal": (Decimal, st.decimals("-99", "99", places=2).map(str) | st.just(1.5)),
    "date": (date, DAY.map(str)),
    "datetime": (
        datetime,
        st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)).map(datetime.isoformat)
        | st.just("2027-01-01T00:00:00Z")
        | st.just(1_700_000_000),
    ),
    "time": (time, st.times().map(str)),
    "timedelta": (timedelta, st.just("P1DT2H") | st.integers(0, 10**6) | st.just("01:02:03")),
    "uuid": (UUID, st.uuids().map(str)),
    "path": (Path, st.sampled_from(["/tmp/x", "a/../b", ".", "C:\\x"])),
    "bytes": (bytes, TEXT),
    "colour": (Colour, st.sampled_from(["red", "blue"])),
    "level": (Level, st.sampled_from([1, 2])),
    "literal": (Literal["x", 1, None], st.sampled_from(["x", 1, None])),
    "any": (
        Any,
        st.recursive(
            TEXT | st.integers(-9, 9) | st.none() | st.booleans(),
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_WORDS, inner, max_size=2),
            max_leaves=4,
        ),
    ),
    "positive": (Annotated[int, Field(gt=0, le=100)], st.integers(1, 100)),
    "short": (Annotated[str, Field(min_length=1, max_length=3)], st.sampled_from(["a", "ab"])),
    "strict_int": (Annotated[int, Field(strict=True)], st.integers()),
    "strict_date": (Annotated[date, Field(strict=True)], DAY.map(str)),
    "secret": (SecretStr, SECRET),
    "secret_bytes": (SecretBytes, SECRET),
    "secret_int": (Secret[int], st.integers(0, 99)),
    "upper": (Annotated[str, AfterValidator(str.upper)], _WORDS),
    "stripped": (Annotated[str, BeforeValidator(lambda v: v.strip())], st.just(" a ")),
    "wrapped": (Annotated[int, WrapValidator(lambda v, handler: handler(v) + 0)], st.integers()),
    "plain": (Annotated[int, PlainValidator(lambda v: int(v))], st.integers() | st.just("5")),
    "as_set": (Annotated[list[str], AfterValidator(set)], st.lists(_WORDS, max_size=4)),
    "cents": (Annotated[int, AfterValidator(lambda v: v * 100)], st.integers(0, 99)),
    "split": (
        Annotated[list[str], BeforeValidator(lambda v: v.split(","))],
        st.sampled_from(["", "a", "a,b"]),
    ),
}
_CHANGES_SHAPE = {"cents", "split", "secret", "secret_bytes", "secret_int"}
_HASHABLE = ["int", "str", "date", "decimal", "uuid", "colour", "level", "bytes", "path"]
_KEYS = ["str", "int", "date", "uuid", "colour", "upper"]
# Names that the schemas of pydantic use themselves, too.
_NAMES = ["id", "type", "metadata", "default", "function", "cls", "choices", "user_name"]

T = TypeVar("T")


# -- specs -----------------------------------------------------------------------------------------


def specs() -> st.SearchStrategy[Spec]:
    return st.recursive(_leaf(LEAVES), _composite, max_leaves=5)


def _leaf(names: Iterable[str]) -> st.SearchStrategy[Spec]:
    return st.sampled_from(sorted(names)).map(lambda name: [name])


def _composite(inner: st.SearchStrategy[Spec]) -> st.SearchStrategy[Spec]:
    hashable = _leaf(_HASHABLE)
    one = st.sampled_from(
        [
            "optional",
            "list",
            "vartuple",
            "iterable",
            "deque",
            "recursive",
            "generic",
            "root",
            "json",
        ]
    )
    return st.one_of(
        st.tuples(one, inner).map(list),
        st.tuples(st.sampled_from(["set", "frozenset", "nested_sets"]), hashable).map(list),
        st.tuples(
            st.just("union"),
            inner.filter(_may_stand_in_a_union),
            inner.filter(_may_stand_in_a_union),
        ).map(list),
        st.tuples(st.sampled_from(["tuple", "discriminated"]), inner, inner).map(list),
        st.tuples(st.just("dict"), _leaf(_KEYS), inner).map(list),
        st.tuples(
            st.sampled_from(["typeddict", "namedtuple", "dataclass", "std_dataclass"]),
            st.lists(inner, min_size=1, max_size=3),
        ).map(list),
        _models(inner),
    )


def _may_stand_in_a_union(spec: Spec) -> bool:
    """Whether pydantic and the library choose the same member of a union for every value.

    Pydantic takes an object for an iterable. The library, which reads a list, does not.
    """
    kind, *members = spec
    return kind != "iterable" and (kind != "union" or all(map(_may_stand_in_a_union, members)))


def _models(inner: st.SearchStrategy[Spec]) -> st.SearchStrategy[Spec]:
    field = st.fixed_dictionaries(
        {
            "type": inner,
            "alias": st.sampled_from(
                ["", "", "alias", "validation", "serialization", "choices", "path", "item", "mixed"]
            ),
            "default": st.sampled_from(["", "", "none", "factory"]),
            "exclude": st.booleans(),
            "serializer": st.booleans(),
        }
    )
    config = st.fixed_dictionaries(
        {
            "extra": st.sampled_from(["allow", "ignore", "forbid"]),
            "populate_by_name": st.booleans(),
            "camel": st.booleans(),
            "strict": st.booleans(),
            "odd_forms": st.booleans(),
            "computed": st.booleans(),
            "validator": st.booleans(),
            "serializer": st.booleans(),
        }
    )
    fields = st.lists(field, min_size=1, max_size=3)
    return st.tuples(st.just("model"), config, fields).map(list)


def parts(spec: Spec) -> Iterable[str]:
    """The kinds within a spec."""
    yield spec[0]
    for each in spec[1:]:
        inner = [each] if isinstance(each, list) and each and isinstance(each[0], str) else each
        for one in inner if isinstance(inner, list) else ():
            yield from parts(one["type"] if isinstance(one, dict) else one)


def keeps_shape(spec: Spec) -> bool:
    """Whether what is shown is read as the same again."""
    # What one member of a union has made may be another's on the way back.
    return not (set(parts(spec)) & (_CHANGES_SHAPE | {"union"}))


# -- types -----------------------------------------------------------------------------------------


def type_of(spec: Spec) -> Any:
    kind, *rest = spec
    if kind in LEAVES:
        return LEAVES[kind][0]
    if kind == "model":
        return _model(*rest)
    if kind in ("typeddict", "namedtuple", "dataclass", "std_dataclass"):
        return _record(kind, [type_of(each) for each in rest[0]])
    inner = [type_of(each) for each in rest]
    return GENERIC[kind](*inner)


class _Box(BaseModel, Generic[T]):
    item: T


def _node(inner: Any) -> Any:
    class Node(BaseModel):
        value: inner
        children: "list[Node]" = []

    return Node


def _discriminated(one: Any, other: Any) -> Any:
    tags: list[Any] = [Literal["cat"], Literal["function"]]
    cat = create_model("Cat", type=(tags[0], ...), value=(one, ...))
    dog = create_model("Dog", type=(tags[1], ...), value=(other, ...))
    return Annotated[cat | dog, Field(discriminator="type")]


# Types made of values: mypy does not follow, so they are subscripted by a method.
GENERIC: dict[str, Callable[..., Any]] = {
    "optional": lambda one: Optional.__getitem__(one),
    "union": lambda *both: Union.__getitem__(both),
    "tuple": lambda *both: tuple.__class_getitem__(both),
    "vartuple": lambda one: tuple.__class_getitem__((one, ...)),
    "iterable": lambda one: GenericAlias(Iterable, (one,)),
    "deque": deque.__class_getitem__,
    "list": list.__class_getitem__,
    "set": set.__class_getitem__,
    "frozenset": frozenset.__class_getitem__,
    "nested_sets": lambda one: set.__class_getitem__(frozenset.__class_getitem__(one)),
    "dict": lambda *both: dict.__class_getitem__(both),
    "json": Json.__class_getitem__,
    "root": RootModel.__class_getitem__,
    "generic": _Box.__class_getitem__,
    "recursive": _node,
    "discriminated": _discriminated,
}


def _record(kind: str, inner: list[Any]) -> Any:
    names = {f"f{number}": each for number, each in enumerate(inner)}
    if kind == "typeddict":
        return TypedDict("Typed", {"type": NotRequired[int], **names})  # type: ignore[operator]
    if kind == "namedtuple":
        return NamedTuple("Named", list(names.items()))
    made: list[Any] = list(names.items())
    computed = ("total", int, dataclasses.field(init=False, default=0))
    if kind == "dataclass":
        body = dataclasses.make_dataclass("Made", [*made, computed], kw_only=True)
        return pydantic_dataclass(body)
    return dataclasses.make_dataclass("Standard", made, frozen=True)


def _model(config: dict[str, Any], fields: list[dict[str, Any]]) -> Any:
    settings = ConfigDict(
        extra=config["extra"],
        populate_by_name=config["populate_by_name"],
        alias_generator=to_camel if config["camel"] else None,
        strict=config["strict"],
    )
    if config["odd_forms"]:
        settings |= ConfigDict(ser_json_temporal="seconds", ser_json_bytes="base64")
    made: dict[str, Any] = {}
    extras: dict[str, Any] = {}
    for number, field in enumerate(fields):
        name, annotation = _NAMES[number], type_of(field["type"])
        if field["default"]:
            annotation = Optional[annotation]  # noqa: UP045
        made[name] = (annotation, Field(**_options(number, field)))
        if field["serializer"]:
            extras[f"show_{number}"] = field_serializer(name)(_custom)
    if config["validator"]:
        extras["check"] = model_validator(mode="after")(lambda self: self)
    if config["computed"]:
        extras["seen"] = computed_field(property(_seen))
    if config["serializer"]:
        extras["dump"] = model_serializer(_seen)
    return _class(settings, made, extras)


def _seen(self: Any) -> int:
    return 1


def _custom(self: Any, value: Any) -> str:
    return "custom"


def _class(settings: ConfigDict, fields: dict[str, Any], extras: dict[str, Any]) -> Any:
    annotations = {name: annotation for name, (annotation, _) in fields.items()}
    values = {name: field for name, (_, field) in fields.items()}
    names = {"model_config": settings, "__annotations__": annotations, "__module__": __name__}
    return type("Model", (BaseModel,), {**names, **values, **extras})


def _options(number: int, field: dict[str, Any]) -> dict[str, Any]:
    options: dict[str, Any] = {"exclude": field["exclude"] or None}
    match field["alias"]:
        case "alias":
            options["alias"] = f"alias{number}"
        case "validation":
            options["validation_alias"] = f"read{number}"
        case "serialization":
            options["serialization_alias"] = f"dumped{number}"
        case "choices":
            options["validation_alias"] = AliasChoices(f"one{number}", f"two{number}")
        case "mixed":
            options["validation_alias"] = AliasChoices(
                AliasPath("inner", f"m{number}"), f"m{number}"
            )
        case "path":
            options["validation_alias"] = AliasPath("inner", f"p{number}")
        case "item":
            options["validation_alias"] = AliasPath("items", number)
    match field["default"]:
        case "none":
            options["default"] = None
        case "factory":
            options["default_factory"] = lambda: None
    return options


# -- values ----------------------------------------------------------------------------------------


def values(spec: Spec) -> st.SearchStrategy[Any]:  # noqa: C901 - one case a kind
    """JSON values for a spec; most are valid."""
    kind, *rest = spec
    if kind in LEAVES:
        return LEAVES[kind][1]
    if kind == "model":
        return _model_values(*rest)
    if kind in ("typeddict", "dataclass", "std_dataclass"):
        return st.fixed_dictionaries({f"f{n}": values(each) for n, each in enumerate(rest[0])})
    if kind == "namedtuple":
        return st.tuples(*map(values, rest[0])).map(list)
    inner = [values(each) for each in rest]
    match kind:
        case "optional":
            return st.none() | inner[0]
        case "union":
            return inner[0] | inner[1]
        case "tuple":
            return st.tuples(*inner).map(list)
        case "nested_sets":
            return st.lists(st.lists(inner[0], max_size=3), max_size=3)
        case "dict":
            return st.dictionaries(inner[0].map(str), inner[1], max_size=3)
        case "json":
            return inner[0].map(json.dumps)
        case "root":
            return inner[0]
        case "generic":
            return st.fixed_dictionaries({"item": inner[0]})
        case "recursive":
            leaf = st.fixed_dictionaries({"value": inner[0]})
            node = st.fixed_dictionaries(
                {"value": inner[0], "children": st.lists(leaf, max_size=2)}
            )
            return leaf | node
        case "discriminated":
            return st.one_of(
                st.fixed_dictionaries({"type": st.just("cat"), "value": inner[0]}),
                st.fixed_dictionaries({"type": st.just("function"), "value": inner[1]}),
            )
    return st.lists(inner[0], max_size=3)


@st.composite
def _model_values(draw: Any, config: dict[str, Any], fields: list[dict[str, Any]]) -> Any:
    found: dict[str, Any] = {}
    for number, field in enumerate(fields):
        if field["default"] and draw(st.booleans()):
            continue
        value = draw(values(field["type"]))
        name = _NAMES[number]
        keys = {
            "alias": [f"alias{number}"],
            "validation": [f"read{number}"],
            "choices": [f"one{number}", f"two{number}"],
            "mixed": [f"m{number}", f"inner.m{number}"],
            "path": [f"inner.p{number}"],
            "item": ["items"],
        }.get(field["alias"], [to_camel(name) if config["camel"] else name])
        if config["populate_by_name"]:
            keys = [*keys, name]
        key = draw(st.sampled_from(keys))
        if key.startswith("inner."):
            found.setdefault("inner", {})[key.removeprefix("inner.")] = value
        elif key == "items":
            items = found.setdefault("items", [])
            items.extend([0] * (number + 1 - len(items)))
            items[number] = value
        else:
            found[key] = value
    if config["extra"] != "forbid" and draw(st.booleans()):
        found["more"] = draw(LEAVES["any"][1])
    return found


# -- functions -------------------------------------------------------------------------------------


def signatures() -> st.SearchStrategy[list[Spec]]:
    return st.lists(specs(), min_size=1, max_size=3)


@st.composite
def signatures_with_text(draw: Any) -> tuple[list[Spec], str]:
    """A signature, and the JSON text of arguments for it."""
    signature = draw(signatures())
    arguments = {f"p{n}": draw(values(spec)) for n, spec in enumerate(signature)}
    spaced, escaped = draw(st.booleans()), draw(st.booleans())
    indent = 1 if spaced else None
    return signature, json.dumps(arguments, indent=indent, ensure_ascii=escaped)


def function_of(signature: list[Spec]) -> Callable[..., Any]:
    """A function with a signature."""
    types = {f"P{number}": type_of(spec) for number, spec in enumerate(signature)}
    parameters = ", ".join(f"p{number}: P{number}" for number in range(len(signature)))
    exec(f"def made({parameters}) -> str: ...", types)
    made: Callable[..., Any] = types["made"]
    return made
