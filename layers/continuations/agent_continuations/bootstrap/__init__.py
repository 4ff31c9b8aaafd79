"""The composition root on AWS: from a Lambda's environment to the objects that it uses.

Each object is made once a container, at its first use. There is one module a subject, and objects
that a function does not use are not imported: the approvals function never loads a model client,
and the authorizer loads no AWS client.
"""
