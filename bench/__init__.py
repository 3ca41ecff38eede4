"""The benchmark, `make bench`: this service beside the stacks that people would choose instead."""
