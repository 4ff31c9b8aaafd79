"""The list of runs."""

from collections.abc import Mapping
from urllib.parse import urlencode

from aws_lambda_powertools.event_handler import Response

from agent_continuations import bootstrap
from agent_continuations.core.run import Status
from agent_continuations.errors import Invalid
from dashboard.rendering import PAGES

QUERY = ("status", "agent", "cursor")
PAGE_SIZE = 50


def of_runs(query: Mapping[str, str]) -> Response[str]:
    """The list of runs that match a query. Empty parameters, which forms send, are ignored.

    Raises:
        Invalid: the status or the cursor is unknown.
    """
    wanted = {name: value for name, value in query.items() if value}
    found = bootstrap.runs().page(
        status=_status(wanted.get("status")),
        agent=wanted.get("agent"),
        cursor=wanted.get("cursor"),
        limit=PAGE_SIZE,
    )
    chosen = {name: value for name, value in wanted.items() if name != "cursor"}
    words = {
        "heads": found.heads,
        "statuses": [each.value for each in Status],
        "status": chosen.get("status", ""),
        "agent": chosen.get("agent", ""),
        "further": urlencode({**chosen, "cursor": found.next}) if found.next else "",
        "newest": f"?{urlencode(chosen)}" if "cursor" in wanted else "",
    }
    return PAGES.render("runs.html", words)


def _status(text: str | None) -> Status | None:
    if text is None or text in set(Status):
        return Status(text) if text else None
    raise Invalid("unknown status", [("status", f"must be one of {', '.join(Status)}")])
