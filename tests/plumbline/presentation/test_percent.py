"""A share in percent never says all or nothing where it is less or more."""

from plumbline.presentation.percent import percent


def test_a_share_is_rounded_neither_to_all_nor_to_nothing() -> None:
    shares = (0, 0.0, 0.00001, 0.5, 0.99996, 1.0, 1)
    assert [percent(share) for share in shares] == ["0%", "0%", "0.1%", "50.0%", "99.9%", "100%", "100%"]
