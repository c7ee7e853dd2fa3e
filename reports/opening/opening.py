"""The first screen, put together."""

from ..report import Opening
from ..sections.material import Material
from .facts import facts, marks
from .hero import hero
from .surprises import surprises
from .tiles import tiles


def opening(material: Material) -> Opening:
    """What the report begins with."""
    return Opening(facts(material), marks(material), hero(material), tiles(material), surprises(material))
