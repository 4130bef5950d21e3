"""Which layers emit maps, and which of them is looked at when nobody names one."""
