"""The node agent: pods bound to its nodes become processes, and what becomes of those is reported.

`pod_state` decides, without I/O, from a pod, its runs and the time; `worker` carries out, one task per pod; `runtimes`
start and stop (processes through the keeper, or timers on a simulated node); `agent` ties them to informers; `server`
serves logs.
"""
