"""The benchmark, `make bench`: this service against the stacks that people would choose instead.

postgres.py    the embedded server and its two databases
workload.py    what is asked, and what the answer has to be
load.py        the load generator, a process of its own; generator.py is its handle
stacks.py      the services that are compared, and how each is started
processes.py   processor time and memory of a service's processes
measure.py     one run: load on one service
compare.py     interleaved runs of all services; pgbench.py is the limit
scenarios.py   round trips, the tail, workers, five million tasks, the start
goals.py       what is asked of the figures
report.py      the comparison in a table; tables.py the others; chart.py the picture
"""
