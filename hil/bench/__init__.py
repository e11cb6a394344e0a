"""The bench: real devices and instruments, what may be asked of them, and what was.

::

    files, schema, entries, checks   bench.toml, read and held against itself as a whole
    assembly, scale                  from its entries to devices, and their size beside a twin's
    device, values, meanings         a device behind its register map: read, write, safe state
    gate, requested, envelope        what no caller passes: permission, power and ramp, journal
    line, answers, connecting        a Modbus connection by TCP, TLS or RTU; every frame is kept
    survey, look                     looks at devices and instruments that write nothing
    guard...                         the process that acts when the runner does not
    roles, drivers                   instruments
    clock, errors, journal, frames   what all of them share

None of this replaces a hardware emergency stop.
"""
