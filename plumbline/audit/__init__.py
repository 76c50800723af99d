"""What the prepare stage found in the images, which nothing that trains reads."""
