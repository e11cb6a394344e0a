"""The bench: real devices and instruments, what may be asked of them, and what was.

::

    files     bench.toml, read and checked as a whole
    device    a device behind its register map: read, write, safe state
    gate      what stands between a device and its line: limits, journal, permission
    line      a Modbus connection by TCP, TLS or RTU; every frame is kept
    clock     time as the device has it

None of this replaces a hardware emergency stop.
"""
