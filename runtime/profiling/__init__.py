"""How long a network takes on this machine, where the time goes, and what it costs in memory and energy.

`profile.profile` measures; `tables` and `report` show what it found. `power` samples the sensors of `power_sources`.
"""
