"""What the noise of a step does to the code, in torch."""

import torch


def soft_round(values, temperature):
    """A differentiable rounding, exact at integers and halves (Agustsson & Theis 2020, equation 16). temperature: a
    tensor.
    """
    middle = values.detach().floor() + 0.5
    return middle + torch.tanh((values - middle) / temperature) / (2 * torch.tanh(0.5 / temperature))
