"""No test may reach an AWS account, whatever the shell that runs it is set up for."""

from hypothesis import settings

from tests.local.ministack import isolate_from_aws

isolate_from_aws()
# A loaded machine is no fault of the code: no example has a deadline.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
