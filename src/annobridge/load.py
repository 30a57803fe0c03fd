"""The former name of ``annobridge.bridge.apply``, for programs that import it."""

import sys

from .bridge import apply

sys.modules[__name__] = apply
