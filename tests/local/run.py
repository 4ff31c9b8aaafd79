"""`make run`: the whole system on this machine, until Ctrl-C."""

import fcntl
import json
import os
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any, NoReturn
from urllib.parse import urlsplit

from rich.console import Console

from tests.local import log_view
from tests.local.agents_folder import AgentsFolder, BuiltAgents, chosen_folder
from tests.local.front import Front, Inbox
from tests.local.issuer import IssuerServer
from tests.local.live_agents import LiveAgents
from tests.local.live_functions import LiveFunctions
from tests.local.ministack import isolate_from_aws
from tests.local.model_server import ModelServer
from tests.local.pages import EXAMPLES, LocalPages
from tests.local.stack import Parameters, Provider, Stack
from tests.local.template import ROOT

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
DEFAULT_PORT = 8000
MAX_PORT = 65_535


class CannotStart(Exception):
    """The system cannot start; the message is one clear line."""


def main() -> int:
    """Starts the system, prints its URLs, runs until a signal, and stops everything."""
    isolate_from_aws()
    for number in _SIGNALS:
        signal.signal(number, _interrupt)
    home = Path(os.environ.get("RUN_DIR") or ROOT / ".run").resolve()
    try:
        with ExitStack() as ends:
            ends.enter_context(_only_one(home))
            try:
                LocalRun(home, ends).serve()
            finally:
                _ignore_signals()  # what was started is ended in any case
    except KeyboardInterrupt:
        return 0
    except (CannotStart, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1


def _interrupt(*_: object) -> None:
    _ignore_signals()
    print("\nstopping; the state is kept for the next start", flush=True)
    raise KeyboardInterrupt


def _ignore_signals() -> None:
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


class LocalRun:
    """One start of the system.

    Args:
        home: folder of its state.
        ends: collects what must be ended.
    """

    def __init__(self, home: Path, ends: ExitStack) -> None:
        self._home = home
        self._ends = ends
        self._started = time.monotonic()
        self._console = Console(highlight=False, markup=False, emoji=False)
        self._stop = Event()
        self._log = home / "log.jsonl"
        self._issuer: IssuerServer | None = None
        self._scripted = False

    def serve(self) -> NoReturn:
        """Brings the system up, and serves until a signal.

        Raises:
            CannotStart: a setting is wrong, or something is missing.
            RuntimeError: a step failed; the message contains the end of its output.
            KeyboardInterrupt: a signal was received.
        """
        address = self._home / "api_url"
        address.unlink(missing_ok=True)  # of a start that was killed
        try:
            level = log_view.wanted_level()
        except ValueError as error:
            raise CannotStart(str(error)) from None
        if not shutil.which("make"):
            raise CannotStart("make is missing: it builds the layers; install it and start again")
        front = _front()
        self._ends.callback(front.close)
        folder = chosen_folder()
        live = self._agents(folder, front)
        self._say(f"importing the agents in {folder.path}")
        live.load()
        variables = log_view.prepare(self._log)
        stack = Stack(self._home, self._parameters(front.url, folder, live), self._say, variables)
        self._ends.callback(stack.down)
        stack.up()
        self._functions = functions = stack.live()
        functions.speed_up_others()
        live.deploy()
        inbox = Inbox(stack.ministack.url, self._home / "inbox.json")
        pages = LocalPages(
            front, inbox, live, scripted=self._scripted, sign_in_as=self._next_person()
        )
        front.open(stack.api_url, pages.answer)
        self._warm_up(front, functions)
        address.write_text(front.url)
        self._ends.callback(address.unlink, missing_ok=True)
        self._say("ready\n")
        self._welcome(front.url, live)
        self._in_background(live.watch, self._stop)
        self._in_background(
            log_view.show, self._log, level, self._console, self._stop, live.with_own_paths
        )
        self._ends.callback(self._stop.set)
        _print_mails(inbox, self._console)

    def _agents(self, folder: AgentsFolder, front: Front) -> LiveAgents:
        """The agents; they are released once there are functions."""

        def release(built: BuiltAgents) -> None:
            self._functions.release(built.python)
            if self._stop.is_set() or not front.api_url:
                return
            Thread(target=self._warm_up, args=(front, self._functions), daemon=True).start()

        library = self._home / "build" / "ContinuationsLayer" / "python"
        live = LiveAgents(folder, self._home / "agents", library, release, self._say, front.held)
        self._ends.callback(live.close)
        return live

    def _parameters(self, url: str, folder: AgentsFolder, live: LiveAgents) -> Parameters:
        base_url, key = os.environ.get("OPENAI_BASE_URL", ""), os.environ.get("OPENAI_API_KEY", "")
        if not base_url and not key:
            self._scripted = True
            server = self._server("model_port", lambda port: ModelServer(live.respond, port=port))
            base_url = server.base_url
            self._say(f"no OPENAI_API_KEY or OPENAI_BASE_URL: scripted model, {folder.script}")
        return Parameters(
            public_url=url,
            openai_base_url=base_url,
            openai_api_key=key,
            model=os.environ.get("MODEL") or "gpt-5-mini",
            provider=self._provider(url),
            agents=folder.path,
            log_level="DEBUG",
        )

    def _provider(self, url: str) -> Provider:
        if os.environ.get("OIDC_ISSUER"):
            return Provider(
                issuer=os.environ["OIDC_ISSUER"],
                client_id=os.environ.get("OIDC_CLIENT_ID", ""),
                client_secret=os.environ.get("OIDC_CLIENT_SECRET", ""),
                groups_claim=os.environ.get("OIDC_GROUPS_CLAIM") or "groups",
            )
        server = self._server("issuer_port", lambda port: IssuerServer(port=port))
        server.redirect_uris = {f"{url}/signin/callback"}
        self._issuer = server
        self._say("no OIDC_ISSUER: test provider that accepts any identity")
        return Provider(server.url, server.client_id, server.client_secret)

    def _server(self, name: str, make: Callable[[int], Any]) -> Any:
        """A server on the port of the previous start, so that it need not be deployed again."""
        kept = self._home / name
        port = int(kept.read_text()) if kept.exists() else 0
        try:
            server = make(port)
        except OSError:  # another program has it now
            server = make(0)
        self._ends.enter_context(server)
        url = server.base_url if isinstance(server, ModelServer) else server.url
        kept.write_text(str(urlsplit(url).port))
        return server

    def _next_person(self) -> Callable[[str, str], None] | None:
        issuer = self._issuer
        if issuer is None:
            return None

        def sign_in_as(email: str, groups: str) -> None:
            issuer.next_person = (email, groups)

        return sign_in_as

    def _warm_up(self, front: Front, functions: LiveFunctions) -> None:
        worker = Thread(target=functions.warm_up, daemon=True)
        worker.start()
        front.forward("GET", "/runs", {}, b"")
        worker.join()

    def _welcome(self, url: str, live: LiveAgents) -> None:
        names = [each["name"] for each in live.agents if each["startable"]]
        first = names[0] if names else "AGENT"
        body = json.dumps({"agent": first, "input": EXAMPLES.get(first, "Hello")})
        welcome = _WELCOME.format(
            url=url,
            agents=", ".join(names),
            folder=live.folder.path,
            log=self._log,
            body=shlex.quote(body),
        )
        if self._scripted and not live.folder.script.exists():
            welcome += _NO_MODEL.format(script=live.folder.script, agent=first)
        self._console.print(welcome, soft_wrap=True)

    def _in_background(self, work: Callable[..., object], *arguments: Any) -> None:
        Thread(target=work, args=arguments, daemon=True, name=work.__name__).start()

    def _say(self, line: str) -> None:
        self._console.print(f"{time.monotonic() - self._started:6.1f} s  {line}", soft_wrap=True)


@contextmanager
def _only_one(home: Path) -> Iterator[None]:
    """Locks the folder of the state.

    Raises:
        CannotStart: another system uses the folder, or it cannot be written.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = (home / "lock").open("a+", encoding="utf-8")
    except OSError as error:
        raise CannotStart(f"{home} cannot be written: {error.strerror}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            raise CannotStart(
                f"process {lock.read().strip() or '(unknown)'} runs on {home}: stop it, or set"
                " RUN_DIR and PORT for a second system"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _front() -> Front:
    """The front server on the port that `PORT` names.

    Raises:
        CannotStart: the port cannot be used.
    """
    text = os.environ.get("PORT") or str(DEFAULT_PORT)
    if not text.isascii() or not text.isdigit() or int(text) > MAX_PORT:
        raise CannotStart(f"PORT must be a number from 0 to {MAX_PORT}: {text}")
    try:
        return Front(int(text))
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise CannotStart(
            f"port {text}: {why}; set PORT to another port, such as PORT={DEFAULT_PORT + 1}"
        ) from None


def _print_mails(inbox: Inbox, console: Console) -> NoReturn:
    """Prints each new e-mail, until a signal."""
    printed = {mail["id"] for mail in inbox.mails()}
    while True:
        time.sleep(1)
        mails = []
        with suppress(OSError, ValueError):  # a busy emulator answers the next time
            mails = inbox.mails()
        for mail in reversed(mails):
            if mail["id"] not in printed:
                printed.add(mail["id"])
                console.print(f"  e-mail to {', '.join(mail['to'])}: {mail['subject']}")
                for link in mail["links"]:
                    console.print(f"    {link}", soft_wrap=True)


_WELCOME = """\
  start page  {url}/ (agents, people, runs, e-mails)
  API         {url}/runs
  dashboard   {url}/web
  e-mails     {url}/inbox
  approvals   {url}/approvals
  agents      {folder} ({agents}); a change there is live within seconds
  log         {log} (LOG=debug shows more of it here)

  curl -s {url}/runs -H 'content-type: application/json' \\
    -d {body}

Press Ctrl-C to stop.
"""

_NO_MODEL = """
There is no model. Set OPENAI_API_KEY or OPENAI_BASE_URL, or write the replies of each agent into
{script}:

  from agent_continuations import call, say

  SCRIPT = {{"{agent}": [call("tool_name", argument=1), say("Done.")]}}
"""
