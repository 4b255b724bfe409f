from records_suite import RecordsSuite


class TestRecords(RecordsSuite):
    pass
