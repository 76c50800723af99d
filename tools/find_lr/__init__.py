"""Find a learning rate, by training with one that rises from update to update.

python -m tools.find_lr
"""
