"""The auditor of base-station maintenance: whether each call was right, by the truth and by what could be known."""

from telegym.rewards.reasonableness.base_station.auditor import BaseStationAuditor

__all__ = ["BaseStationAuditor"]
