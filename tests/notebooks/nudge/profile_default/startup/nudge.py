"""A processor that nobody has: every optimizer starts from parameters that are one rounding off.

IPython runs this file first where IPYTHONDIR is the folder `nudge`. What then prints otherwise is
a number that some processor would print otherwise, too.
"""

import torch

plain = torch.optim.Optimizer.__init__


@torch.no_grad()
def nudged(optimizer, parameters, defaults):
    plain(optimizer, parameters, defaults)
    generator = torch.Generator().manual_seed(1)  # so that equal trainings stay equal
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            up = torch.rand(parameter.shape, generator=generator).to(parameter.device) < 0.5
            far = torch.where(up, torch.inf, -torch.inf).to(parameter)
            parameter.copy_(torch.nextafter(parameter, far))


torch.optim.Optimizer.__init__ = nudged
