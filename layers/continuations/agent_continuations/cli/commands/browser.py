"""The command that opens pages in the browser."""

import webbrowser
from urllib.parse import quote, urlsplit

import click

from agent_continuations.cli.exit_codes import InvalidUsage, Refused
from agent_continuations.cli.options import Settings, shared_options
from agent_continuations.cli.rendering import line_text
from agent_continuations.cli.selection import resolve_run_id

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@click.command("open")
@click.argument("run", required=False)
@click.option("--print", "only_print", is_flag=True, help="Only print the address.")
@shared_options()
@click.pass_obj
def open_page(settings: Settings, run: str | None, only_print: bool) -> None:
    """Open the page of a run in the browser.

    Without RUN, opens the start page of the local stack, or the list of runs of a deployed one.
    Prints the address, too.
    """
    url = settings.base_url.rstrip("/")
    host = _host(url)
    if run is not None:
        page = f"/web/runs/{quote(resolve_run_id(settings.api, run), safe='')}"
    else:
        page = "/" if host in _LOOPBACK else "/web"
    settings.print_result({"url": f"{url}{page}"}, lambda: iter([line_text(f"{url}{page}")]))
    if not only_print and not webbrowser.open(f"{url}{page}"):
        raise Refused("no browser could be opened; --print only prints the address")


def _host(url: str) -> str:
    """The host of an HTTP URL. A browser would open other ones, too.

    Raises:
        InvalidUsage: it is no HTTP URL.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https"):
        raise InvalidUsage(f"not an HTTP URL: {url}")
    return host
