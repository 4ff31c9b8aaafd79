"""What somebody can do who has the credentials of one role of the template, and nothing else.

`rights.py` asks the deployed stack which requests it lets pass; `attacks.py` tries what matters to
the end; `document.py` is the page on which both are kept. `python -m tests.e2e.roles` writes it.
"""
