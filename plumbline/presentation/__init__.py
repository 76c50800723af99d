"""How results are shown to people: the style of the figures, and shares in percent."""
