"""The options of `sbatch`, `srun` and `salloc`: names, letters, whether they take a value, and the variables that stand for them.

Sources: sbatch(1), srun(1), salloc(1). Only what a name needs to be read; what a value means is in `options`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Value(Enum):
    NONE = 0
    REQUIRED = 1
    OPTIONAL = 2


@dataclass(frozen=True, slots=True)
class Option:
    """One option. `commands`: letters of those that have it (A salloc, B sbatch, R srun). `variable`: what follows `SBATCH_`,
    `SALLOC_` and `SLURM_`; `variable_commands`: which of the three read it."""

    name: str
    short: str = ""
    value: Value = Value.REQUIRED
    commands: str = "ABR"
    variable: str = ""
    variable_commands: str = "ABR"


def _parse(text: str) -> tuple[Option, ...]:
    """Lines of `name[:short] value commands [variable[:commands]]`."""
    kinds = {"-": Value.NONE, "=": Value.REQUIRED, "?": Value.OPTIONAL}
    options = []
    for line in text.split("\n"):
        words = line.split()
        if not words:
            continue
        name, _, short = words[0].partition(":")
        variable, _, readers = words[3].partition(":") if len(words) > 3 else ("", "", "")
        options.append(Option(name, short, kinds[words[1]], words[2], variable, readers or words[2]))
    return tuple(options)


OPTIONS: Final = _parse("""
account:A = ABR ACCOUNT
acctg-freq = ABR ACCTG_FREQ
accel-bind = R
array:a = B ARRAY_INX
batch = B BATCH
bb = ABR BURST_BUFFER
bbf = ABR
bcast ? R
bcast-exclude ? R
begin:b = ABR
bell - A
chdir:D = ABR
cluster-constraint = B CLUSTER_CONSTRAINT
clusters:M = AB CLUSTERS
comment = ABR
compress ? R
constraint:C = ABR CONSTRAINT
container = ABR CONTAINER
contiguous - ABR
core-spec:S = ABR CORE_SPEC
cores-per-socket = ABR
cpu-bind = R CPU_BIND
cpu-freq = ABR CPU_FREQ_REQ
cpus-per-gpu = ABR CPUS_PER_GPU
cpus-per-task:c = ABR CPUS_PER_TASK:R
deadline = ABR
delay-boot = ABR DELAY_BOOT
dependency:d = ABR DEPENDENCY:R
disable-status:X - R
distribution:m = ABR DISTRIBUTION:BR
epilog = R
error:e = BR
exact - R
exclude:x = ABR
exclusive ? ABR EXCLUSIVE
export = BR EXPORT:B
export-file = B
extra-node-info:B = ABR
get-user-env ? AB
gid = AB
gpu-bind = ABR GPU_BIND
gpu-freq = ABR GPU_FREQ
gpus:G = ABR GPUS
gpus-per-node = ABR GPUS_PER_NODE
gpus-per-socket = ABR GPUS_PER_SOCKET
gpus-per-task = ABR GPUS_PER_TASK
gres = ABR GRES
gres-flags = ABR GRES_FLAGS
help:h - ABR
het-group = R
hint = ABR HINT
hold:H - ABR
ignore-pbs - B IGNORE_PBS
immediate:I ? AR IMMEDIATE
input:i = BR
interactive - R
job-name:J = ABR JOB_NAME
jobid = R
kill-command:K ? A
kill-on-bad-exit:K ? R KILL_BAD_EXIT
kill-on-invalid-dep = B
label:l - R LABELIO
licenses:L = ABR
mail-type = ABR
mail-user = ABR
mcs-label = ABR
mem = ABR MEM_PER_NODE
mem-bind = ABR MEM_BIND
mem-per-cpu = ABR MEM_PER_CPU
mem-per-gpu = ABR MEM_PER_GPU
mincpus = ABR
mpi = R MPI_TYPE
msg-timeout = R
multi-prog - R
network = ABR NETWORK
nice ? ABR
no-allocate:Z - R
no-bell - A
no-kill:k ? ABR NO_KILL
no-requeue - B NO_REQUEUE
no-shell - A
nodefile:F = ABR
nodelist:w = ABR
nodes:N = ABR NNODES:R
ntasks:n = ABR NTASKS:R
ntasks-per-core = ABR NTASKS_PER_CORE:R
ntasks-per-gpu = ABR NTASKS_PER_GPU:R
ntasks-per-node = ABR NTASKS_PER_NODE:R
ntasks-per-socket = ABR NTASKS_PER_SOCKET:R
ntasks-per-tres = ABR NTASKS_PER_TRES:R
open-mode = BR OPEN_MODE
output:o = BR
overcommit:O - ABR OVERCOMMIT
overlap - R
oversubscribe:s - ABR
parsable - B
partition:p = ABR PARTITION
power = ABR POWER
preserve-env:E - R
prefer = ABR
priority = ABR
profile = ABR PROFILE
prolog = R
propagate ? BR
pty ? R
qos:q = ABR QOS
quiet:Q - ABR
quit-on-interrupt - R
reboot - ABR
relative:r = R
requeue - B REQUEUE
reservation = ABR RESERVATION
resv-ports ? R RESV_PORTS
send-libs ? R
signal = ABR SIGNAL
slurmd-debug = R
sockets-per-node = ABR
spread-job - ABR SPREAD_JOB
switches = ABR REQ_SWITCH
task-epilog = R
task-prolog = R
tasks-per-node = ABR
test-only - BR
thread-spec = ABR THREAD_SPEC
threads-per-core = ABR THREADS_PER_CORE
threads:T = R
time:t = ABR TIMELIMIT
time-min = ABR
tmp = ABR
uid = AB
unbuffered:u - R UNBUFFEREDIO
usage - ABR
use-min-nodes - ABR USE_MIN_NODES
verbose:v - ABR
version:V - ABR
wait:W = R WAIT
wait:W - B WAIT
wait-all-nodes = AB WAIT_ALL_NODES
wait-for-switch = ABR
wckey = ABR WCKEY
whole - R
wrap = B
x11 ? AR
""")

LETTER: Final = {"salloc": "A", "sbatch": "B", "srun": "R"}


def options_of(command: str) -> tuple[Option, ...]:
    """The options of one command."""
    return tuple(option for option in OPTIONS if LETTER[command] in option.commands)
