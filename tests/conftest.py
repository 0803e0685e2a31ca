"""How random tests run: the same examples every time, and no clock."""

from hypothesis import settings

settings.register_profile("ltc", deadline=None, derandomize=True)
settings.load_profile("ltc")
