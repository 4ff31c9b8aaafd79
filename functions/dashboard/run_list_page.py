"""The list of runs."""

from collections.abc import Mapping
from urllib.parse import urlencode

from aws_lambda_powertools.event_handler import Response

from agent_continuations.core.run import Status
from agent_continuations.handlers.routing import parsed_status
from agent_continuations.services.runs import RunService
from dashboard.rendering import PAGES

QUERY = ("status", "agent", "cursor")
PAGE_SIZE = 50


def of_runs(runs: RunService, query: Mapping[str, str]) -> Response[str]:
    """The page of the runs that a query selects. Empty fields of the filter form are ignored.

    Raises:
        Invalid: the status or the cursor is unknown.
    """
    wanted = {name: value for name, value in query.items() if value}
    found = runs.page(
        status=parsed_status(wanted.get("status")),
        agent=wanted.get("agent"),
        cursor=wanted.get("cursor"),
        limit=PAGE_SIZE,
    )
    chosen = {name: value for name, value in wanted.items() if name != "cursor"}
    variables = {
        "heads": found.heads,
        "statuses": [each.value for each in Status],
        "status": chosen.get("status", ""),
        "agent": chosen.get("agent", ""),
        "further": urlencode({**chosen, "cursor": found.next}) if found.next else "",
        "newest": f"?{urlencode(chosen)}" if "cursor" in wanted else "",
    }
    return PAGES.render("runs.html", variables)
