"""A device that is not there, on which everything runs that would run on a GPU. Begin with device.py; trainer.py lets
Lightning train on it.
"""

from tests.helpers.pretend_device.device import NAME, OnDevice, Seen, device, pretend_device, recurrent_dtypes

__all__ = ["NAME", "OnDevice", "Seen", "device", "pretend_device", "recurrent_dtypes"]
