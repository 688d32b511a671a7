"""A library that the app brings along, as every library it uses is committed."""
import time


def greeting(name, hour=None):
    """A greeting for the time of day: 0 to 23, by default now."""
    hour = time.localtime().tm_hour if hour is None else hour
    part = "morning" if 5 <= hour < 12 else "day" if 12 <= hour < 18 else "evening"
    return f"Good {part}, {name}!"
