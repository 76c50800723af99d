"""Write one page on which a person goes through the images to look at first, and saves what is wrong with them.

`__main__` is the command. `images_to_review` says which images these are and why, from what `prepare` and `evaluate`
wrote; `pictures` makes their small pictures. page.html.jinja, review.css and review.js are the page, in the report's
style. The page saves corrections.csv, which `prepare` applies: data.corrections.
"""
