"""Reading: alarms, inventory, states, configuration, performance, records."""
