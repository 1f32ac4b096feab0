"""The networks of two winning solutions, written anew, and what it takes to run them.

Every family has one file with its network and two configurations: `full`, of the size that competed, and `small`, which
trains on two CPU cores in minutes. Graphs are exported with their preprocessing inside, so that `blend predict` needs
the raw table only. `python -m zoo --help` says what can be done.
"""
