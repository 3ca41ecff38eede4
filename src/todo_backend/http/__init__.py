"""Errors, validation errors, paths, request bodies, CORS, OpenAPI: docs/spec.md, "Error Handling & Validation"."""
