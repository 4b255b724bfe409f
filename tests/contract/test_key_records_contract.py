from key_records_suite import KeyRecordsSuite


class TestKeyRecords(KeyRecordsSuite):
    pass
