"""The broker's end of the connections that machines dial: one conversation a machine, many a process."""
