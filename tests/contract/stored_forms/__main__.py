"""Write the file of the form that the code has now."""

import json
import sys

from agent_continuations.adapters.stores.dynamodb.items import FORM
from tests.contract.stored_forms import HERE, written

path = HERE / f"{FORM}.json"
if path.exists():
    sys.exit(f"{path.name} is there already, and stays as it was written")
path.write_text(json.dumps(written(), indent=1) + "\n")
