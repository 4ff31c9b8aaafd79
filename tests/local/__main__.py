"""`make run`: the whole system on this machine, until Ctrl-C."""

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from urllib.parse import urlsplit

from tests.local.front import Front, Inbox
from tests.local.issuer import IssuerServer
from tests.local.ministack import keep_to_ourselves
from tests.local.model_server import ModelServer
from tests.local.script import respond
from tests.local.stack import Parameters, Provider, Stack
from tests.local.template import ROOT

HOME = Path(os.environ.get("RUN_DIR") or ROOT / ".run")
DEFAULT_PORT = 8000


def main() -> int:
    """Start everything, print the addresses, and stop it all at the end."""
    keep_to_ourselves()
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    started = time.monotonic()
    HOME.mkdir(parents=True, exist_ok=True)
    address = HOME / "api_url"
    address.unlink(missing_ok=True)

    def say(line: str) -> None:
        print(f"{time.monotonic() - started:6.1f} s  {line}", flush=True)

    with ExitStack() as ends:
        port = int(os.environ.get("PORT") or DEFAULT_PORT)
        try:
            front = Front(port)
        except OSError as error:
            print(f"port {port}: {error.strerror}; PORT=... takes another", file=sys.stderr)
            return 1
        ends.callback(front.close)
        parameters = _parameters(front.url, ends, say)
        stack = Stack(HOME, parameters, say)
        ends.callback(stack.down)
        try:
            stack.up()
        except RuntimeError as error:
            print(error, file=sys.stderr)
            return 1
        inbox = Inbox(stack.ministack.url, HOME / "inbox.json")
        front.open(stack.api_url, inbox)
        front.forward("GET", "/runs", {}, b"")  # the first call starts the function
        address.write_text(front.url)
        say("ready\n")
        print(_WELCOME.format(url=front.url), flush=True)
        _watch(inbox, stop)
        print("\nstopping; the state is kept for the next start", flush=True)
        address.unlink(missing_ok=True)
    return 0


def _parameters(url: str, ends: ExitStack, say: Callable[[str], None]) -> Parameters:
    base_url, key = os.environ.get("OPENAI_BASE_URL", ""), os.environ.get("OPENAI_API_KEY", "")
    if not base_url and not key:
        server = ends.enter_context(ModelServer(respond, port=_port("model_port")))
        base_url = server.base_url
        (HOME / "model_port").write_text(str(urlsplit(base_url).port))
        say("no OPENAI_API_KEY and no OPENAI_BASE_URL: using the scripted model")
    agents = os.environ.get("AGENTS_DIR")
    return Parameters(
        public_url=url,
        openai_base_url=base_url,
        openai_api_key=key,
        model=os.environ.get("MODEL") or "gpt-5-mini",
        provider=_provider(url, ends, say),
        agents=Path(agents).resolve() if agents else None,
    )


def _provider(url: str, ends: ExitStack, say: Callable[[str], None]) -> Provider:
    if os.environ.get("OIDC_ISSUER"):
        return Provider(
            issuer=os.environ["OIDC_ISSUER"],
            client_id=os.environ.get("OIDC_CLIENT_ID", ""),
            client_secret=os.environ.get("OIDC_CLIENT_SECRET", ""),
            groups_claim=os.environ.get("OIDC_GROUPS_CLAIM") or "groups",
        )
    server = ends.enter_context(IssuerServer(port=_port("issuer_port")))
    (HOME / "issuer_port").write_text(str(urlsplit(server.url).port))
    server.redirect_uris = {f"{url}/signin/callback"}
    say("no OIDC_ISSUER: using a test provider that accepts any identity")
    return Provider(server.url, server.client_id, server.client_secret)


def _port(name: str) -> int:
    """The same port as the last time, so that nothing needs to be deployed again."""
    kept = HOME / name
    return int(kept.read_text()) if kept.exists() else 0


def _watch(inbox: Inbox, stop: Event) -> None:
    """Print each new mail, until stopped."""
    told = {mail["id"] for mail in inbox.mails()}
    while not stop.wait(1):
        for mail in reversed(inbox.mails()):
            if mail["id"] not in told:
                told.add(mail["id"])
                print(f"mail to {', '.join(mail['to'])}: {mail['subject']}", flush=True)
                print(*(f"  {link}" for link in mail["links"]), sep="\n", flush=True)


_WELCOME = """\
  API        {url}/runs
  runs       {url}/web, the list of runs, with a page for each
  mails      {url}/inbox, all mails, with their links
  approvals  {url}/approvals, the inbox of the signed-in person; the test provider needs no
             password: sign in as security@example.com, or with any address and the group legal

Start an onboarding, which waits for security@example.com, two agents deep:

  curl -s {url}/runs -H 'content-type: application/json' \\
    -d '{{"agent": "hr", "input": "Onboard Ada Lovelace (ada@example.com), confidential"}}'

Or payments, three agents deep, with two pending approvals:

  curl -s {url}/runs -H 'content-type: application/json' \\
    -d '{{"agent": "treasury", "input": "Pay 50 to ops, 2500 to reserve, and close old-vendor"}}'

Or a purchase: lead@example.com approves first, then cfo@example.com and audit@example.com; a
contract is high risk, so a member of the group legal must sign in to approve it:

  curl -s {url}/runs -H 'content-type: application/json' \\
    -d '{{"agent": "procurement",
         "input": "Order two chairs for 4500 from acme, sign the contract with acme for 2 years"}}'

Watch a run:  curl -s {url}/runs/RUN_ID        Ctrl-C stops everything.
"""


if __name__ == "__main__":
    sys.exit(main())
