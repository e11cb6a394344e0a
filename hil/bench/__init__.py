"""The bench: real devices and instruments, what they may do, and what makes them safe."""
