"""Error responses, request bodies, paths, CORS and OpenAPI: docs/spec.md, "Error Handling & Validation"."""
