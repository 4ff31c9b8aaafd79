"""Signatures of tools as agents in the world have them, each with JSON arguments."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path, PurePosixPath
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NotRequired,
    Optional,
    TypeVar,
)
from uuid import UUID

from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    FutureDate,
    HttpUrl,
    Json,
    NonNegativeInt,
    PlainSerializer,
    PlainValidator,
    PositiveInt,
    RootModel,
    Secret,
    SecretBytes,
    SecretStr,
    StringConstraints,
    computed_field,
    field_serializer,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.dataclasses import dataclass as pydantic_dataclass
from typing_extensions import TypedDict

T = TypeVar("T")

# Name, function, JSON text; and by name those whose validators or secrets change what is shown.
CASES: dict[str, tuple[Callable[..., Any], str]] = {}
CHANGED: set[str] = set()


def case(text: str, *, changed: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        name = function.__name__
        assert name not in CASES
        CASES[name] = (function, text)
        if changed:
            CHANGED.add(name)
        return function

    return add


def function_of(name: str) -> Callable[..., Any]:
    return CASES[name][0]


# -- payments --------------------------------------------------------------------------------------


class Currency(StrEnum):
    EUR = "EUR"
    USD = "USD"


class Money(BaseModel):
    amount: Decimal = Field(gt=0, max_digits=12, decimal_places=2)
    currency: Currency = Currency.EUR


class Card(BaseModel):
    type: Literal["card"]
    number: SecretStr
    expires: Annotated[str, StringConstraints(pattern=r"^\d\d/\d\d$")]


class Sepa(BaseModel):
    type: Literal["sepa"]
    iban: str
    mandate: date | None = None


class Wallet(BaseModel):
    type: Literal["default"]


@case('{"amount": 1.10, "to": "bob"}')
def transfer_money(amount: Decimal, to: str, memo: str = "") -> None: ...


@case('{"price": {"amount": "1.10"}, "metadata": {"type": "x", "default": [1, null]}}')
def create_payment_intent(price: Money, metadata: dict[str, Any] | None = None) -> None: ...


@case('{"method": {"type": "card", "number": "4242", "expires": "01/30"}}', changed=True)
def attach_method(
    method: Annotated[Card | Sepa | Wallet, Field(discriminator="type")], is_default: bool = False
) -> None: ...


@case('{"method": {"type": "default"}, "is_default": "yes"}')
def attach_wallet(
    method: Annotated[Card | Sepa | Wallet, Field(discriminator="type")], is_default: bool = False
) -> None: ...


@case('{"charge_id": "ch_1", "reason": "fraudulent"}')
def refund_charge(
    charge_id: str,
    amount: PositiveInt | None = None,
    reason: Literal["duplicate", "fraudulent"] = "duplicate",
) -> None: ...


@case('{"lines": [["a", 2, "9.99"], ["b", 1, "0.50"]], "due": "2030-01-01"}')
def send_invoice(lines: list[tuple[str, PositiveInt, Decimal]], due: date) -> None: ...


class Cents(BaseModel):
    euros: int

    @field_validator("euros")
    @classmethod
    def in_cents(cls, value: int) -> int:
        return value * 100


@case('{"price": {"euros": 5}}', changed=True)
def charge_in_cents(price: Cents) -> None: ...


class Payout(BaseModel):
    model_config = ConfigDict(strict=True)

    id: UUID
    amount: Decimal
    at: datetime
    tags: frozenset[str]


@case(
    '{"payouts": [{"id": "12345678-1234-5678-1234-567812345678", "amount": "3",'
    ' "at": "2030-01-01T00:00:00Z", "tags": ["z", "a", "m"]}]}'
)
def schedule_payouts(payouts: list[Payout]) -> None: ...


@case('{"items": {"sku-9": 2, "sku-1": 1}, "coupons": ["b", "a", "b"]}')
def checkout(items: dict[str, PositiveInt], coupons: set[str]) -> None: ...


# -- calendar --------------------------------------------------------------------------------------


class Weekday(IntEnum):
    MON = 0
    TUE = 1


class Attendee(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    display_name: str
    e_mail: str = Field(alias="email")
    is_optional: bool = False


class Event(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")

    title: str
    starts_at: AwareDatetime
    duration: timedelta = timedelta(minutes=30)
    attendees: list[Attendee] = []

    @computed_field  # type: ignore[prop-decorator]
    @property
    def ends_at(self) -> datetime:
        return self.starts_at + self.duration


@case(
    '{"event": {"title": "Sync", "startsAt": "2030-01-01T09:00:00+02:00",'
    ' "attendees": [{"display_name": "Ann", "email": "ann@example.com"}]}}'
)
def create_event(event: Event) -> None: ...


@case('{"start": "2030-01-01T09:00", "end": 1893492000, "step": 900}')
def find_free_slots(start: datetime, end: datetime, step: timedelta) -> None: ...


@case('{"days": [0, 1, 1], "at": "07:30", "until": "2090-12-31"}')
def repeat_weekly(days: set[Weekday], at: time, until: FutureDate | None = None) -> None: ...


class Slot(NamedTuple):
    start: time
    minutes: int = 30


@case('{"slots": [["09:00"], ["10:00", 45]], "zone": "Europe/Berlin"}')
def offer_slots(slots: list[Slot], zone: str) -> None: ...


@case('{"when": "PT1H30M", "note": "tea"}')
def remind_in(when: timedelta | datetime, note: str) -> None: ...


@case('{"range": ["2030-01-01", "2030-02-01"]}')
def block_days(range: tuple[date, date]) -> None: ...


@case('{"calendar_ids": ["a", "b"], "page_token": null, "max_results": "50"}')
def list_events(
    calendar_ids: Iterable[str], page_token: str | None, max_results: int = 10
) -> None: ...


# -- files -----------------------------------------------------------------------------------------


@case('{"path": "notes/../a.txt", "content": "caf\\u00e9", "mode": "a"}')
def write_file(path: Path, content: str, mode: Literal["w", "a", "x"] = "w") -> None: ...


@case('{"path": "/tmp/b", "data": "raw\\u0000bytes"}')
def write_bytes(path: PurePosixPath, data: bytes) -> None: ...


@case('{"edits": [{"old": "a", "new": "b"}, {"old": "c", "new": "", "count": 0}]}')
def edit_file(edits: list["Replacement"]) -> None: ...


@dataclass(frozen=True)
class Replacement:
    old: str
    new: str
    count: int = 1


@case('{"limit": "10MB", "patterns": ["*.py", "*.md"]}')
def search_files(limit: ByteSize, patterns: frozenset[str], hidden: bool = False) -> None: ...


class Folder(BaseModel):
    name: str
    children: "list[Folder]" = []
    metadata: dict[str, str] = {}


@case('{"root": {"name": "/", "children": [{"name": "a", "children": [{"name": "b"}]}]}}')
def make_folders(root: Folder) -> None: ...


@case('{"source": "a", "to": ["b", "c"]}')
def copy_file(source: Path, to: Path | list[Path], *, overwrite: bool = False) -> None: ...


@case('{"rows": [["a", 1], ["b", null]], "header": true}')
def write_csv(rows: Iterable[Sequence[str | int | None]], header: bool) -> None: ...


@case('{"lines": ["1", "2", "3"]}')
def tail(lines: Annotated[deque[int], Field(max_length=5)]) -> None: ...


@case('{"mode": "755", "owner": 0}')
def chmod(
    mode: Annotated[int, BeforeValidator(lambda text: int(str(text), 8))], owner: str | int = "root"
) -> None: ...


CHANGED.add("chmod")

# -- SQL -------------------------------------------------------------------------------------------


class Filter(BaseModel):
    column: str
    function: Literal["eq", "lt", "in"] = "eq"
    default: int | str | list[int | str] | None = None


class Query(BaseModel):
    table: str = Field(validation_alias=AliasChoices("table", "from"))
    columns: list[str] = Field(default=["*"], validation_alias="select")
    where: list[Filter] = []
    limit: Annotated[int, Field(le=1000)] = 100


@case(
    '{"query": {"from": "users", "select": ["id"],'
    ' "where": [{"column": "a", "default": [1, "x"]}]}}'
)
def select_rows(query: Query) -> None: ...


@case('{"sql": "select 1", "parameters": [1, "a", null, 2.50, true]}')
def run_sql(sql: str, parameters: Sequence[int | float | str | bool | None] = ()) -> None: ...


@case('{"row": {"id": 1, "at": "2030-01-01", "more": {"a": [1]}}}')
def insert_row(row: dict[str, Any]) -> None: ...


class Column(TypedDict):
    name: str
    type: Literal["int", "text"]
    default: NotRequired[int | str]


@case(
    '{"table": "t", "columns": [{"name": "i", "type": "int"},'
    ' {"name": "n", "type": "text", "default": ""}]}'
)
def create_table(table: str, columns: list[Column]) -> None: ...


@case('{"document": "{\\"a\\": [1, 2]}"}')
def upsert_document(document: Json[dict[str, list[int]]]) -> None: ...


@case('{"dsn": "postgres://u:p@h/db", "statements": ["a", "b"]}', changed=True)
def migrate(dsn: SecretStr, statements: list[str], dry_run: bool = True) -> None: ...


@case('{"vector": [0.1, 1e-7, 3], "top": 5}')
def nearest(vector: list[float], top: PositiveInt = 10) -> None: ...


# -- deploys ---------------------------------------------------------------------------------------


class Env(Enum):
    PROD = "prod"
    STAGING = "staging"


class Resources(BaseModel):
    cpu: Annotated[float, Field(gt=0)] = 0.5
    memory: ByteSize = ByteSize(512)
    gpu: Optional["Gpu"] = None


class Gpu(BaseModel):
    model: str
    count: int = 1


DEFAULT = Resources(cpu=1)


@case('{"env": "prod", "image": "a:b", "resources": {"cpu": 2, "gpu": {"model": "h100"}}}')
def deploy(env: Env, image: str, resources: Resources = DEFAULT) -> None: ...


@case('{"service": "api", "to": 3}')
def scale(service: str, to: NonNegativeInt | Literal["auto"]) -> None: ...


@case('{"service": "api", "to": "auto"}')
def scale_auto(service: str, to: NonNegativeInt | Literal["auto"]) -> None: ...


@case('{"variables": {"B": "2", "A": "1"}, "secrets": {"TOKEN": "s3cret"}}', changed=True)
def set_variables(variables: dict[str, str], secrets: dict[str, SecretStr]) -> None: ...


@case('{"address": "10.0.0.1", "allow": ["10.0.0.0/8"]}')
def open_firewall(address: IPv4Address, allow: set[IPv4Network]) -> None: ...


@case('{"url": "https://example.com/hook?a=1", "headers": {"X-A": "b"}}')
def add_webhook(url: HttpUrl, headers: Mapping[str, str] | None = None) -> None: ...


@case('{"key": "-----BEGIN", "pin": 1234}', changed=True)
def install_certificate(key: SecretBytes, pin: Secret[int]) -> None: ...


@case('{"windows": [[1, 2], [3, 4]], "flags": [["a", true], ["b", false]]}')
def freeze(windows: set[tuple[int, int]], flags: list[tuple[str, bool]]) -> None: ...


class Rollout(BaseModel):
    steps: list[int]

    @model_validator(mode="after")
    def rises(self) -> "Rollout":
        if self.steps != sorted(self.steps):
            raise ValueError("the steps must rise")
        return self


@case('{"rollout": {"steps": [5, 50, 100]}}')
def canary(rollout: Rollout) -> None: ...


@case('{"spec": {"kind": "Job", "spec": {"kind": "Pod", "spec": null}}}')
def apply_manifest(spec: "Manifest") -> None: ...


class Manifest(BaseModel):
    kind: str
    spec: Optional["Manifest"] = None


# -- CRM and mail ----------------------------------------------------------------------------------


class Contact(BaseModel):
    model_config = ConfigDict(extra="allow")

    e_mail: Annotated[str, AfterValidator(str.lower)] = Field(
        validation_alias=AliasPath("emails", 0)
    )
    city: str | None = Field(default=None, validation_alias=AliasPath("address", "city"))
    score: int = Field(default=0, exclude=True)


@case('{"contact": {"emails": ["Ann@Example.com"], "address": {"city": "Graz"}, "vip": true}}')
def upsert_contact(contact: Contact) -> None: ...


class Page(BaseModel, Generic[T]):
    items: list[T]
    next: str | None = None


@case('{"page": {"items": [{"column": "a"}], "next": "x"}}')
def import_page(page: Page[Filter]) -> None: ...


class Tags(RootModel[set[str]]):
    pass


@case('{"tags": ["z", "y", "x"], "ids": ["1", 2]}')
def tag_contacts(tags: Tags, ids: set[int]) -> None: ...


@pydantic_dataclass
class Deal:
    name: str
    stage: Literal["new", "won"] = "new"
    value: Decimal | None = None
    weight: float = field(init=False, default=1.0)


@case('{"deals": [{"name": "a", "value": 1.50}, {"name": "b", "stage": "won"}]}')
def update_deals(deals: list[Deal]) -> None: ...


class Mail(BaseModel):
    to: list[str] = Field(min_length=1)
    cc: list[str] = []
    subject: Annotated[str, StringConstraints(strip_whitespace=True, max_length=100)]
    body: str = Field(serialization_alias="html")
    priority: Literal[1, 2, 3] = 3

    @field_serializer("body")
    def short(self, body: str) -> str:
        return body[:2]


@case('{"mail": {"to": ["a@b.c"], "subject": "  Hi ", "body": "Hello, world"}}')
def send_mail(mail: Mail) -> None: ...


@case('{"mails": [{"to": ["a@b.c"], "subject": "1", "body": ""}]}')
def send_all(mails: Iterable[Mail]) -> None: ...


@case('{"to": "a@b.c; d@e.f", "text": "x"}', changed=True)
def send_to_many(
    to: Annotated[list[str], BeforeValidator(lambda text: text.split("; "))], text: str
) -> None: ...


@case('{"thread": "t", "labels": {"add": ["b", "a"], "remove": []}}')
def label_thread(thread: str, labels: "dict[Literal['add', 'remove'], set[str]]") -> None: ...


@case('{"attachment": ["a.txt", "aGk="], "inline": false}')
def attach(attachment: tuple[str, bytes], inline: bool) -> None: ...


@case('{"sender": "me"}')
def reply_as(sender: Annotated[str, Field(validation_alias="from")] = "nobody") -> None: ...


# -- search and others -----------------------------------------------------------------------------


class Point:
    """A type of an author, with forms of its own."""

    def __init__(self, x: int, y: int) -> None:
        self.x, self.y = x, y

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Point) and (self.x, self.y) == (other.x, other.y)

    def __hash__(self) -> int:
        return hash((self.x, self.y))

    def __repr__(self) -> str:
        return f"Point({self.x}, {self.y})"


def _point(text: Any) -> Point:
    x, y = str(text).split(",")
    return Point(int(x), int(y))


PointText = Annotated[Point, PlainValidator(_point), PlainSerializer(lambda p: f"{p.x},{p.y}", str)]


@case('{"near": "1,2", "radius": 3}')
def search_map(near: PointText, radius: float) -> None: ...


NO_SORT: list[Any] = []


@case('{"query": "a", "filters": {"price": [1, 2]}, "sort": [["price", "desc"]]}')
def search_shop(
    query: str,
    filters: dict[str, tuple[float, float]],
    sort: list[tuple[str, Literal["asc", "desc"]]] = NO_SORT,
) -> None: ...


@case('{"q": "a", "model_config": 1, "self": 2, "_x": 3, "class_": 4}')
def odd_names(q: str, model_config: int, self: int, _x: int, class_: int) -> None: ...


@case("")
def ping() -> None: ...


@case('{"words": ["b", "a"]}')
def unique_words(words: Annotated[list[str], AfterValidator(set)]) -> None: ...


@case('{"answer": 1, "other": "1", "third": 1.0, "fourth": true}')
def unions(answer: int | str, other: int | str, third: float | int, fourth: bool | int) -> None: ...


@case('{"n": 123456789012345678901234567890, "f": 1e22, "d": "1E+5"}')
def numbers(n: int, f: float, d: Decimal) -> None: ...


@case('{"token": null, "tokens": ["a", "b"], "either": "x"}', changed=True)
def tokens(token: SecretStr | None, tokens: list[SecretStr], either: SecretStr | int) -> None: ...


@case('{"matrix": [[1, 2], [3, 4]], "groups": [["b", "a"], ["c"]]}')
def groups(matrix: tuple[tuple[int, ...], ...], groups: set[frozenset[str]]) -> None: ...


@case('{"limit": 5}')
def with_field_default(limit: int = Field(ge=1, le=10), offset: int = Field(default=0)) -> None: ...


@case('{"twice": "\\"[1]\\""}')
def twice_encoded(twice: Json[Json[set[int]]]) -> None: ...
