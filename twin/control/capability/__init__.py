"""What each device can give and take, and for how long."""
