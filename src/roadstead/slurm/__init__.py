"""Slurm, spoken here: its configuration files, its options, its refusals and where it would put a job.

`language` is pure text in, values out; the commands that users type are built on top of it.
"""
