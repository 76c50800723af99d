"""What the prepare stage writes for training and evaluation, and the names of the splits."""
