"""The card stage. `header` is the part for machines, `facts` what the template, card.md.jinja, says for people."""
