"""Devices with one fault each: what a certification must find, and the test of its suites."""
