"""The updates of a head that is handed over in a document, and the condition of taking it over."""

from agent_continuations.adapters.stores.dynamodb.expressions import UpdateExpression
from agent_continuations.core.run import Status


def hand_over_update(status: Status, epoch: int, number: int, form: int) -> UpdateExpression:
    """Hand over a run that has this status and epoch."""
    return UpdateExpression(
        # The form keeps code that does not know the status from reading the run.
        sets=(
            "#status = :moved",
            "moved_from = :status",
            "moves = :number",
            "f = :form",
        ),
        removes=("due", "#owner", "lease_until"),
        conditions=("#status = :status", "epoch = :epoch"),
        values={
            ":moved": Status.MOVED,
            ":status": status,
            ":epoch": epoch,
            ":number": number,
            ":form": form,
        },
    )


def restorable(number: int) -> UpdateExpression:
    """The condition that no run is stored, or one that yields to the document of this number."""
    return UpdateExpression(
        conditions=("(attribute_not_exists(pk) OR (#status = :moved AND moves <= :number))",),
        values={":moved": Status.MOVED, ":number": number},
    )
