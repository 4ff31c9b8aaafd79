"""The pages of a local run: the start page with the agents, and the inbox of sent e-mails."""

import json
import re
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from agent_continuations.auth.cookies import SESSION, set_cookie
from agent_continuations.html.renderer import PageRenderer
from tests.local.front import Front, Headers, Inbox
from tests.local.live_agents import LiveAgents

NEWEST_RUNS = 10
NEWEST_MAILS = 5
MAX_INPUT_CHARACTERS = 140
EXAMPLES = {
    "hr": "Onboard Ada Lovelace (ada@example.com), confidential",
    "treasury": "Pay 50 to ops, 2500 to reserve, and close old-vendor",
    "procurement": "Order two chairs for 4500 from acme, sign the contract with acme for 2 years",
    "logistics": "Deliver order o-1 in 2 parcels",
}
_PAGES = PageRenderer(Path(__file__).with_name("templates"))
_LINK = re.compile(r"(https?://\S+/approvals/[\w./-]+)")

Page = tuple[HTTPStatus, Headers, bytes]


class LocalPages:
    """The pages of the front server.

    Args:
        front: reads the API.
        inbox: the sent e-mails.
        live: the agents; None where they are not watched.
        scripted: whether the agents' model is their script.
        sign_in_as: tells the test provider who signs in next, by address and groups; None if
            another provider is used.
    """

    def __init__(
        self,
        front: Front,
        inbox: Inbox,
        live: LiveAgents | None = None,
        *,
        scripted: bool = False,
        sign_in_as: Callable[[str, str], None] | None = None,
    ) -> None:
        self._front = front
        self._inbox = inbox
        self._live = live
        self._scripted = scripted
        self._sign_in_as = sign_in_as

    def answer(self, method: str, path: str, body: bytes) -> Page | None:
        """The answer to a request; None if it is for the API."""
        url = urlsplit(path)
        reads = method in ("GET", "HEAD")
        match url.path:
            case "/inbox.json" if reads:
                content = json.dumps({"items": self._inbox.mails()}).encode()
                return HTTPStatus.OK, [("Content-Type", "application/json")], content
            case "/inbox" if reads:
                return self._inbox_page(_single(url.query).get("to", ""))
            case "/" if reads and self._live:
                return self._start_page(self._live, {}, "")
            case "/start" if method == "POST" and self._live:
                return self._start(self._live, _single(body.decode("utf-8", "replace")))
            case "/sign-in-as" if method == "POST" and self._sign_in_as:
                person = _single(body.decode("utf-8", "replace")).get("person", "")
                return _sign_in(self._sign_in_as, person)
        return None

    def _start_page(self, live: LiveAgents, typed: Mapping[str, str], problem: str) -> Page:
        runs, people = self._runs()
        mails = [_shown(mail) for mail in self._inbox.mails()[:NEWEST_MAILS]]
        broken = live.broken
        return _page(
            "start.html",
            {
                "agents": [each for each in live.agents if each["startable"]],
                "broken": broken and {"at": _clock(broken.at), "text": broken.text},
                "can_sign_in": self._sign_in_as is not None,
                "examples": EXAMPLES,
                "folder": str(live.folder.path),
                "mails": mails,
                "people": [{"name": name, "requests": each} for name, each in people.items()],
                "problem": problem,
                "runs": runs,
                "script": str(live.folder.script),
                "scripted": self._scripted,
                "typed": {"agent": "", "input": "", **typed},
            },
            HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK,
        )

    def _start(self, live: LiveAgents, form: Mapping[str, str]) -> Page:
        body = json.dumps({name: form.get(name, "") for name in ("agent", "input")}).encode()
        answer = self._front.forward("POST", "/runs", {"Content-Type": "application/json"}, body)
        document = json.loads(answer.data)
        if answer.status != HTTPStatus.ACCEPTED:
            return self._start_page(live, form, str(document.get("detail") or document))
        return HTTPStatus.SEE_OTHER, [("Location", f"/web/runs/{document['run_id']}")], b""

    def _runs(self) -> tuple[list[dict[str, Any]], dict[str, list[str]]]:
        """The newest runs, and the requests of suspended ones, by the people who are asked."""
        runs: list[dict[str, Any]] = []
        people = defaultdict[str, list[str]](list)
        for run in self._read("/runs?limit=50").get("items", ()):
            if len(runs) < NEWEST_RUNS:
                text = str(self._read(f"/runs/{run['run_id']}/continuation").get("input", ""))
                cut = "…" if len(text) > MAX_INPUT_CHARACTERS else ""
                runs.append({**run, "input": text[:MAX_INPUT_CHARACTERS] + cut, "time": _at(run)})
            if run["status"] != "suspended":
                continue
            for wait in self._read(f"/runs/{run['run_id']}").get("waiting", ()):
                for person in wait.get("approvers") or ():
                    people[person].append(wait.get("tool") or wait["kind"])
        return runs, people

    def _read(self, path: str) -> dict[str, Any]:
        answer = self._front.forward("GET", path, {}, b"")
        read = json.loads(answer.data)
        return read if answer.status == HTTPStatus.OK and isinstance(read, dict) else {}

    def _inbox_page(self, to: str) -> Page:
        mails = [_shown(mail) for mail in self._inbox.mails() if not to or to in mail["to"]]
        return _page("inbox.html", {"mails": mails, "to": to})


def _sign_in(sign_in_as: Callable[[str, str], None], person: str) -> Page:
    """Signs the browser in as a person, or as somebody of a group, and opens the inbox."""
    is_group = person.startswith("group:")
    group = person.removeprefix("group:") if is_group else ""
    sign_in_as(f"member-of-{group}@example.com" if is_group else person, group)
    signed_out = set_cookie(SESSION, "", secure=False, seconds=0)
    location = f"/signin?{urlencode({'next': '/approvals'})}"
    return HTTPStatus.SEE_OTHER, [("Location", location), ("Set-Cookie", signed_out)], b""


def _shown(mail: Mapping[str, Any]) -> dict[str, Any]:
    parts = enumerate(_LINK.split(mail["text"]))
    return {
        **mail,
        "time": _clock(mail["at"]),
        "parts": [{"link": number % 2 == 1, "text": text} for number, text in parts],
    }


def _at(run: Mapping[str, Any]) -> str:
    return _clock(datetime.fromisoformat(run["created_at"]).timestamp())


def _clock(at: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at))


def _single(text: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(text, keep_blank_values=True).items()}


def _page(template: str, variables: Mapping[str, Any], status: HTTPStatus = HTTPStatus.OK) -> Page:
    response = _PAGES.render(template, variables, status)
    headers = [(name, str(value)) for name, value in response.headers.items()]
    content = [("Content-Type", "text/html; charset=utf-8")]
    return status, [*content, *headers], str(response.body).encode()
