"""The composition root on AWS: from a Lambda's environment to the objects that it uses.

Each is made once a container, when it is first asked for. One module a subject, and what a function
does not ask for is not imported: the approvals function never loads a model client, and the
authorizer loads no client of AWS.
"""
