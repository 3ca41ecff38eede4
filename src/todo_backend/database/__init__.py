"""PostgreSQL: docs/spec.md, "Database Schema & Connection"."""
