"""From a recording of a device to a register map and to parameters of its twin."""
