"""Child processes: a task in a process of its own, and a pool of processes that answer questions."""
