"""What holds for all tests."""

import signal

from hypothesis import settings

# How long an example takes says how busy the machine is, and nothing of the program. A change is judged by examples
# that are the same in each run; `scripts/test --full` looks for new ones.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.register_profile("searching", deadline=None, max_examples=2000)
settings.load_profile("steady")

# A shell's background jobs are born with SIGINT ignored, those of nohup with SIGHUP, and they hand that on: none that a
# test sends would arrive.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
