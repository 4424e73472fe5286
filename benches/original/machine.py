"""What the original asks of its chip, on MicroPython's unix port."""
import time


class RTC:
    def datetime(self, now=None):
        year, month, day, hour, minute, second, weekday, _ = time.localtime()[:8]
        return year, month, day, weekday, hour, minute, second, 0
