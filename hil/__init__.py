"""suitwin's wires, clocks and hardware: the testbed around the twin.

`hil` may import `twin`, never the reverse. Imports go down only; the contracts in
`pyproject.toml` hold this picture to the code.

==========================  =================================================================
layer                       what lives there
==========================  =================================================================
cli                         `hil serve | run | replay | poll | preflight | map | bench | certify |
                            sign | verify-certificate | keys | record | fit`
plugin                      fixtures and markers for other people's pytest suites
certify                     suites for devices, emulated and real; evidence, signed certificates
testbed                     simulation, registers, servers, clock and head-end put together
bench                       real devices and instruments, limits, journal, the guard's process
pacer | headend | server    ticks on wall time; polling and commanding thousands of devices;
                            Modbus TCP in two bodies, RTU, manners of bytes
registers                   maps as data, the bank that servers read, vendors' point tables
kernels                     what runs compiled: the request parser, the loops over sockets
==========================  =================================================================

Register signs are the field's own and are turned here; the twin's power is positive into the
grid. Lateness is measured on the system's monotonic clock.
"""
