"""Slurm's language: pure text in, values out. Rests on `model` and `expr` alone and touches no file, clock or network.

`hostlist` and `formats` read and print small things; `configuration`, `fleet` and `gres` read `slurm.conf` and `gres.conf`; `options`
and `request` turn a command line into a job request, with Slurm's own refusals; `placement` says where a real Slurm would put it;
`commands` answers a whole command line. What is observed rather than documented was seen on a running 22.05.8; where newer releases
say otherwise, `release` chooses.
"""
