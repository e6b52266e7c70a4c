"""The version of the API that this package offers, and of the distribution that owns it."""

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as _distribution_version

try:
    __version__ = _distribution_version("greenroom")
except PackageNotFoundError:  # a checkout that is not installed
    __version__ = "0.0.0"
