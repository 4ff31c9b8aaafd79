"""Write the file of the present form."""

import sys

from agent_continuations.local.document import DOCUMENT_FORM
from tests.contract.stored_documents import HERE, new_document

path = HERE / f"{DOCUMENT_FORM}.json"
if path.exists():
    sys.exit(f"{path.name} exists already and must not be changed")
path.write_text(new_document() + "\n")
