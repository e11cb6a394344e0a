"""Virtual power plants: who they are, what they bid, what is awarded."""
