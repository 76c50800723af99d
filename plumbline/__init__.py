"""What two or more stages of Plumbline share: parameters, images, networks, model files, checks."""
