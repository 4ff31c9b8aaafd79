"""Attacks that are carried through: whether a gated tool runs in the end, or a stranger has a link.

The attacker knows all that is stored, and what the library would write; what is tried is how far
the rights of a role go. The schedule wakes whatever is due, so a forged item needs no message.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from secrets import token_bytes
from typing import Any

from agent_continuations.auth.approval_links import ApprovalLinks
from agent_continuations.auth.callers import Callers
from agent_continuations.auth.event_signatures import EventSignatures
from agent_continuations.bootstrap.aws import keys
from agent_continuations.core.approvals.grant import ArgumentRule, Grant
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.decisions.responses import Decide
from agent_continuations.core.ids import opaque_id
from agent_continuations.ports.inbound_queue import EventMessage, message_text
from agent_continuations.ports.store import Store
from agent_continuations.services.runs import DEFAULT_TENANT
from agent_continuations.services.services import Services
from agents.procurement import order
from tests.e2e.conftest import Client, System
from tests.e2e.roles.attacker import Attacker
from tests.e2e.roles.rehearsal import Rehearsal, Written

LEAD, LEGAL, LAWYER = "lead@example.com", "group:legal", "lena@example.com"
ARRIVED = "goods-arrived"
YEARS = timedelta(days=3650)

APPROVES, APPROVES_HIGH = "approves", "approves, high risk"
LINKS, LINKS_HIGH = "approves by a link", "by a link, high risk"
GRANTS, STARTS, CANCELS = "makes a standing approval", "starts a run", "cancels a run"
STRANGER, FALSE = "mails a link to a stranger", "mails false arguments"
EVENT = "sends a false event"
COLUMNS = (
    *(APPROVES, APPROVES_HIGH, LINKS, LINKS_HIGH, GRANTS, STRANGER, FALSE, STARTS, CANCELS),
    EVENT,
)


@dataclass(frozen=True)
class Attack:
    """Something that an attacker does once.

    Attributes:
        strike: does it; returns whether any of its requests was authorized.
        succeeded: for each column of the page, whether the attack came to that. To be asked once
            everything that was due has been done.
    """

    strike: Callable[[Attacker], bool]
    succeeded: Mapping[str, Callable[[], bool]]


class Attacks:
    """Prepares attacks.

    Args:
        client: whoever stands before the front door.
        system: the deployed system.
        rehearsal: finds out what commands would write.
    """

    def __init__(self, client: Client, system: System, rehearsal: Rehearsal) -> None:
        self._client, self._system, self._rehearsal = client, system, rehearsal

    def prepare(self, names: Sequence[str]) -> dict[str, list[Attack]]:
        """The attacks of some attackers, each on runs of its own that wait for two approvals."""
        kinds = {
            "decided": self._decisions,
            "linked": self._links,
            "notified": self._notices,
            "cancelled": self._cancellation,
        }
        runs = {name: {kind: self._start(f"{kind} {name}") for kind in kinds} for name in names}
        orders = {name: self._await_goods(name) for name in names}
        with self._rehearsal.opened():
            return {
                name: [
                    *(attack(runs[name][kind], f"{kind} {name}") for kind, attack in kinds.items()),
                    self._grant(f"granted {name}"),
                    self._new_run(f"started {name}"),
                    self._event(orders[name], name),
                ]
                for name in names
            }

    def let_things_happen(self, names: Sequence[str]) -> None:
        """What happens anyway: people start runs, and the schedule wakes what is due."""
        for name in names:
            self._start(f"granted {name}")
        with self._refused_soon():
            self._system.quiet()
        self._system.sweep()
        self._system.quiet()

    @contextmanager
    def _refused_soon(self) -> Iterator[None]:
        """A message that is not verified is received again within seconds, not minutes."""
        sqs, queue = self._system.stack.client("sqs"), self._system.stack.resource("InboundQueue")
        name = "VisibilityTimeout"
        before = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=[name])["Attributes"]
        sqs.set_queue_attributes(QueueUrl=queue, Attributes={name: "3"})
        try:
            yield
        finally:
            sqs.set_queue_attributes(QueueUrl=queue, Attributes=before)

    def _start(self, what: str) -> str:
        return self._client.start("procurement", _task(what))

    def _requests(self, run_id: str) -> dict[str, dict[str, Any]]:
        """What a run waits for, by tool."""
        return {each["tool"]: each for each in self._client.suspended(run_id, waiting=2)["waiting"]}

    def _ran(self, tool: str, what: str) -> Callable[[], bool]:
        """Whether a tool has run for a task."""
        words = {"order": what, "sign_contract": _one_word(what)}
        return lambda: (
            words[tool]
            in [value for each in self._system.ran(tool) for value in each["arguments"].values()]
        )

    def _decisions(self, run_id: str, what: str) -> Attack:
        """Say yes in the names of those who are asked, signed in."""
        requests = self._requests(run_id)

        def decide(_store: Store, services: Services) -> None:
            for tool, approver, groups in (
                ("order", LEAD, ()),
                ("sign_contract", LAWYER, (LEGAL,)),
            ):
                response = Decide(
                    verdict=Verdict.APPROVE,
                    approver=approver,
                    decided_by=approver,
                    groups=groups,
                    via="session",
                    authentication="oidc https://issuer.example.com sub=1 amr=mfa",
                )
                services.decisions.decide(run_id, requests[tool]["request_id"], response)

        return Attack(
            _writes(self._rehearsal.written(run_id, decide)),
            {APPROVES: self._ran("order", what), APPROVES_HIGH: self._ran("sign_contract", what)},
        )

    def _links(self, run_id: str, what: str) -> Attack:
        """Read the key of approvers' links, and use links of one's own."""
        requests, secret = self._requests(run_id), self._system.stack.resource("SigningSecret")

        def strike(attacker: Attacker) -> bool:
            found = attacker.allowed("secretsmanager", "get_secret_value", SecretId=secret)
            if found is None:
                return False
            links = ApprovalLinks(keys(json.loads(found["SecretString"])))
            for tool, approver in (("order", LEAD), ("sign_contract", LEGAL)):
                asked = requests[tool]
                token = links.token(
                    run_id,
                    asked["request_id"],
                    approver,
                    datetime.now(UTC) + YEARS,
                    asked["arguments_hash"],
                )
                self._client.post(f"/approvals/{token}", decision="approve")
            return True

        succeeded = {LINKS: self._ran("order", what), LINKS_HIGH: self._ran("sign_contract", what)}
        return Attack(strike, succeeded)

    def _notices(self, run_id: str, what: str) -> Attack:
        """Have an approver's link mailed to a stranger, and other arguments to the approver."""
        self._requests(run_id)
        stranger = f"{_one_word(what).lower()}@stranger.example.org"
        false = f"paper clips, {what}"

        def forge(store: Store, _services: Services) -> None:
            [true] = [each for each in store.notices(run_id) if each.tool == "order"]
            forged: list[dict[str, Any]] = [
                {"undelivered": (f"email:{stranger} for {LEAD}",)},
                {"undelivered": (f"email:{stranger}",), "answerers": None},
                {"approvers": (stranger,), "answerers": (stranger,)},
                {"answerers": (stranger,)},
                {"arguments": {**true.arguments, "item": false}},
            ]
            for number, changed in enumerate(forged):
                fresh = {"notice_id": f"{true.notice_id}{number}", "due": true.created_at}
                fresh |= {"attempts": 0, "delivered": ()}
                store.update_notice(true.model_copy(update={**fresh, **changed}))

        def stranger_has_a_link() -> bool:
            mails = [each for each in self._client.mails() if stranger in each["to"]]
            links = [link for each in mails for link in each["links"]]
            return any(self._client.send("GET", link).status == 200 for link in links)

        return Attack(
            _writes(self._rehearsal.written(run_id, forge)),
            {
                STRANGER: stranger_has_a_link,
                FALSE: lambda: any(false in each["text"] for each in self._client.mails()),
            },
        )

    def _cancellation(self, run_id: str, _what: str) -> Attack:
        self._requests(run_id)
        written = self._rehearsal.written(
            run_id, lambda _, services: services.control.cancel(run_id)
        )
        return Attack(
            _writes(written), {CANCELS: lambda: self._client.run(run_id)["status"] == "cancelled"}
        )

    def _grant(self, what: str) -> Attack:
        """Approve for years what nobody has been asked."""
        now, anything = datetime.now(UTC), ArgumentRule(rule="any")
        grant = Grant(
            grant_id=opaque_id(token_bytes(10)),
            tenant=DEFAULT_TENANT,
            approver=LEAD,
            agent="procurement",
            tool=order.name,
            schema_version=order.schema_version,
            conditions={
                **dict.fromkeys(("amount", "supplier", "express"), anything),
                "item": ArgumentRule(rule="is", value=what),
            },
            made_at=now,
            expires_at=now + YEARS,
            via="session",
            run_id=opaque_id(token_bytes(15)),
            request_id=opaque_id(token_bytes(10)),
        )
        written = self._rehearsal.written(None, lambda store, _: store.grant(grant))
        return Attack(_writes(written), {GRANTS: self._ran("order", what)})

    def _new_run(self, what: str) -> Attack:
        run_ids: list[str] = []

        reader = Callers().find(self._system.stack.client("sts").get_caller_identity()["Arn"])

        def start(_store: Store, services: Services) -> None:
            head = services.runs.start("procurement", f"Nothing, {what}.", starter=reader.name)
            run_ids.append(head.run_id)

        written = self._rehearsal.written(None, start)
        return Attack(_writes(written), {STARTS: lambda: self._completed(*run_ids)})

    def _await_goods(self, name: str) -> str:
        """A run that waits for an event."""
        return self._client.start("logistics", f"Deliver order {_order(name)}.")

    def _event(self, run_id: str, name: str) -> Attack:
        """Send an event that nobody has sent: as an item, by the bus, and by the inbound queue."""
        self._client.suspended(run_id, waiting=2)
        stack, event = self._system.stack, {"name": ARRIVED, "correlation": _order(name)}

        def signal(_store: Store, services: Services) -> None:
            services.inbound.signal(run_id, ARRIVED, None, correlation=_order(name), key="false")

        written = _writes(self._rehearsal.written(run_id, signal))
        entry = {
            "EventBusName": stack.resource("EventBus"),
            "Source": "false",
            "DetailType": "Agent Run Event",
            "Detail": json.dumps({"run_id": run_id, **event}),
        }
        message = EventMessage(run_id=run_id, key="false", at=datetime.now(UTC), **event)

        def strike(attacker: Attacker) -> bool:
            secret = attacker.allowed(
                "secretsmanager", "get_secret_value", SecretId=stack.resource("EventSecret")
            )
            known = keys(json.loads(secret["SecretString"])) if secret else ["a key of its own" * 3]
            bodies = [
                message_text(each) for each in (message, EventSignatures(known).signed(message))
            ]
            sent = [
                attacker.allowed(
                    "sqs", "send_message", QueueUrl=stack.resource("InboundQueue"), MessageBody=body
                )
                for body in bodies
            ]
            put = attacker.allowed("events", "put_events", Entries=[entry])
            return written(attacker) or bool(put) or any(sent)

        return Attack(strike, {EVENT: lambda: "event" not in self._kinds(run_id)})

    def _kinds(self, run_id: str) -> list[str]:
        return [each["kind"] for each in self._client.run(run_id)["waiting"]]

    def _completed(self, run_id: str) -> bool:
        answer = self._client.send("GET", f"/runs/{run_id}")
        return answer.status == 200 and bool(answer.json["status"] == "completed")


def _writes(written: Sequence[Written]) -> Callable[[Attacker], bool]:
    """A strike that leaves items in the tables, due at once."""
    now = {"N": str(int(time.time() * 1000))}
    items = [
        (each.table, {**each.item, **({"due": now} if "due" in each.item else {})})
        for each in written
    ]
    assert items, "the command has written nothing"

    def strike(attacker: Attacker) -> bool:
        return any([attacker.write(table, item) for table, item in items])  # noqa: C419 - all

    return strike


def _task(what: str) -> str:
    word = _one_word(what)
    return f"Order {what} for 450 from acme. Sign the contract with {word} for 2 years."


def _order(name: str) -> str:
    return f"of-{_one_word(name)}"


def _one_word(what: str) -> str:
    return what.replace(" ", "_")
