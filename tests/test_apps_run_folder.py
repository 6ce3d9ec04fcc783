"""What every training run keeps in its folder."""

import pytest
import torch

from mynah.apps.run_folder import load_state


@pytest.mark.parametrize("device", ["cpu", "cpu:0"])
def test_a_state_is_read_on_the_device_of_any_process(tmp_path, device):
    """Of several processes on CPUs each calls its device "cpu:0"."""
    torch.save({"network": {"w": torch.arange(3.0)}, "step": 7}, tmp_path / "state.pt")
    state = load_state(tmp_path / "state.pt", torch.device(device))
    assert state["step"] == 7
    assert state["network"]["w"].tolist() == [0, 1, 2]
