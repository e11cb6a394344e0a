"""Drivers of instruments, one a file, named role_vendor."""
