"""Register maps as data, their codec, and the bank that servers read."""
