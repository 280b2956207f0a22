"""Why a workload waits: refusals gathered, ranked and put into sentences. Reads decisions, never makes them."""
