"""No test may reach an AWS account, whatever the shell that runs it is set up for."""

import logging

import pytest
from hypothesis import settings

from tests.local.ministack import isolate_from_aws

isolate_from_aws()
# A loaded machine is no fault of the code: no example has a deadline.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


@pytest.fixture(autouse=True)
def _own_loggers() -> None:
    """Undo what a function that was imported has done to the loggers of this process."""
    for name in ("agent_continuations", "agents"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.setLevel(logging.NOTSET)
        logger.propagate = True
