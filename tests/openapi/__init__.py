"""The OpenAPI document of the HTTP API, generated from the template's routes and the models.

    python -m tests.openapi

writes `functions/openapi.json`; a test fails if the file is out of date.
"""
