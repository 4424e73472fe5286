"""A radio that hears nothing."""
AP_IF = 1
STA_IF = 0


class WLAN:
    def __init__(self, interface):
        pass

    def active(self, on=None):
        return False

    def config(self, **settings):
        pass

    def isconnected(self):
        return False

    def scan(self):
        return []
