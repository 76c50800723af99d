"""Certificates: the claims that held, each once; none is as good as a failed check."""

import pytest

from plumbline.run.certificates import certificate, require_certificate, withdraw_certificate, write_certificate
from plumbline.run.errors import UserError
from tests.conftest import Workspace


def test_a_certificate_lists_each_claim_once_in_its_order(workspace: Workspace) -> None:
    write_certificate("backprop", ["b holds", "a holds", "b holds"])
    assert (workspace.folder / "data/certificates/backprop.txt").read_text() == "b holds\na holds\n"


def test_an_absent_or_withdrawn_certificate_is_refused(workspace: Workspace) -> None:
    with pytest.raises(UserError, match="there is no data/certificates/backprop.txt: `dvc repro` runs the check"):
        require_certificate("backprop")
    write_certificate("backprop", ["it holds"])
    require_certificate("backprop")
    withdraw_certificate("backprop")
    withdraw_certificate("backprop")
    assert not certificate("backprop").exists()
    with pytest.raises(UserError, match="there is no"):
        require_certificate("backprop")
