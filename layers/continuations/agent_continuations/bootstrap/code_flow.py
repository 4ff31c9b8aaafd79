"""Signing in with the identity provider."""

import os

from agent_continuations.auth.login import CodeFlow
from agent_continuations.bootstrap.aws import SECRET_SECONDS, keys, refreshed_every, secret
from agent_continuations.bootstrap.sign_in import oidc_provider


@refreshed_every(SECRET_SECONDS)
def code_flow(base_url: str) -> CodeFlow:
    """The OIDC code flow, which redirects back to the API at `base_url`."""
    return CodeFlow(
        oidc_provider(),
        keys(secret(os.environ["SIGNIN_SECRET"])),
        client_secret=secret(os.environ["OIDC_SECRET"])["client_secret"],
        redirect_uri=f"{base_url}/signin/callback",
    )
