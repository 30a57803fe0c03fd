"""Raw questions to a DataGym server, and its answers without what differs each time: what holds the double to the real server."""

from . import asking, configs, edits, hosted, imports, media, places, reviews, tasks
from .asking import Answers, Asker

__all__ = ["AREAS", "Answers", "Asker", "asking"]
AREAS = {
    "places": places.ask,
    "media": media.ask,
    "configs": configs.ask,
    "imports": imports.ask,
    "tasks": tasks.ask,
    "edits": edits.ask,
    "reviews": reviews.ask,
    "hosted": hosted.ask,
}
