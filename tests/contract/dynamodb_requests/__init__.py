"""Random requests to a DynamoDB table, in the store's style, and wrong ones in every way it knows.

`valid.py` makes requests that should be accepted, with conditions and updates of `expressions.py`.
`wrong.py` makes requests that should be refused, with `wrong_expressions.py`, and `limits.py` those
that are just inside or outside of a limit.
"""
