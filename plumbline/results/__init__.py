"""What the evaluate stage wrote, and the intervals of what is measured on it."""
