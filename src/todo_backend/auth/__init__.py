"""Verification of the bearer token, which gives the user: docs/spec.md, "Authentication & JWT Verification"."""
