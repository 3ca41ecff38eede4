"""The test environment: real servers, a pooler, and clients that record every response."""
