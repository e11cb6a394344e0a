"""The pytest plugin: ``pip install suitwin[pytest]``, nothing to import.

::

    hooks      options, markers, fixtures; all that pytest loads when it starts
    choice     which devices a test runs on, and why it is skipped where there is none
    devices    the device under test, emulated or on the bench
    fleets     a city, and its fleet on the network
    evidence   what goes from a test into the JUnit file

It loads at the start of every run of pytest on a machine that has suitwin, whether the run uses
it or not: `hooks` imports nothing of the rest before a test asks for it.
"""
