"""What every route takes and answers, as tables of typed descriptions, for the OpenAPI document.

One module for each kind of caller. ``openapi`` makes the document of them, and a test compares
them with the routes that there are.
"""
