"""What computes, the inputs of networks, and what networks give for them."""
