"""No test may reach an AWS account, whatever the shell that runs it is set up for."""

from tests.local.ministack import keep_to_ourselves

keep_to_ourselves()
