"""Onboarding of a colleague by an HR agent.

Its sub-agent, the account agent, needs approval before it authorizes a security level.
"""

from typing import Literal

from agent_continuations import Agent, Approval, ToolContext, tool


@tool(effect="idempotent")
def send_welcome_mail(to: str, name: str, context: ToolContext) -> str:
    """Send the welcome mail to a new colleague.

    Args:
        to: the colleague's mail address.
        name: how the colleague is addressed.
    """
    # With the key, a mail service sends the mail only once, however often the call is repeated.
    return f"Welcome mail to {name} <{to}> is on its way (reference {context.idempotency_key[:8]})."


@tool(effect="idempotent")
def create_account(username: str, context: ToolContext) -> dict[str, str]:
    """Create a user account without any authorization.

    Args:
        username: the account's name.
    """
    return {"username": username, "account_id": f"acc-{context.idempotency_key[:8]}"}


@tool(approval=Approval(approvers=["security@example.com"]))
def authorize(account_id: str, level: Literal["basic", "confidential", "secret"]) -> str:
    """Give an account a security level.

    Args:
        account_id: the account, as `create_account` gave it.
        level: the security level.
    """
    return f"Account {account_id} is authorized for {level}."


account_agent = Agent(
    name="account_agent",
    instructions=(
        "You manage user accounts. Create the account first, then authorize the security level"
        " that was asked for. If an authorization is rejected, say so and why; do not retry."
    ),
    tools=[create_account, authorize],
)

hr = Agent(
    name="hr",
    instructions=(
        "You onboard new colleagues: send them the welcome mail, and have the account agent set up"
        " their account with the security level of their role. Then report what was done."
    ),
    tools=[
        send_welcome_mail,
        account_agent.as_tool(description="Creates accounts and authorizes security levels."),
    ],
)
