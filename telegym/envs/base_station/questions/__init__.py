"""Questions about a simulated network that are answered with tools: thirty templates, each with its true answer.

`make_question` chooses what is asked, `check_answer` judges an answer, `ask` finds it as an agent without privileges
would. All templates can be answered with the tools of profile `qa` and full results:

| template | about | tools |
|---|---|---|
| Q01 | busiest cell of a site | rank_cells |
| Q02 | critical alarms on a link and behind it | get_topology, list_alarms |
| Q03 | minutes of battery | get_power_status |
| Q04 | battery until the mains return | get_power_status, get_external_notices |
| Q05 | two cells with one physical cell id | list_elements, get_neighbour_relations |
| Q06 | the cell that works and serves nobody | list_elements, get_cell_status |
| Q07 | minutes of outage in a week | get_kpi, compute_radio_quantity |
| Q08 | downlink frequency | get_config, get_element_info, compute_radio_quantity |
| Q09 | noise floor of a resource block | get_element_info, compute_radio_quantity |
| Q10 | expected reference level | get_config, get_element_info, compute_radio_quantity |
| Q11 | COST 231 path loss | compute_radio_quantity |
| Q12 | return loss as commissioned | list_elements, get_element_info, compute_radio_quantity |
| Q13 | reflected power at an alarm's threshold | get_antenna_status, compute_radio_quantity |
| Q14 | fibre delay and its budget | get_fronthaul_status, compute_radio_quantity |
| Q15 | NR peak rate | get_element_info, get_config, compute_radio_quantity |
| Q16 | blocking of a trunk | compute_radio_quantity |
| Q17 | sites without a way around a router | get_topology, get_element_info |
| Q18 | link that cuts off several sites | get_transport_status |
| Q19 | cell with most interference | list_elements, get_interference_report |
| Q20 | node with another software version | get_software_status |
| Q21 | licences that end | get_licence_status |
| Q22 | neighbour with most failed handovers | get_neighbour_relations |
| Q23 | technician and time of arrival | list_resources |
| Q24 | a change and a drop: which came first | get_config_history, get_kpi |
| Q25 | hours of holdover left | get_clock_status |
| Q26 | fade margin of a microwave hop | get_transport_status |
| Q27 | cells that are not as planned | list_elements, get_config |
| Q28 | users missing at a site | get_kpi |
| Q29 | oldest alarm that follows from no other | list_alarms, get_alarm |
| Q30 | energy of a day, and a layer's share | list_elements, get_kpi |

Readings scatter anew every quarter of an hour, so Q12 and Q13 ask about the commissioned ratio and the threshold of the
alarm. Q21 and Q23 need no ticket; nothing here needs the profile `full`.
"""

from telegym.envs.base_station.questions.checking import check_answer
from telegym.envs.base_station.questions.expected import NOT_AVAILABLE, Expected
from telegym.envs.base_station.questions.making import (
    LANGUAGES,
    UNANSWERABLE_SHARE,
    Question,
    ask,
    make_question,
    question_of,
    template,
    templates,
)
from telegym.envs.base_station.questions.template import Template

__all__ = [
    "LANGUAGES",
    "NOT_AVAILABLE",
    "UNANSWERABLE_SHARE",
    "Expected",
    "Question",
    "Template",
    "ask",
    "check_answer",
    "make_question",
    "question_of",
    "template",
    "templates",
]
