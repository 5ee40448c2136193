"""Everything that optimises a code: schedule, engine, freezing to integers. Only `encoder` imports it."""
