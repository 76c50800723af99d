"""Files of images: archives, class folders, and the pixels of one file."""
