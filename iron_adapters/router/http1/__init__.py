"""HTTP/1.1 towards providers, on the event loop that serves the callers.

A client in a thread of its own hands each reply from thread to thread, and both want the same interpreter: that cost more
than all else that happens to a call. Here the sockets of both sides are read by one loop.
"""

from iron_adapters.router.http1.client import Http1Client
from iron_adapters.router.http1.pool import Pool

__all__ = ["Http1Client", "Pool"]
