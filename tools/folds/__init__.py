"""How good is a recipe on all images, each judged once?

`__main__` is the command. `pooling` joins the test predictions of a recipe's folds; `results` computes the measures and
the difference of two recipes, by `statistics`; `printing` prints them.
"""
