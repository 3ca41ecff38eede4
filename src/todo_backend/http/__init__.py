"""Errors, CORS, request bodies, OpenAPI: docs/spec.md, "Error Handling & Validation"."""
