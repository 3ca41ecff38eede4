"""The tasks: docs/spec.md, "API Endpoints", "Data Models (Pydantic + SQLModel)", "Security & Ownership Rules"."""
