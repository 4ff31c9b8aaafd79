"""Write the file of the present form."""

import sys

from agent_continuations.safe_text import escape_json
from agent_continuations.views.recording import RECORDING_FORM
from tests.contract.recordings import HERE, recorded

path = HERE / f"{'-'.join([str(RECORDING_FORM), *sys.argv[1:]])}.json"
if path.exists():
    sys.exit(f"{path.name} exists already and must not be changed")
path.write_text(escape_json(recorded().model_dump(mode="json")) + "\n", encoding="utf-8")
