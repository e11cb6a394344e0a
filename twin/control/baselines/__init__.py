"""What would be drawn without an order: by habit, by owner, by customer baselines."""
