"""Base-station maintenance on a simulated radio network."""

# Imported for what they register: handlers of events, and what follows from changes.
from telegym.envs.base_station import alarms, clock_model, epochs, operations, power_model, thermal_model
from telegym.envs.base_station.network import Network

__all__ = ["Network", "alarms", "clock_model", "epochs", "operations", "power_model", "thermal_model"]
