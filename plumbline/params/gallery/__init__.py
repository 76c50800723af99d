"""What is drawn."""

from plumbline.run.fields import Count, Section


class Gallery(Section):
    images: Count
