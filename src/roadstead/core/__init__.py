"""The deciding core: pure. `cycle(world, now, rules) -> Plan`; same world and time in, same plan out, byte for byte.

No I/O, clock, randomness or logging. Times are integer nanoseconds since the epoch, passed in.
"""
