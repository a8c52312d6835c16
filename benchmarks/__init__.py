"""Measurements that answer "compared with what?"; `python -m benchmarks.migrate --help`."""
