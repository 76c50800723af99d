"""What is drawn."""

from plumbline.params.fields import Count, Section


class Gallery(Section):
    images: Count
