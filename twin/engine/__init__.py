"""The simulation in time: simpy wakes, a timeline tells what happens, arrays move."""
