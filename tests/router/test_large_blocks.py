"""That a process gives back what large bodies took."""

import subprocess
import sys

import pytest

PROGRAM = """
import ctypes
from iron_adapters.router.large_blocks import keep_large_blocks_apart
if {apart} and not keep_large_blocks_apart():
    raise SystemExit("no glibc")
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096
def touched(size):
    block = libc.malloc(size)
    ctypes.memset(block, 1, size)
    return block
libc.free(touched(20_000_000))  # glibc raises its threshold over this
before, large, small = resident(), touched(10_000_000), []
small.append(touched(1000))  # what stays behind a large block
libc.free(large)
print(resident() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("apart", [True, False])
def test_a_large_block_leaves_no_hole_behind_in_what_stays(apart):
    done = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", PROGRAM.format(apart=apart)], capture_output=True, text=True, check=False
    )
    if "no glibc" in done.stderr:
        pytest.skip("this C library has no such setting")

    assert (int(done.stdout) < 2_000_000) is apart
