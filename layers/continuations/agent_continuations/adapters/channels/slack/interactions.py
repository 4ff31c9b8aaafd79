"""Interactions in Slack: a click on a button, or a reason in a modal.

Slack signs the id of the user. The user is mapped to an approver by the verified e-mail address of
a full member of the workspace, which must be among the approvers.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Protocol, TypeAlias
from urllib.parse import parse_qs

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from agent_continuations.adapters.channels.slack.blocks import (
    RequestRef,
    SlackMessage,
    message,
    read_asked,
    settled,
)
from agent_continuations.adapters.channels.slack.modals import REASON, ReasonDialog, dialog
from agent_continuations.core.approvals.policy import normalized
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.decisions.lookup import Request, find_request
from agent_continuations.core.decisions.responses import Decide
from agent_continuations.core.run import LoadedRun
from agent_continuations.errors import (
    AlreadyDecided,
    ContinuationError,
    Forbidden,
    Invalid,
    Retryable,
)
from agent_continuations.services.services import Services
from agent_continuations.views.decision import decision_result_view


class Workspace(Protocol):
    """The methods of the Slack client used here. All may raise `Retryable` and `Fatal`."""

    def is_authentic(self, body: str, headers: Mapping[str, str]) -> bool:
        """Whether Slack sent this within the last five minutes."""

    def email_of(self, user_id: str) -> str:
        """The confirmed e-mail address of a full member; `Forbidden` for anybody else."""

    def open(self, trigger_id: str, view: Mapping[str, Any]) -> None:
        """Open a modal for the person who clicked."""

    def update(self, channel: str, message: str, content: SlackMessage) -> None:
        """Replace a message."""

    def post_ephemeral(self, channel: str, user_id: str, content: SlackMessage) -> None:
        """Post a message that only one person sees."""


class _Sent(BaseModel):
    model_config = ConfigDict(frozen=True)  # Slack sends many more fields


class _User(_Sent):
    id: str


class _Action(_Sent):
    action_id: str
    value: str = ""


class _Place(_Sent):
    channel_id: str = ""
    message_ts: str = ""


class _Clicked(_Sent):
    type: Literal["block_actions"]
    user: _User
    trigger_id: str
    container: _Place
    actions: Annotated[tuple[_Action, ...], Field(min_length=1)]


class _Typed(_Sent):
    value: str | None = None


class _State(_Sent):
    values: dict[str, dict[str, _Typed]]


class _View(_Sent):
    private_metadata: str
    state: _State


class _Submitted(_Sent):
    type: Literal["view_submission"]
    user: _User
    view: _View


_Interaction: TypeAlias = Annotated[_Clicked | _Submitted, Field(discriminator="type")]
_INTERACTION: TypeAdapter[_Clicked | _Submitted] = TypeAdapter(_Interaction)


class SlackInteractions:
    """Handles interactions in Slack, and decides."""

    def __init__(self, workspace: Workspace, services: Services) -> None:
        self._workspace = workspace
        self._services = services

    def handle(self, body: str, headers: Mapping[str, str]) -> dict[str, Any] | None:
        """Handle an interaction.

        Args:
            body: exactly as received, because it is signed.
            headers: of the request, with the signature.

        Returns:
            The response to Slack, if any. The person gets a message in Slack.

        Raises:
            Forbidden: not signed by Slack within the last five minutes.
            Invalid: the interaction is unknown.
            Retryable: Slack or the store is not responding; the person can click again.
        """
        if not self._workspace.is_authentic(body, headers):
            raise Forbidden("not signed by Slack within the last five minutes")
        match _interaction(body):
            case _Clicked() as clicked:
                self._clicked(clicked)
                return None
            case _Submitted() as submitted:
                return self._submitted(submitted)

    def _clicked(self, clicked: _Clicked) -> None:
        action, container = clicked.actions[0], clicked.container
        if action.action_id not in set(Verdict):
            return  # a button that is a link; Slack reports these clicks, too
        verdict = Verdict(action.action_id)
        try:
            asked = read_asked(action.value)
            if asked.kind in ("approval", "condition") and verdict is Verdict.APPROVE:
                decided = self._decide(asked, verdict, clicked.user, reason=None)
                self._workspace.update(container.channel_id, container.message_ts, decided)
                return
            _, request, _ = self._find_request(asked, clicked.user)
            reason_dialog = ReasonDialog(
                asked=asked,
                verdict=verdict,
                channel=container.channel_id,
                message=container.message_ts,
            )
            self._workspace.open(clicked.trigger_id, dialog(reason_dialog, request.call.plan.tool))
        except Retryable:
            raise
        except ContinuationError as error:
            self._workspace.post_ephemeral(
                container.channel_id, clicked.user.id, message(str(error))
            )

    def _submitted(self, submitted: _Submitted) -> dict[str, Any] | None:
        typed = submitted.view.state.values.get(REASON, {}).get(REASON)
        reason = typed.value.strip() if typed and typed.value else ""
        try:
            reason_dialog = _read_dialog(submitted.view.private_metadata)
            decided = self._decide(
                reason_dialog.asked, reason_dialog.verdict, submitted.user, reason=reason or None
            )
        except Retryable:
            raise
        except ContinuationError as error:
            return {"response_action": "errors", "errors": {REASON: message(str(error)).text}}
        self._workspace.update(reason_dialog.channel, reason_dialog.message, decided)
        return None

    def _decide(
        self, asked: RequestRef, verdict: Verdict, user: _User, *, reason: str | None
    ) -> SlackMessage:
        """Record the answer, and return the message that replaces the notice.

        Where another decision came first, the message shows that one.
        """
        loaded, request, approver = self._find_request(asked, user)
        answer = Decide(
            verdict=verdict,
            approver=approver,
            via="slack",
            authentication=f"slack:{user.id}",
            reason=reason,
            arguments_hash=asked.shown_hash,
        )
        try:
            result = decision_result_view(
                asked.run_id, self._services.decisions.decide_loaded(loaded, request, answer)
            )
        except AlreadyDecided as error:
            result = error.decision
        return settled(asked, request.call.plan.tool, request.asked.arguments, result)

    def _find_request(self, asked: RequestRef, user: _User) -> tuple[LoadedRun, Request, str]:
        """The run, the request, and the approver that this user is.

        Raises:
            Forbidden: the user was not asked.
        """
        email = self._workspace.email_of(user.id)
        loaded = self._services.runs.load(asked.run_id)
        request = find_request(loaded, asked.request_id)
        return loaded, request, approver_of(request.approvers, email)


def _interaction(body: str) -> _Clicked | _Submitted:
    try:
        [payload] = parse_qs(body, strict_parsing=True, max_num_fields=5)["payload"]
        return _INTERACTION.validate_json(payload)
    except (KeyError, ValueError):  # pydantic raises a ValueError
        raise Invalid("unknown interaction", [("payload", "unknown")]) from None


def _read_dialog(text: str) -> ReasonDialog:
    try:
        return ReasonDialog.model_validate_json(text)
    except ValidationError:
        raise Invalid("unknown dialog") from None


def approver_of(approvers: Sequence[str], email: str) -> str:
    """The approver with this e-mail address.

    Raises:
        Forbidden: there is none.
    """
    for each in approvers:
        if normalized(each) == normalized(email):
            return each
    raise Forbidden("you were not asked for this decision")
