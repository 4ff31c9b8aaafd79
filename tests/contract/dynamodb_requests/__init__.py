"""Random requests to a DynamoDB table, in the store's style, and wrong ones in every way it knows.

`expressions.py` makes conditions and updates, `valid.py` requests that should be accepted, and
`wrong.py` requests that should be refused, or that are just inside a limit.
"""
