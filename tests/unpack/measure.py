"""Runs a program and prints "STATUS KILOBYTES": its exit status (128 + signal) and the most memory it had.

A process of its own, because the maximum that the kernel tells covers the moment before exec, when the child was
still a copy of its parent; this parent is small.
"""
import os
import sys

pid = os.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
_, status, usage = os.wait4(pid, 0)
print(os.waitstatus_to_exitcode(status) % 256 if status & 127 == 0 else 128 + (status & 127), usage.ru_maxrss)
