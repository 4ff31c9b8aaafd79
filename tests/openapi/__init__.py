"""The OpenAPI document of the HTTP face, made of the template's routes and the code's models.

    python -m tests.openapi

writes `functions/openapi.json`; a test fails if that is not what this makes.
"""
