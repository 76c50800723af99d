"""How large a step gradient descent may take on a curved loss."""


def lr_over_limit(lr: float, curvature: float, weight_decay: float, momentum: float = 0.0) -> float:
    """Return the learning rate relative to the largest stable one, 2 (1 + beta) / (mu + 2 lambda).

    For SGD with heavy-ball momentum beta on a quadratic of curvature mu with weight_decay = 2 lambda. Below 1 the
    weights settle, above 1 they swing out. 0 where loss and penalty do not curve upwards (mu + 2 lambda <= 0): no
    step is too large there, for there is nothing to settle at.
    Source: Polyak 1964, "Some methods of speeding up the convergence of iteration methods".
    """
    return lr * max(curvature + weight_decay, 0.0) / (2 * (1 + momentum))
