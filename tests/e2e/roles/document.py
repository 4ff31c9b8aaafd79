"""The page that says what each role may do."""

from collections.abc import Callable, Mapping, Sequence

from tests.e2e.roles.attacks import COLUMNS
from tests.e2e.roles.observed import Observed
from tests.local.template import ROOT

PLACE = ROOT / "layers" / "continuations" / "docs" / "roles.md"

_BEGINNING = """\
# What each role can do

Suppose that somebody has the credentials of one function, and nothing else. `make test` deploys
`template.yaml` on the local stack with IAM enforced, takes the credentials of each role in turn,
and sends the requests below. An empty cell means AccessDenied.

`python -m tests.e2e.roles` writes this page. The test fails when the page differs from what is
seen, so a right that is added to the template shows here.

## Rights

An administrator, who may do everything, and a role without rights send the same requests: the one
is never refused, the other always. So each cell shows a right, not a mistake in the request. The
only exception is publishing to topics, which the local stack allows to everyone: that column is
read from the policies of the roles. No role can assume another one. Tried are:

"""

_MIDDLE = """
## Attacks

The attacker knows all that is stored. The items that an attack needs are written past the code of
the functions, by any request that is allowed. Then the schedule wakes what is due. **yes** means
that the attack came to its end: a gated tool ran, a mail arrived, a run completed. "no effect"
means that requests were allowed, but nothing came of them.

- **approves**: writes a decision in the name of an approver, as if they had signed in; for a call
  of low risk, and for one of high risk.
- **approves by a link**: reads the key of approvers' links, and uses a link made with it.
- **makes a standing approval**: writes a grant; then somebody starts a run whose call it covers.
- **mails a link to a stranger**: writes notices that name a stranger, as the recipient for an
  approver or as an approver. The stranger's link must open the request.
- **mails false arguments**: writes a notice to the approver with arguments that are not the
  call's. The page behind its link shows those of the call.
- **starts a run**, **cancels a run**: writes the items of a new run; writes another head.
- **sends a false event**: writes an event for a run that waits for one, puts it on the bus, and
  sends it to the inbound queue, signed if the key can be read.

"""


_END = """
## Messages and objects

- `AdvanceQueue`, `ResumeQueue` and `NotifyQueue` carry wake-up messages. Nothing counts in them but
  the ids of a run and a notice: a forged message makes the engine look whether there is work.
- `InboundQueue` carries outcomes and events. Each proves who sent it: the outcome of a job or of a
  tool's attempt by the token that was made for it, an event by its signature. Who can read
  `CallbackSecret` can make tokens, and so report false outcomes of calls that have begun, or that
  wait for a job; no call begins by that.
- An object of `Bucket` is read only if it has the hash in its item. One that is replaced makes its
  run unreadable until the version before is restored; nothing else runs.
"""


def page(seen: Observed) -> str:
    """The page, as Markdown."""

    def rights(role: str, column: str) -> str:
        return ", ".join(seen.held[role].get(column, ()))

    def results(role: str, column: str) -> str:
        return seen.results[role][column]

    tried = "".join(f"- **{column}**: {', '.join(names)}\n" for column, names in seen.tried.items())
    return (
        _BEGINNING
        + tried
        + "\n"
        + _table(seen.held, list(seen.tried), rights)
        + _MIDDLE
        + _table(seen.results, COLUMNS, results)
        + _END
    )


def _table(
    roles: Mapping[str, object], columns: Sequence[str], cell: Callable[[str, str], str]
) -> str:
    lines = [["role", *columns], ["---"] * (1 + len(columns))]
    lines += [[_name(role), *(cell(role, column) for column in columns)] for role in roles]
    return "".join(
        f"|{''.join(f' {each} |' if each else ' |' for each in line)}\n" for line in lines
    )


def _name(role: str) -> str:
    return role if " " in role else f"`{role}`"
