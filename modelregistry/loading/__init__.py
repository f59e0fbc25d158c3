"""From verified bytes to an object in memory."""
