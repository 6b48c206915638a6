"""Faults: what can go wrong in a radio network, and how it is made to.

`fault("cell_barred").inject(network, "S001-L18-1", {})` changes records and nothing else; symptoms follow from them.
"""

from telegym.envs.base_station.faults.registry import Defect, Fault, FaultInfo, fault, fault_codes, fault_infos

__all__ = ["Defect", "Fault", "FaultInfo", "fault", "fault_codes", "fault_infos"]
