"""uvicorn, its limits, and signals: docs/spec.md, "Startup & CORS Configuration"."""
