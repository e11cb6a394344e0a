"""Where simulation, registers, servers, clock and head-end are put together."""
