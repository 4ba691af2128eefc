"""A device that is not there, on which everything runs that would run on a GPU. Begin with device.py; trainer.py lets
Lightning train on it. Where there is a GPU, card.py puts it in the place of the device.
"""

from tests.helpers.pretend_device import card
from tests.helpers.pretend_device.card import IS_REAL
from tests.helpers.pretend_device.device import OnDevice, Seen

if IS_REAL:
    from tests.helpers.pretend_device.card import card as pretend_device
    from tests.helpers.pretend_device.card import device, recurrent_dtypes

    NAME, ACCELERATOR = "cuda", "gpu"
else:
    from tests.helpers.pretend_device.device import NAME, device, pretend_device, recurrent_dtypes

    ACCELERATOR = NAME

__all__ = ["ACCELERATOR", "IS_REAL", "NAME", "OnDevice", "Seen", "card", "device", "pretend_device", "recurrent_dtypes"]
