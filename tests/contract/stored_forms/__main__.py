"""Write the file of the present form."""

import json
import sys

from agent_continuations.adapters.stores.dynamodb.items import FORM
from tests.contract.stored_forms import HERE, new_content

path = HERE / f"{FORM}.json"
if path.exists():
    sys.exit(f"{path.name} exists already and must not be changed")
path.write_text(json.dumps(new_content(), indent=1) + "\n")
