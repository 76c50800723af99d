"""What the prepare stage wrote, as the later stages read it."""
