"""What each model can do, and what it costs from when to when."""
