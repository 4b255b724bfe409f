from event_log_suite import EventLogSuite


class TestEventLog(EventLogSuite):
    pass
