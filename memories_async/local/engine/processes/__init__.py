"""Processes beside this one: `isolated` starts one for each task, `answering` keeps a few that answer."""
