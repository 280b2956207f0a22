"""Keeper and shims: processes that outlive whoever asked for them. Standard library only.

The keeper is a warm Python process that forks one shim per container. A shim starts one process, waits for it, and
writes down how it ended. Truth is on disk, in one directory per attempt (`runs.py` names the files); nothing that
matters lives in a process. The agent asks the keeper to start a run (`client.py`), and does everything else (look,
stop, remove) on the files.

**Starting, step by step.** Names in brackets are where the crash tests kill.

1. The agent makes the run's directory and links `spec.json` into it, whole or not at all. `[start.1-prepared]`
2. The agent sends the run id to the keeper; the keeper forks a shim. `[keeper.1-asked]` `[keeper.2-forked]`
3. The shim takes the lock on `lock` and holds it for as long as it lives. Who finds it taken leaves: another shim is at
   work. `[shim.1-forked]` `[shim.2-locked]`
4. If `started` exists, the process may have run: the shim leaves. Otherwise it forks the child, which waits on a pipe and
   does nothing else; if the shim dies now, the child reads end-of-file and leaves too. `[shim.3-child]`
5. The shim links `started` (or leaves, if somebody else did). This is the point of no return: a run without `started` has certainly not run and may be
   started again; a run with `started` is never started again. `[shim.4-started]`
6. The shim lets the child go: name spaces, mounts, working directory, exec. `[shim.5-released]` `[shim.6-executed]`

**Ending.**

7. The process ends and stays a zombie while the shim reads its status without reaping it. `[shim.7-ended]`
8. The shim writes `exit.pending`: from here on the exit code is safe. Its blocks were set aside before the start, so a full disk
   does not lose it. `[shim.8-pending]`
9. The shim kills and reaps whatever the process left behind (it is their subreaper). `[shim.9-swept]`
10. `exit.pending` becomes `exit.json`. `[shim.10-recorded]` The shim leaves, and the lock with it.

**Stopping.** The agent writes `stop.json` (signal, deadline) `[stop.1-written]` and tells the shim through the fifo
`control` `[stop.2-poked]`; the shim, which also looks by itself every second, reads it `[shim.stop-1-read]`, signals
every process of the run `[shim.stop-2-signalled]` and kills them all at the deadline `[shim.stop-3-killed]`.

**If a shim is killed**, the kernel kills its process with it (PR_SET_PDEATHSIG). The orphans become the keeper's
children (it is a subreaper as well), so a process that ended just before step 8 still has its exit code recorded, by
the keeper. Everything else is recorded as exit code 137, reason ShimLost. Only a keeper settles such runs, one keeper
at a time, so records do not race.

**If the keeper is killed**, shims go on; the agent starts another keeper. If keeper and shim are killed within the same
microseconds between 7 and 8, the code reported is 137 ShimLost.

**Output** goes through a fifo into `log`: `output.py` says how, and why none of it is lost. The keeper has the fifo
open too, and moves what a killed shim left there before it records the end. If keeper and shim are killed together,
what the process wrote in the last moments before (what the fifo held, at most 64 KiB) is lost with them; what the log
has is never lost.

**Commands** in a running container (`commands.py`): the shim forks them `[shim.exec-1-forked]` and records their ends
`[shim.exec-2-ended]`. They die with the shim, with their container, at their time limit, and soon after whoever asked
for them died.

**Versions.** `runs.FORMAT` is in every record. A new agent reads runs of older formats, whose shims go on; it sends an
older keeper away and starts its own.

After a power failure nothing runs; runs with `started` and no exit record are settled as ShimLost, as above.
"""
