"""The report stage: one page with everything that was found, and everything that it needs inside.

`__main__` is the stage and its story, page.html.jinja the page's structure, page.css its looks; each other module
makes what one part of the page shows.
"""
