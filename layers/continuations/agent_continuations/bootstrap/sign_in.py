"""The identity provider. This module imports no AWS client, because the authorizer needs none."""

import os
from functools import cache

from agent_continuations.auth.oidc import OidcProvider


@cache
def oidc_provider() -> OidcProvider:
    """The identity provider that the deployment names."""
    return OidcProvider(
        os.environ["OIDC_ISSUER"],
        os.environ["OIDC_CLIENT_ID"],
        groups_claim=os.environ["OIDC_GROUPS_CLAIM"],
    )
