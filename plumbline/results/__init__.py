"""What the evaluate stage wrote and how it is resampled."""
