"""The soft rounding of the code in a step, in torch."""

import torch


def soft_round(values: torch.Tensor, temperature: torch.Tensor) -> torch.Tensor:
    """Round values differentiably, exactly at integers and halves (Agustsson & Theis 2020, equation 16).

    temperature: a tensor.
    """
    middle = values.detach().floor() + 0.5
    return middle + torch.tanh((values - middle) / temperature) / (2 * torch.tanh(0.5 / temperature))
