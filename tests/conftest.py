import os
import signal

os.environ.setdefault("OMP_NUM_THREADS", "1")
# Whoever started the tests in the background may have turned Ctrl-C off, for the commands that they start too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

from hypothesis import HealthCheck, settings

# The same examples on every machine; kernels compile inside the first one, so there is no deadline.
settings.register_profile(
    "same_everywhere",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("same_everywhere")
