"""The stacks that people would choose instead, each written as its own guides teach."""
