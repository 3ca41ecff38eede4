"""The benchmark, `make bench`: this service compared with alternative stacks."""
